"""A bulk of transfers: its states, the table of its legal steps, and the row that the ledger keeps of it (protocol 8).

A bulk moves no money: its items are transfers, decided by the rules of transfers. The bulk counts their outcomes, so
that nobody has to look at a thousand rows to know whether it is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec
from msgspec.structs import replace

from clearinghub.domain.errors import ErrorInformation
from clearinghub.rows import Row


class BulkState(StrEnum):
    """A bulk's state inside the hub, in Mojaloop's words (protocol 8.4)."""

    RECEIVED = "RECEIVED"
    PENDING_PREPARE = "PENDING_PREPARE"
    PENDING_INVALID = "PENDING_INVALID"
    ACCEPTED = "ACCEPTED"
    PROCESSING = "PROCESSING"
    ABORTING = "ABORTING"
    EXPIRING = "EXPIRING"
    COMPLETED = "COMPLETED"
    REJECTED = "REJECTED"
    INVALID = "INVALID"

    @property
    def enumeration(self) -> str:
        """The API's bulkTransferState, which is what a DFSP sees of this state."""
        return _ENUMERATIONS[self]

    @property
    def is_final(self) -> bool:
        """Whether both DFSPs can rely on the outcome of every item."""
        return self in _FINAL


_ENUMERATIONS: Final[Mapping[BulkState, str]] = {
    BulkState.RECEIVED: "RECEIVED",
    BulkState.PENDING_PREPARE: "PENDING",
    BulkState.PENDING_INVALID: "PENDING",
    BulkState.ACCEPTED: "ACCEPTED",
    BulkState.PROCESSING: "PROCESSING",
    BulkState.ABORTING: "PROCESSING",
    BulkState.EXPIRING: "PROCESSING",
    BulkState.COMPLETED: "COMPLETED",
    BulkState.REJECTED: "REJECTED",
    BulkState.INVALID: "REJECTED",
}
_FINAL: Final = frozenset(state for state, name in _ENUMERATIONS.items() if name in ("COMPLETED", "REJECTED"))


class BulkStep(StrEnum):
    """What may happen to a bulk."""

    VALIDATE = "validate"
    REFUSE = "refuse"
    ACCEPT = "accept"
    ANSWER = "answer"
    ABORT = "abort"
    EXPIRE = "expire"
    FINISH = "finish"


# All items are decided in one record (ADR 14), so only ACCEPTED, PROCESSING and the final states are ever stored.
# PROCESSING lasts while the payee has answered for some items and not for others.
BULK_TRANSITIONS: Final[Mapping[BulkState, Mapping[BulkStep, BulkState]]] = {
    BulkState.RECEIVED: {BulkStep.VALIDATE: BulkState.PENDING_PREPARE, BulkStep.REFUSE: BulkState.INVALID},
    BulkState.PENDING_PREPARE: {BulkStep.ACCEPT: BulkState.ACCEPTED, BulkStep.REFUSE: BulkState.PENDING_INVALID},
    BulkState.PENDING_INVALID: {BulkStep.FINISH: BulkState.REJECTED},
    BulkState.ACCEPTED: {
        BulkStep.ANSWER: BulkState.PROCESSING,
        BulkStep.ABORT: BulkState.ABORTING,
        BulkStep.EXPIRE: BulkState.EXPIRING,
    },
    # A payee that has answered for some items can only complete the bulk: the outcome of those items stays.
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


class IllegalBulkTransitionError(Exception):
    """A step that the table does not have: a bug of the hub, never the fault of a message."""


class Tally(msgspec.Struct, frozen=True, array_like=True):
    """How many items have which outcome. `pending` items are reserved: the payee has them and has not answered yet."""

    refused: int = 0
    pending: int = 0
    committed: int = 0
    aborted: int = 0
    expired: int = 0

    def ended(self, *, committed: int = 0, aborted: int = 0, expired: int = 0) -> Tally:
        """Return the tally after so many pending items have ended."""
        pending = self.pending - committed - aborted - expired
        assert min(pending, committed, aborted, expired) >= 0
        return Tally(self.refused, pending, self.committed + committed, self.aborted + aborted, self.expired + expired)


class Bulk(Row, frozen=True, array_like=True):
    """The row of one bulk. Times are milliseconds since 1970; all items expire together.

    Attributes:
        history: every state with the time at which it was reached, oldest first.
        prepare_hash: the hash of the prepare's body, which distinguishes a repeated request from a changed one.
        transfer_ids: those of the items, in the payer's order; empty if the bulk was refused as a whole.
        consumed_ids: items whose id an earlier transfer has: their places in `transfer_ids`, each with its error. Such
            an item is no transfer of this bulk.
        tally: how many items have which outcome.
        fulfil_hash: the hash of the payee's answer, or None.
        error_hash: the hash of the payee's error, or None.
        trace: the trace context of the prepare, for the callbacks of an expiry.
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
    trace: str | None = None

    @property
    def state(self) -> BulkState:
        """The last state of the history."""
        return self.history[-1][0]

    @property
    def finished_at_ms(self) -> int | None:
        """The time at which the last item ended, or None while the bulk is open."""
        state, at_ms = self.history[-1]
        return at_ms if state.is_final else None

    def step(self, step: BulkStep, now_ms: int) -> Bulk:
        """Return the bulk one step further.

        Raises:
            IllegalBulkTransitionError: the table has no such step from the current state.
        """
        following = BULK_TRANSITIONS[self.state].get(step)
        if following is None:
            raise IllegalBulkTransitionError(f"{self.bulk_id}: {step.value} in {self.state.value}")
        return replace(self, history=(*self.history, (following, now_ms)))
