"""A bulk of transfers: its states, the table of its legal steps, and the row that the ledger keeps of it (protocol 8).

A bulk moves no money: its lines are transfers, decided by the rules of transfers. The bulk counts how they stand, so
that nobody has to look at a thousand rows to know whether it is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from clearinghub.domain.errors import ErrorInformation


class BulkState(Enum):
    """Internal states, in Mojaloop's words; `enumeration` is what a DFSP is shown (protocol 8.4)."""

    RECEIVED = ("RECEIVED", "RECEIVED")
    PENDING_PREPARE = ("PENDING_PREPARE", "PENDING")
    PENDING_INVALID = ("PENDING_INVALID", "PENDING")
    ACCEPTED = ("ACCEPTED", "ACCEPTED")
    PROCESSING = ("PROCESSING", "PROCESSING")
    ABORTING = ("ABORTING", "PROCESSING")
    EXPIRING = ("EXPIRING", "PROCESSING")
    COMPLETED = ("COMPLETED", "COMPLETED")
    REJECTED = ("REJECTED", "REJECTED")
    INVALID = ("INVALID", "REJECTED")

    def __init__(self, label: str, enumeration: str) -> None:
        self.label = label
        self.enumeration = enumeration

    @property
    def is_final(self) -> bool:
        """True when both DFSPs can rely on the outcome of every line."""
        return self.enumeration in ("COMPLETED", "REJECTED")


class BulkStep(Enum):
    """What may happen to a bulk."""

    VALIDATE = "validate"
    REFUSE = "refuse"
    ACCEPT = "accept"
    ANSWER = "answer"
    ABORT = "abort"
    EXPIRE = "expire"
    FINISH = "finish"


# The lines of a bulk are decided in one go (ADR 14): the states that last are ACCEPTED, PROCESSING and the final ones.
# PROCESSING lasts while the payee has answered for some lines and not for others.
BULK_TRANSITIONS: Final[Mapping[BulkState, Mapping[BulkStep, BulkState]]] = {
    BulkState.RECEIVED: {BulkStep.VALIDATE: BulkState.PENDING_PREPARE, BulkStep.REFUSE: BulkState.INVALID},
    BulkState.PENDING_PREPARE: {BulkStep.ACCEPT: BulkState.ACCEPTED, BulkStep.REFUSE: BulkState.PENDING_INVALID},
    BulkState.PENDING_INVALID: {BulkStep.FINISH: BulkState.REJECTED},
    BulkState.ACCEPTED: {
        BulkStep.ANSWER: BulkState.PROCESSING,
        BulkStep.ABORT: BulkState.ABORTING,
        BulkStep.EXPIRE: BulkState.EXPIRING,
    },
    # Who has answered for some lines can only complete it: what these lines became is not undone.
    BulkState.PROCESSING: {
        BulkStep.ANSWER: BulkState.PROCESSING,
        BulkStep.EXPIRE: BulkState.EXPIRING,
        BulkStep.FINISH: BulkState.COMPLETED,
    },
    BulkState.ABORTING: {BulkStep.FINISH: BulkState.REJECTED},
    BulkState.EXPIRING: {BulkStep.FINISH: BulkState.COMPLETED},
    BulkState.COMPLETED: {},
    BulkState.REJECTED: {},
    BulkState.INVALID: {},
}

BULK_STATE_BY_LABEL: Final[Mapping[str, BulkState]] = {state.label: state for state in BulkState}


class IllegalBulkTransitionError(Exception):
    """A step that the table does not know: a bug of the hub, never the fault of a message."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many lines stand how. `pending` are reserved: sent to the payee, which has not ended them yet."""

    refused: int = 0
    pending: int = 0
    committed: int = 0
    aborted: int = 0
    expired: int = 0

    def ended(self, *, committed: int = 0, aborted: int = 0, expired: int = 0) -> Tally:
        """Pending lines have come to their ends."""
        pending = self.pending - committed - aborted - expired
        assert min(pending, committed, aborted, expired) >= 0
        return Tally(self.refused, pending, self.committed + committed, self.aborted + aborted, self.expired + expired)


@dataclass(frozen=True, slots=True)
class Bulk:
    """One bulk. Times are milliseconds since 1970; all its lines expire with it.

    `history` lists every state with its time, oldest first. `transfer_ids` are those of its lines, as the payer listed
    them; none if the bulk was refused as a whole. A line whose id was consumed_ids already is no transfer of this bulk:
    `consumed_ids` has its place in that list, and its error. The hashes tell a repeated message from a changed one.
    """

    bulk_id: str
    payer: str
    payee: str
    expires_at_ms: int
    history: tuple[tuple[BulkState, int], ...]
    prepare_hash: str
    transfer_ids: tuple[str, ...] = ()
    consumed_ids: tuple[tuple[int, ErrorInformation], ...] = ()
    tally: Tally = Tally()
    fulfil_hash: str | None = None
    error_hash: str | None = None

    @property
    def state(self) -> BulkState:
        """Where it stands."""
        return self.history[-1][0]

    @property
    def finished_at_ms(self) -> int | None:
        """Time at which its last line was decided, or None while it is open."""
        state, at_ms = self.history[-1]
        return at_ms if state.is_final else None

    def step(self, step: BulkStep, now_ms: int) -> Bulk:
        """The bulk one step on.

        Raises:
            IllegalBulkTransitionError: the table has no such step from this state.
        """
        following = BULK_TRANSITIONS[self.state].get(step)
        if following is None:
            raise IllegalBulkTransitionError(f"{self.bulk_id}: {step.value} in {self.state.label}")
        return replace(self, history=(*self.history, (following, now_ms)))
