"""A transfer: its states, the table of its legal steps, and the row that the ledger keeps of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple

from clearinghub.domain.errors import ErrorInformation


class State(Enum):
    """Internal states, in Mojaloop's words; `enumeration` is what a DFSP is shown (protocol 3.9)."""

    RECEIVED_PREPARE = ("RECEIVED_PREPARE", "RECEIVED")
    RESERVED = ("RESERVED", "RESERVED")
    RECEIVED_FULFIL = ("RECEIVED_FULFIL", "RESERVED")
    RECEIVED_ERROR = ("RECEIVED_ERROR", "RESERVED")
    RECEIVED_REJECT = ("RECEIVED_REJECT", "RESERVED")
    RESERVED_TIMEOUT = ("RESERVED_TIMEOUT", "RESERVED")
    COMMITTED = ("COMMITTED", "COMMITTED")
    SETTLED = ("SETTLED", "COMMITTED")
    INVALID = ("INVALID", "ABORTED")
    ABORTED_REJECTED = ("ABORTED_REJECTED", "ABORTED")
    ABORTED_ERROR = ("ABORTED_ERROR", "ABORTED")
    EXPIRED_PREPARED = ("EXPIRED_PREPARED", "ABORTED")
    EXPIRED_RESERVED = ("EXPIRED_RESERVED", "ABORTED")

    def __init__(self, label: str, enumeration: str) -> None:
        self.label = label
        self.enumeration = enumeration

    @property
    def is_final(self) -> bool:
        """True when both DFSPs can rely on the outcome."""
        return self.enumeration in ("COMMITTED", "ABORTED")


class Step(Enum):
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

TRANSFER_KIND: Final = "transfer"  # between two DFSPs; the only kind that messages and the clock can move

STATE_BY_LABEL: Final[Mapping[str, State]] = {state.label: state for state in State}


class IllegalTransitionError(Exception):
    """A step that the table does not know: a bug of the hub, never the fault of a message."""


class Transfer(NamedTuple):
    """One transfer, whole. Amounts are integers of 1/10,000 of the currency unit; times are milliseconds since 1970.

    `history` lists every state with its time, oldest first. The three hashes tell a repeated message from a changed
    one. `completed_timestamp` is the payee's text as it came, or None. `extensions` and `fulfil_extensions` are the
    extension lists of the prepare and of the fulfil as parsed JSON. `kind` is `transfer`, `funds-in` or `funds-out`;
    in the latter two the participant is both sides and the hub moves its settlement account.

    A named tuple, as all that is copied for every transfer: copying costs a fifth of what it does a frozen dataclass.
    """

    transfer_id: str
    payer: str
    payee: str
    amount: int
    currency: str
    condition: str
    expires_at_ms: int
    state: State
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
    prepare_offset: int | None = None  # where on its partition of topic `prepare` the message itself is kept
    bulk_id: str | None = None  # of the bulk whose line it is; that message is on topic `bulk-prepare`
    interchange_fee: int = 0  # what the payer's DFSP owes the payee's if it commits; negative the other way round
    sequence: int | None = None  # of its final state, among all of its partition; None while it is open

    @property
    def changed_at_ms(self) -> int:
        """Time of the last state change."""
        return self.history[-1][1]

    @property
    def finished_at_ms(self) -> int | None:
        """Time at which its outcome was decided, or None while it is open. Settling later does not move it."""
        return next((at_ms for state, at_ms in self.history if state.is_final), None)

    def step(self, step: Step, now_ms: int) -> Transfer:
        """The transfer one step on.

        Raises:
            IllegalTransitionError: the table has no such step from this state.
        """
        following = TRANSITIONS[self.state].get(step)
        if following is None:
            raise IllegalTransitionError(f"{self.transfer_id}: {step.value} in {self.state.label}")
        return self._replace(state=following, history=(*self.history, (following, now_ms)))
