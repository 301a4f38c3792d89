"""A settlement: its accounts, their states and the table of legal steps (protocol 9.3, 9.4).

An account may take its next state only while the settlement as a whole is in the state before; the settlement takes
the next state with its last account. Net recipients lose their claim at RESERVED and net senders are relieved at
COMMITTED, so that the scheme is never exposed in between.

Money moves on other partitions than the coordinator's. An account that has to be moved takes its new state when its
partition has confirmed the moves; until then it is `moving`.
"""

from __future__ import annotations

import uuid
from enum import Enum
from typing import Final

import msgspec
from msgspec.structs import replace

from clearinghub.domain.errors import ErrorInformation, Rejection
from clearinghub.domain.settlement.netting import NettingGroup
from clearinghub.rows import Row

# A namespace of its own, so that no id here is one that a DFSP's software derives from the same words.
_NAMESPACE: Final = uuid.UUID("b1a3f4f2-7d0c-5b0e-9d53-3f0f3f6a0c7e")

NET_RECIPIENT: Final = "SETTLEMENT_NET_RECIPIENT"
NET_SENDER: Final = "SETTLEMENT_NET_SENDER"
NET_ZERO: Final = "SETTLEMENT_NET_ZERO"


class SettlementState(Enum):
    """States of a settlement and of its accounts; only the settlement as a whole can be SETTLING."""

    PENDING_SETTLEMENT = "PENDING_SETTLEMENT"
    PS_TRANSFERS_RECORDED = "PS_TRANSFERS_RECORDED"
    PS_TRANSFERS_RESERVED = "PS_TRANSFERS_RESERVED"
    PS_TRANSFERS_COMMITTED = "PS_TRANSFERS_COMMITTED"
    SETTLING = "SETTLING"
    SETTLED = "SETTLED"
    ABORTED = "ABORTED"


PENDING: Final = SettlementState.PENDING_SETTLEMENT
RECORDED: Final = SettlementState.PS_TRANSFERS_RECORDED
RESERVED: Final = SettlementState.PS_TRANSFERS_RESERVED
COMMITTED: Final = SettlementState.PS_TRANSFERS_COMMITTED
SETTLING: Final = SettlementState.SETTLING
SETTLED: Final = SettlementState.SETTLED
ABORTED: Final = SettlementState.ABORTED

STEPS: Final[dict[SettlementState, SettlementState]] = {
    PENDING: RECORDED,
    RECORDED: RESERVED,
    RESERVED: COMMITTED,
    COMMITTED: SETTLED,
    SETTLING: SETTLED,
}
"""By the settlement's state, the state that its accounts may take."""

ABORTABLE: Final = frozenset({PENDING, RECORDED, RESERVED})

MAKING: Final = "making"  # stages of a settlement's rows: its accounts are being made,
WHOLE: Final = "whole"  # all are there,
ABORTING: Final = "aborting"  # they are aborted, one after the other,
LEAVING: Final = "leaving"  # its retention is over, and they are being deleted


class Terms(msgspec.Struct, frozen=True, array_like=True):
    """The terms that a settlement copies from its model when it is created; later changes of the model do not apply."""

    model: str
    ledger_account_type: str
    by_pairs: bool
    require_liquidity_check: bool
    auto_position_reset: bool


class Leg(msgspec.Struct, frozen=True, array_like=True):
    """What an account owes (positive) or is owed (negative) against one counterparty, or against all ("")."""

    counterparty: str
    net: int


class Move(msgspec.Struct, frozen=True, array_like=True):
    """One change of an account by a settlement: the id and the entry type under which it is booked."""

    transfer_id: str
    change: int
    entry_type: str


class SettlementAccount(Row, frozen=True, array_like=True):
    """One account of a settlement. `moved` is by how much the settlement has moved it so far.

    `owing` and `owed` are the sums of its legs of either sign; the legs are rows of their own.

    `moving` is the state that it takes when the moves under way are done. They are requested from its partition in
    parts, one after the other: `moves_requested` counts the requests and `moves_done` the confirmations. `cursor` is
    the row key of the last leg whose move was requested, empty before the first; `undone` that of the last leg that an
    abort has requested back. `queued` is its number in the queue, 0 if it does not wait for its turn.
    `waited_for` are the numbers of the commands whose replies wait for it.
    """

    participant: str
    participant_id: int
    account_id: int
    currency: str
    state: SettlementState
    reason: str
    external_reference: str | None
    created_at_ms: int
    changed_at_ms: int
    owing: int = 0
    owed: int = 0
    moving: SettlementState | None = None
    moved: int = 0
    moves_requested: int = 0
    moves_done: int = 0
    cursor: str = ""
    undone: str = ""
    queued: int = 0
    waited_for: tuple[int, ...] = ()

    @property
    def net(self) -> int:
        """The netSettlementAmount: positive for what the account owes."""
        return self.owing - self.owed

    @property
    def has_request_under_way(self) -> bool:
        """Whether its partition has a request that is not confirmed yet."""
        return self.moves_done < self.moves_requested

    @property
    def is_moving(self) -> bool:
        """Whether a move of the account is requested, or still to be requested."""
        return self.has_request_under_way or self.queued > 0 or self.moving is not None or self.has_moves_to_undo

    @property
    def has_moves_to_undo(self) -> bool:
        """Whether it is aborted and not all of its moves were requested back."""
        return self.state is ABORTED and self.undone < self.cursor

    @property
    def heading_for(self) -> SettlementState:
        """The state that the account has, or is about to have."""
        return self.state if self.moving is None else self.moving


class Settlement(Row, frozen=True, array_like=True):
    """One settlement. `contents` are the parts of windows that it settles; `version` counts its changes.

    Its accounts are rows of their own, of which it keeps the numbers: `accounts` of all, `ahead` of those that have the
    state that follows the settlement's, `heading` of those that have it or move towards it, `moving` of those that
    move, and `in_turn` of those that move and do not wait for their turn. `queue_first` and `queue_next` are the
    numbers of the first that waits and of the next that will; `commands` counts the commands that had to wait and
    `commands_waiting` those that still do.
    """

    settlement_id: int
    terms: Terms
    state: SettlementState
    reason: str
    external_reference: str | None
    created_at_ms: int
    changed_at_ms: int
    contents: tuple[tuple[int, NettingGroup], ...]
    version: int = 1
    stage: str = MAKING
    accounts: int = 0
    legs: int = 0
    ahead: int = 0
    heading: int = 0
    moving: int = 0
    in_turn: int = 0
    queue_first: int = 1
    queue_next: int = 1
    commands: int = 0
    commands_waiting: int = 0

    @property
    def window_ids(self) -> tuple[int, ...]:
        """The ids of its windows, oldest first."""
        return tuple(sorted({window_id for window_id, _netting_group in self.contents}))

    @property
    def is_whole(self) -> bool:
        """Whether all of its accounts are there: it is neither being made nor being deleted."""
        return self.stage in (WHOLE, ABORTING)

    def after(self, before: SettlementAccount, account: SettlementAccount, now_ms: int) -> Settlement:
        """Return the settlement after one of its accounts has changed, in the state that follows from all of them."""
        following = STEPS.get(self.state)
        changed = replace(
            self,
            changed_at_ms=now_ms,
            version=self.version + 1,
            ahead=self.ahead + (account.state is following) - (before.state is following),
            heading=self.heading + (account.heading_for is following) - (before.heading_for is following),
            moving=self.moving + account.is_moving - before.is_moving,
        )
        assert 0 <= changed.ahead <= changed.heading <= changed.accounts
        assert 0 <= changed.moving <= changed.accounts
        if following is None:
            return changed
        if changed.ahead == changed.accounts:
            return replace(changed, state=following, ahead=0, heading=0)
        if following is SETTLED and changed.ahead:
            return replace(changed, state=SETTLING)
        return changed


class AccountRequest(msgspec.Struct, frozen=True):
    """The state that an operator requests for one account of a settlement, and why."""

    participant_id: int
    account_id: int
    state: SettlementState
    reason: str
    external_reference: str | None


class AccountResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one account's request: `error` is None if it was accepted.

    `state` and `reason` repeat a refused request; of an accepted one, the settlement has them.
    """

    participant_id: int
    account_id: int
    error: ErrorInformation | None = None
    state: SettlementState | None = None
    reason: str | None = None

    @classmethod
    def of(cls, request: AccountRequest, rejection: Rejection | None) -> AccountResult:
        """Return the result of a request that was accepted, or refused with `rejection`."""
        if rejection is None:
            return cls(request.participant_id, request.account_id)
        error = ErrorInformation.of(rejection)
        return cls(request.participant_id, request.account_id, error, request.state, request.reason)


def transfer_id_of(settlement_id: int, account_id: int, counterparty: str) -> str:
    """Return the id of a settlement transfer; it is derived, so that a replay makes the same."""
    return str(uuid.uuid5(_NAMESPACE, f"{settlement_id}/{account_id}/{counterparty}"))


def entry_type_of(net: int) -> str:
    """Return the ledger entry type of a settlement transfer."""
    if net == 0:
        return NET_ZERO
    return NET_RECIPIENT if net < 0 else NET_SENDER


def moves_due(settlement: Settlement, account: SettlementAccount, state: SettlementState) -> int:
    """Return by how much an account's step to `state` moves it: what it is owed at RESERVED, what it owes at COMMITTED.

    What recipients are owed moves first, so that the scheme is never exposed (protocol 9.4).
    """
    if not settlement.terms.auto_position_reset:
        return 0
    if state is RESERVED:
        return account.owed
    return -account.owing if state is COMMITTED else 0


def move_of(settlement_id: int, account_id: int, leg: Leg, state: SettlementState) -> Move | None:
    """Return the move of one leg in the step to `state`, or None if it does not move then."""
    if not leg.net or (leg.net < 0) != (state is RESERVED):
        return None
    return Move(transfer_id_of(settlement_id, account_id, leg.counterparty), -leg.net, entry_type_of(leg.net))
