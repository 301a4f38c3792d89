"""A transfer: its states, the table of its legal steps, and the row that the ledger keeps of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from msgspec.structs import replace

from clearinghub.domain.errors import ErrorInformation
from clearinghub.rows import Row


class State(StrEnum):
    """A transfer's state inside the hub, in Mojaloop's words (protocol 3.9)."""

    RECEIVED_PREPARE = "RECEIVED_PREPARE"
    RESERVED = "RESERVED"
    RECEIVED_FULFIL = "RECEIVED_FULFIL"
    RECEIVED_ERROR = "RECEIVED_ERROR"
    RECEIVED_REJECT = "RECEIVED_REJECT"
    RESERVED_TIMEOUT = "RESERVED_TIMEOUT"
    COMMITTED = "COMMITTED"
    SETTLED = "SETTLED"
    INVALID = "INVALID"
    ABORTED_REJECTED = "ABORTED_REJECTED"
    ABORTED_ERROR = "ABORTED_ERROR"
    EXPIRED_PREPARED = "EXPIRED_PREPARED"
    EXPIRED_RESERVED = "EXPIRED_RESERVED"

    @property
    def enumeration(self) -> str:
        """The API's transferState, which is what a DFSP sees of this state."""
        return _ENUMERATIONS[self]

    @property
    def is_final(self) -> bool:
        """Whether both DFSPs can rely on the outcome: it is COMMITTED or ABORTED for ever."""
        return self in _FINAL


_ENUMERATIONS: Final[Mapping[State, str]] = {
    State.RECEIVED_PREPARE: "RECEIVED",
    State.RESERVED: "RESERVED",
    State.RECEIVED_FULFIL: "RESERVED",
    State.RECEIVED_ERROR: "RESERVED",
    State.RECEIVED_REJECT: "RESERVED",
    State.RESERVED_TIMEOUT: "RESERVED",
    State.COMMITTED: "COMMITTED",
    State.SETTLED: "COMMITTED",
    State.INVALID: "ABORTED",
    State.ABORTED_REJECTED: "ABORTED",
    State.ABORTED_ERROR: "ABORTED",
    State.EXPIRED_PREPARED: "ABORTED",
    State.EXPIRED_RESERVED: "ABORTED",
}
_FINAL: Final = frozenset(state for state, name in _ENUMERATIONS.items() if name in ("COMMITTED", "ABORTED"))


class Step(StrEnum):
    """What may happen to a transfer."""

    RESERVE = "reserve"
    REFUSE = "refuse"
    ACCEPT_FULFIL = "accept-fulfil"
    ACCEPT_ERROR = "accept-error"
    ACCEPT_REJECT = "accept-reject"
    COMMIT = "commit"
    ABORT = "abort"
    EXPIRE = "expire"
    UNWIND = "unwind"
    SETTLE = "settle"


TRANSITIONS: Final[Mapping[State, Mapping[Step, State]]] = {
    State.RECEIVED_PREPARE: {
        Step.RESERVE: State.RESERVED,
        Step.REFUSE: State.ABORTED_REJECTED,
        Step.EXPIRE: State.EXPIRED_PREPARED,
    },
    State.RESERVED: {
        Step.ACCEPT_FULFIL: State.RECEIVED_FULFIL,
        Step.ACCEPT_ERROR: State.RECEIVED_ERROR,
        Step.ACCEPT_REJECT: State.RECEIVED_REJECT,
        Step.EXPIRE: State.RESERVED_TIMEOUT,
    },
    State.RECEIVED_FULFIL: {Step.COMMIT: State.COMMITTED},
    State.RECEIVED_ERROR: {Step.ABORT: State.ABORTED_ERROR},
    State.RECEIVED_REJECT: {Step.ABORT: State.ABORTED_REJECTED},
    State.RESERVED_TIMEOUT: {Step.UNWIND: State.EXPIRED_RESERVED},
    State.COMMITTED: {Step.SETTLE: State.SETTLED},
    State.SETTLED: {},
    State.INVALID: {},
    State.ABORTED_REJECTED: {},
    State.ABORTED_ERROR: {},
    State.EXPIRED_PREPARED: {},
    State.EXPIRED_RESERVED: {},
}

TRANSFER_KIND: Final = "transfer"


class IllegalTransitionError(Exception):
    """A step that the table does not have: a bug of the hub, never the fault of a message."""


class Transfer(Row, frozen=True, array_like=True):
    """The row of one transfer. Amounts are integers of 1/10,000 of the currency unit, times milliseconds since 1970.

    Attributes:
        history: every state with the time at which it was reached, oldest first.
        prepare_hash: the hash of the prepare's body, which distinguishes a repeated request from a changed one.
        fulfil_hash: the same of the payee's first fulfil, accepted or refused; None until it comes.
        error_hash: the same of the payee's error.
        completed_timestamp: the payee's text as it came.
        window: the settlement window in which the transfer was committed.
        extensions: the extensionList of the prepare, as parsed JSON.
        fulfil_extensions: the extensionList of the fulfil, as parsed JSON.
        kind: `transfer` between two DFSPs, which messages and the clock can move; or `funds-in` or `funds-out`, in
            which the participant is both payer and payee and an operator moves its settlement account.
        prepare_offset: where the prepare is on its partition of topic `prepare`, or of `bulk-prepare` for an item.
        bulk_id: the bulk of which the transfer is an item.
        interchange_fee: what the payer's DFSP will owe the payee's on commit; negative the other way round.
        sequence: counts the final states of its partition, from 1; None while the transfer is open.
        trace: the trace context of the prepare, for the callbacks of an expiry; None once the transfer is final.
        number: counts the transfers of its partition, from 1, in the order in which they were stored.
        by: the operator who has recorded or reserved funds; "" for transfers of DFSPs, and with security=open.
    """

    transfer_id: str
    payer: str
    payee: str
    amount: int
    currency: str
    condition: str
    expires_at_ms: int
    history: tuple[tuple[State, int], ...]
    prepare_hash: str
    fulfil_hash: str | None = None
    error_hash: str | None = None
    fulfilment: str | None = None
    completed_timestamp: str | None = None
    window: int | None = None
    error: ErrorInformation | None = None
    extensions: object = None
    fulfil_extensions: object = None
    kind: str = TRANSFER_KIND
    prepare_offset: int | None = None
    bulk_id: str | None = None
    interchange_fee: int = 0
    sequence: int | None = None
    trace: str | None = None
    number: int | None = None
    by: str = ""

    @property
    def state(self) -> State:
        """The last state of the history."""
        return self.history[-1][0]

    @property
    def changed_at_ms(self) -> int:
        """The time at which the current state was reached."""
        return self.history[-1][1]

    @property
    def finished_at_ms(self) -> int | None:
        """The time at which the outcome was decided, unchanged by settling; None while the transfer is open."""
        return next((at_ms for state, at_ms in self.history if state.is_final), None)

    @property
    def was_reserved(self) -> bool:
        """Whether the transfer ever held the payer's money, and so was forwarded to the payee."""
        return any(state is State.RESERVED for state, _at_ms in self.history)

    def step(self, step: Step, now_ms: int) -> Transfer:
        """Return the transfer one step further.

        Raises:
            IllegalTransitionError: the table has no such step from the current state.
        """
        following = TRANSITIONS[self.state].get(step)
        if following is None:
            raise IllegalTransitionError(f"{self.transfer_id}: {step.value} in {self.state.value}")
        return replace(self, history=(*self.history, (following, now_ms)))
