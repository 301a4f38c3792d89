"""What the edges need of the hub, as protocols: the web knows these, never Kafka."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from clearinghub.domain.participants.participant import Participant, ParticipantDirectory
from clearinghub.domain.participants.position import Position
from clearinghub.domain.participants.statement import Statement
from clearinghub.domain.settlement.netting import ContentNets, NettingGroup
from clearinghub.domain.settlement.settlement import Settlement
from clearinghub.domain.settlement.window import Window
from clearinghub.domain.settlement.window_transfer import Place, WindowTransfer
from clearinghub.messages.commands import Command, Result


class RecorderUnavailableError(Exception):
    """The broker did not take the record in time: nothing was accepted (503, 2003)."""


class RecorderBusyError(Exception):
    """More is in flight than the hub allows; the caller should come again (503, 2005)."""


class MessageTooLargeError(Exception):
    """What was to be recorded is larger than the broker takes: nothing was accepted (3104)."""


class CommandTimeoutError(Exception):
    """The ledger did not answer in time; the command is recorded and may still take effect (504, 2004)."""


class CommandRejectedError(Exception):
    """The ledger refused a command, for the reason given."""

    def __init__(self, code: str, description: str, status: int) -> None:
        super().__init__(f"{code} {description}")
        self.code = code
        self.description = description
        self.status = status


class LedgerUnavailableError(Exception):
    """No ledger worker answers for the partition now (503, 2003)."""


class StatementTooLongError(Exception):
    """Too many records would have to be read for a statement."""


class Recorder(Protocol):
    """Writes to the hub's input topics."""

    async def record(self, topic: str, key: str, value: bytes) -> None:
        """Write one record and wait until the broker has it on all replicas.

        Raises:
            RecorderUnavailableError: the broker cannot be reached or did not confirm in time.
            RecorderBusyError: too many records are waiting for the broker.
            MessageTooLargeError: the broker would refuse it.
        """


class CommandClient(Protocol):
    """Sends commands to the ledger and waits for their answers."""

    async def execute(self, participant: str, command: Command, result_type: type[Result]) -> Result:
        """Run a command on the partition of `participant` and return its result.

        Raises:
            CommandRejectedError: the ledger refused.
            CommandTimeoutError: no answer in time.
            RecorderUnavailableError: the command was not even recorded.
        """


class Participants(ParticipantDirectory, Protocol):
    """This process's own whole copy of the participants."""

    def all(self) -> list[Participant]:
        """All participants, the hub among them, in order of creation."""

    async def reach(self, name: str, version: int) -> None:
        """Wait, for a bounded time, until this copy has the participant in that version or a later one."""


class LedgerReader(Protocol):
    """Asks the ledger worker that owns a participant's partition."""

    async def positions(self, participant: str) -> list[Position]:
        """All accounts of the participant as they stand now.

        Raises:
            LedgerUnavailableError: nobody answers for that partition.
        """


class SettlementReader(Protocol):
    """Asks the ledger worker that coordinates settlement; all raise LedgerUnavailableError while nobody does."""

    async def last_windows(self) -> list[Window]:
        """The windows, newest first, as many as one answer takes."""

    async def windows(self, window_ids: Sequence[int]) -> list[Window]:
        """Those of these windows that there are."""

    async def nets(self, window: Window) -> dict[NettingGroup, ContentNets] | None:
        """What a closed window holds; None where it has left the table since its row was read."""

    async def last_settlements(self) -> list[Settlement]:
        """The settlements, newest first, as many as one answer takes."""

    async def settlement(self, settlement_id: int) -> Settlement | None:
        """One settlement, or None."""


class PacketReader(Protocol):
    """Finds what a transfer's parties agreed on."""

    async def ilp_packet(self, transfer_id: str) -> str | None:
        """The ilpPacket of a transfer as its payer sent it; None for an unknown one, or one that is kept no more.

        Raises:
            LedgerUnavailableError: it could not be looked for.
        """


class StatementReader(Protocol):
    """Reads the history of accounts."""

    async def statement(self, position: Position, from_ms: int, to_ms: int, after: int, entries_max: int) -> Statement:
        """What moved an account from `from_ms` to just before `to_ms`, milliseconds since 1970.

        Args:
            position: the account as it stood when the request came; what it holds if nothing has moved it since.
            from_ms: the first millisecond of the period.
            to_ms: the first millisecond after the period.
            after: only changes with a higher number; 0 for all.
            entries_max: return at most that many entries.

        Raises:
            LedgerUnavailableError: the history cannot be read now.
            StatementTooLongError: too much was booked in or since that period.
        """


class WindowTransfersReader(Protocol):
    """Reads the committed transfers of settlement windows."""

    def read(self, window: Window, after: Place | None) -> AsyncGenerator[list[WindowTransfer], None]:
        """Return the transfers of a window in the order of their places, some at a time; `after` is the last one known.

        To be closed by whoever does not read to the end. Of a window that is open, those until now.

        Raises:
            LedgerUnavailableError: they cannot be read now.
        """


class Health(Protocol):
    """Tells what this process depends on and whether it is there."""

    async def services(self) -> dict[str, bool]:
        """Name -> up, e.g. {"broker": True, "datastore": True}."""


class FrontHealth(Health, Protocol):
    """That of a process which takes requests, and whose being there must not hang on others' being there."""

    async def own_services(self) -> dict[str, bool]:
        """As `services`, only what this process needs to take a request: no other process of the hub."""


class Archive(Protocol):
    """Knows which final states are in the archive's files, and is notified of rows that wait for it."""

    def sequence(self, partition: int) -> int:
        """The last final state of the partition that is archived, and all before it; 0 if none is."""

    def overdue(self, partition: int, table: str, overdue_ms: int) -> None:
        """For so long the oldest of the partition's rows that is past its time has waited to be archived."""
