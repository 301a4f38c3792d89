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


class SettlementAccount(msgspec.Struct, frozen=True, array_like=True):
    """One account of a settlement. `moved` is by how much the settlement has moved it so far.

    `moving` is the state that it takes when the moves under way are done. `moves_requested` counts the requests to its
    partition and `moves_done` the confirmations, so that the last confirmation is known from an earlier one.
    """

    participant: str
    participant_id: int
    account_id: int
    currency: str
    legs: tuple[Leg, ...]
    state: SettlementState
    reason: str
    external_reference: str | None
    created_at_ms: int
    changed_at_ms: int
    moving: SettlementState | None = None
    moved: int = 0
    moves_requested: int = 0
    moves_done: int = 0

    @property
    def net(self) -> int:
        """The netSettlementAmount: positive for what the account owes."""
        return sum(leg.net for leg in self.legs)

    @property
    def is_moving(self) -> bool:
        """Whether a move of the account is not confirmed yet."""
        return self.moves_done < self.moves_requested

    @property
    def heading_for(self) -> SettlementState:
        """The state that the account has, or is about to have."""
        return self.state if self.moving is None else self.moving


class Settlement(Row, frozen=True, array_like=True):
    """One settlement. `contents` are the parts of windows that it settles; `version` counts its changes."""

    settlement_id: int
    terms: Terms
    state: SettlementState
    reason: str
    external_reference: str | None
    created_at_ms: int
    changed_at_ms: int
    contents: tuple[tuple[int, NettingGroup], ...]
    accounts: tuple[SettlementAccount, ...]
    version: int = 1

    @property
    def window_ids(self) -> tuple[int, ...]:
        """The ids of its windows, oldest first."""
        return tuple(sorted({window_id for window_id, _netting_group in self.contents}))

    def account(self, account_id: int) -> SettlementAccount | None:
        """Return the account of that id, or None."""
        return next((account for account in self.accounts if account.account_id == account_id), None)

    @property
    def is_moving(self) -> bool:
        """Whether a move of some account is not confirmed yet."""
        return any(account.is_moving for account in self.accounts)


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


def moves_of(settlement: Settlement, account: SettlementAccount, state: SettlementState) -> tuple[Move, ...]:
    """Return the moves of an account's step to `state`.

    What recipients are owed moves at RESERVED, what senders owe at COMMITTED (protocol 9.4).
    """
    if not settlement.terms.auto_position_reset or state not in (RESERVED, COMMITTED):
        return ()
    return tuple(
        Move(
            transfer_id_of(settlement.settlement_id, account.account_id, leg.counterparty),
            -leg.net,
            entry_type_of(leg.net),
        )
        for leg in account.legs
        if leg.net and (leg.net < 0) == (state is RESERVED)
    )


def reversal_of(settlement: Settlement, account: SettlementAccount) -> tuple[Move, ...]:
    """Return the moves that take an aborted account back: the opposite of all that was requested so far."""
    if account.heading_for is not RESERVED:
        return ()
    return tuple(replace(move, change=-move.change) for move in moves_of(settlement, account, RESERVED))


def with_accounts(settlement: Settlement, accounts: dict[int, SettlementAccount], now_ms: int) -> Settlement:
    """Return the settlement with some of its accounts replaced, in the state that follows from all of them."""
    if not accounts:
        return settlement
    merged = tuple(accounts.get(account.account_id, account) for account in settlement.accounts)
    changed = replace(settlement, accounts=merged, changed_at_ms=now_ms, version=settlement.version + 1)
    return replace(changed, state=_state_of(changed))


def _state_of(settlement: Settlement) -> SettlementState:
    """Return the settlement's state, derived from its accounts."""
    following = STEPS.get(settlement.state)
    if following is None:
        return settlement.state
    if all(account.state is following for account in settlement.accounts):
        return following
    if following is SETTLED and any(account.state is SETTLED for account in settlement.accounts):
        return SETTLING
    return settlement.state
