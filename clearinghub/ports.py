"""Ports: what the web and the agents need of the world outside, as protocols. They never import a client of Kafka.

clearinghub/kafka/ and clearinghub/queries/ implement them; tests have implementations in memory. Where an error becomes
an answer over HTTP, its docstring names the status and FSPIOP's error code (web/http/errors.py).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import NamedTuple, Protocol

from clearinghub.domain.participants.participant import Participant, ParticipantDirectory
from clearinghub.domain.participants.position import Position
from clearinghub.domain.participants.statement import Statement
from clearinghub.domain.settlement.netting import ContentSums, NettingGroup, PartyNet
from clearinghub.domain.settlement.settlement import Leg, Settlement, SettlementAccount
from clearinghub.domain.settlement.window import Window
from clearinghub.domain.settlement.window_transfer import Place, WindowTransfer
from clearinghub.messages.commands import Command, Result
from clearinghub.messages.processes import RunningProcess
from clearinghub.messages.recoveries import PartitionReport


class RecorderUnavailableError(Exception):
    """The record was not written and never will be: the request is not accepted (503, 2003)."""


class RecordOutcomeUnknownError(Exception):
    """The record may have been written: the sender should repeat the same request with the same id (504, 2004)."""


class RecorderBusyError(Exception):
    """Too many records wait for the broker: the sender should repeat the request later (503, 2005)."""


class MessageTooLargeError(Exception):
    """The record is larger than the broker allows: the request is not accepted (3104)."""


class CommandTimeoutError(Exception):
    """The ledger did not answer in time. The command is recorded and may still take effect (504, 2004)."""


class CommandRejectedError(Exception):
    """The ledger refused a command. `code` is FSPIOP's error code, `status` that of the answer over HTTP."""

    def __init__(self, code: str, description: str, status: int) -> None:
        super().__init__(f"{code} {description}")
        self.code = code
        self.description = description
        self.status = status


class ApprovalNeededError(Exception):
    """The command waits for a second operator, under this id; nothing has been done (202, Location)."""

    def __init__(self, approval_id: str) -> None:
        super().__init__(approval_id)
        self.approval_id = approval_id


class LedgerUnavailableError(Exception):
    """No ledger worker answers for the partition now, or the broker does not (503, 2003)."""


class StatementTooLongError(Exception):
    """A statement would need too many records to be read."""


class Recorder(Protocol):
    """Writes to the hub's input topics."""

    async def record(self, topic: str, key: str, value: bytes) -> None:
        """Write one record, and wait until all replicas in sync have it.

        Raises:
            RecorderUnavailableError: the broker has not accepted the record in time, and never will.
            RecordOutcomeUnknownError: the broker may have the record, and did not confirm it in time.
            RecorderBusyError: too many records wait for the broker.
            MessageTooLargeError: the broker would refuse the record.
        """


class CommandClient(Protocol):
    """Sends commands to the ledger and waits for their answers."""

    async def execute(self, participant: str, command: Command, result_type: type[Result], by: str = "") -> Result:
        """Run a command of the operator `by` on the partition of `participant` and return its result.

        Raises:
            CommandRejectedError: the ledger refused.
            ApprovalNeededError: it waits for a second operator.
            CommandTimeoutError: the ledger did not answer in time.
            RecorderUnavailableError: the command was not recorded.
        """


class Participants(ParticipantDirectory, Protocol):
    """All participants, as this process's copy of topic `participants` knows them."""

    @property
    def changes(self) -> int:
        """A number that grows with every change of the copy; what was derived from the copy is current until then."""

    def all(self) -> list[Participant]:
        """Return all participants, including the hub, in order of creation."""

    async def reach(self, name: str, version: int) -> None:
        """Wait, for some seconds at most, until the copy has the participant in that version or a later one."""


class LedgerReader(Protocol):
    """Queries the ledger worker that owns a participant's partition."""

    async def positions(self, participant: str) -> list[Position]:
        """Return the current state of the participant's accounts.

        Raises:
            LedgerUnavailableError: no worker answers for the partition.
        """


class SettlementReader(Protocol):
    """Queries the ledger worker that coordinates settlement. All methods raise LedgerUnavailableError if none does."""

    async def last_windows(self) -> list[Window]:
        """Return windows, newest first, as many as fit into one answer."""

    async def windows(self, window_ids: Sequence[int]) -> list[Window]:
        """Return the windows with these ids, without those that do not exist."""

    async def sums(self, window: Window) -> dict[NettingGroup, ContentSums] | None:
        """Return the sums of a closed window by netting group; None if retention has just removed the window."""

    def nets(
        self, window: Window, netting_group: NettingGroup, participant: str | None = None
    ) -> AsyncGenerator[list[PartyNet], None]:
        """Yield the nets of a content in parts, in the order of the parties; of one participant if it is named."""

    async def last_settlements(self) -> list[Settlement]:
        """Return settlements, newest first, as many as fit into one answer."""

    async def settlement(self, settlement_id: int) -> Settlement | None:
        """Return the settlement with that id, or None."""

    def accounts(self, settlement_id: int) -> AsyncGenerator[list[SettlementAccount], None]:
        """Yield the accounts of a settlement in parts, in the order of their ids."""

    async def account(self, settlement_id: int, account_id: int) -> SettlementAccount | None:
        """Return an account of a settlement, or None."""

    def legs(self, settlement_id: int, account_id: int | None = None) -> AsyncGenerator[list[tuple[int, Leg]], None]:
        """Yield the legs of a settlement in parts, each with its account's id; those of one account if it is given."""


class PacketReader(Protocol):
    """Finds the ILP packets of transfers."""

    async def ilp_packet(self, transfer_id: str) -> str | None:
        """Return the ilpPacket that a transfer's payer sent; None if the transfer is unknown, or its record deleted.

        Raises:
            LedgerUnavailableError: a worker or the broker does not answer.
        """


class StatementReader(Protocol):
    """Reads the history of accounts."""

    async def statement(self, position: Position, from_ms: int, to_ms: int, after: int, entries_max: int) -> Statement:
        """Return the movements of an account from `from_ms` to just before `to_ms`, milliseconds since 1970.

        Args:
            position: the account's current state; it is the balance if nothing has changed the account since.
            from_ms: the first millisecond of the period.
            to_ms: the first millisecond after the period.
            after: only changes with a higher number; 0 for all.
            entries_max: return at most that many entries.

        Raises:
            LedgerUnavailableError: the broker does not answer.
            StatementTooLongError: too many changes lie in or after the period.
        """


class WindowTransfersReader(Protocol):
    """Reads the committed transfers of settlement windows."""

    def read(self, window: Window, after: Place | None) -> AsyncGenerator[list[WindowTransfer], None]:
        """Yield a window's transfers in batches, in the order of their places; only those after `after`, if not None.

        Of an open window they are the transfers until now. A caller that does not read to the end must close the
        generator.

        Raises:
            LedgerUnavailableError: the broker does not answer.
        """


class Processes(Protocol):
    """Knows which processes of the hub run."""

    def running(self) -> list[RunningProcess]:
        """Return the processes that run, with their releases, by role and instance."""


class Partitions(Protocol):
    """Knows how the ledger's partitions are."""

    async def partitions(self) -> list[PartitionReport]:
        """Return a report of every partition in the order of their numbers, also of those that no worker has."""


class StoppedPart(NamedTuple):
    """A partition that is stopped, or only its input `topic`, and the code of the reason."""

    partition: int
    code: str
    topic: str = ""


class Health(Protocol):
    """Says which services this process depends on, and whether they are up."""

    async def services(self) -> dict[str, bool]:
        """Return the services by name, True if up, e.g. {"broker": True, "datastore": True}."""

    def stopped(self) -> list[StoppedPart]:
        """Return what waits for an operator's decision. It does not make a process unhealthy: the rest works."""


class FrontHealth(Health, Protocol):
    """The health of a process that takes requests: a load balancer needs to know about this process alone."""

    async def own_services(self) -> dict[str, bool]:
        """Return, like `services`, only what this process needs to take a request: no other process of the hub."""


class Archive(Protocol):
    """Knows how far the archive has come, and is notified of rows that the ledger keeps until they are archived."""

    def sequence(self, partition: int) -> int:
        """Return the number up to which all final states of the partition are archived; 0 if none is."""

    def overdue(self, partition: int, table: str, overdue_ms: int) -> None:
        """Report how long, in milliseconds, the oldest expired row of `table` has been waiting for the archive."""
