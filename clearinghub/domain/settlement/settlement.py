"""A settlement: its accounts, their states and the table of legal steps (protocol 9.3, 9.4).

An account may go one state further only while the settlement as a whole is in the state before; the settlement goes on
when its last account has. Net recipients give their claim up at RESERVED and net senders are relieved at COMMITTED, so
that the scheme is never exposed in between.

Money moves on other partitions than the one that decides. An account that has to be moved takes its new state when that
partition says that it was: until then it is `moving`.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from clearinghub.domain.settlement.netting import NettingGroup

# The settlement's own namespace, so that an id here is none that a DFSP's software derives from the same words.
_NAMESPACE: Final = uuid.UUID("b1a3f4f2-7d0c-5b0e-9d53-3f0f3f6a0c7e")

NET_RECIPIENT: Final = "SETTLEMENT_NET_RECIPIENT"
NET_SENDER: Final = "SETTLEMENT_NET_SENDER"
NET_ZERO: Final = "SETTLEMENT_NET_ZERO"


class SettlementState(Enum):
    """States of a settlement and of its accounts; SETTLING is the whole's alone."""

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
"""The state that an account may take while the settlement is in that one."""

ABORTABLE: Final = frozenset({PENDING, RECORDED, RESERVED})


@dataclass(frozen=True, slots=True)
class Terms:
    """What a settlement takes from its model when it is created; a later change of the model does not touch it."""

    model: str
    ledger_account_type: str
    by_pairs: bool
    require_liquidity_check: bool
    auto_position_reset: bool


@dataclass(frozen=True, slots=True)
class Leg:
    """What an account owes (positive) or is owed (negative) against one counterparty, or against all ("")."""

    counterparty: str
    net: int


@dataclass(frozen=True, slots=True)
class Move:
    """One change of one account, and the entry and the id under which it stands in the account's history."""

    transfer_id: str
    change: int
    entry_type: str


@dataclass(frozen=True, slots=True)
class Line:
    """One account of a settlement. `moved` is by how much the settlement has moved it, as its partition has said.

    `moving` is the state that it takes when the changes under way are done; `moves_asked` counts what was asked of its
    partition, `moves_done` what was answered, so that the last answer is known from one before.
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
    moves_asked: int = 0
    moves_done: int = 0

    @property
    def net(self) -> int:
        """The netSettlementAmount: positive for what it owes."""
        return sum(leg.net for leg in self.legs)

    @property
    def heading_for(self) -> SettlementState:
        """The state that it has or is about to have."""
        return self.state if self.moving is None else self.moving


@dataclass(frozen=True, slots=True)
class Settlement:
    """One settlement, whole. `contents` are the parts of windows that it settles; `version` counts its changes."""

    settlement_id: int
    terms: Terms
    state: SettlementState
    reason: str
    external_reference: str | None
    created_at_ms: int
    changed_at_ms: int
    contents: tuple[tuple[int, NettingGroup], ...]
    lines: tuple[Line, ...]
    version: int = 1

    @property
    def window_ids(self) -> tuple[int, ...]:
        """Its windows, oldest first."""
        return tuple(sorted({window_id for window_id, _netting_group in self.contents}))

    def line(self, account_id: int) -> Line | None:
        """The line of an account, or None."""
        return next((line for line in self.lines if line.account_id == account_id), None)

    @property
    def is_moving(self) -> bool:
        """Some account is being moved now."""
        return any(line.moves_done < line.moves_asked for line in self.lines)


def transfer_id_of(settlement_id: int, account_id: int, counterparty: str) -> str:
    """The id of a settlement transfer: derived, so that a replay gives the same."""
    return str(uuid.uuid5(_NAMESPACE, f"{settlement_id}/{account_id}/{counterparty}"))


def entry_type_of(net: int) -> str:
    """The ledger entry type of a settlement transfer."""
    if net == 0:
        return NET_ZERO
    return NET_RECIPIENT if net < 0 else NET_SENDER


def moves_of(settlement: Settlement, line: Line, state: SettlementState) -> tuple[Move, ...]:
    """What an account's step to `state` changes: recipients' legs at RESERVED, senders' at COMMITTED (protocol 9.4)."""
    if not settlement.terms.auto_position_reset or state not in (RESERVED, COMMITTED):
        return ()
    return tuple(
        Move(
            transfer_id_of(settlement.settlement_id, line.account_id, leg.counterparty),
            -leg.net,
            entry_type_of(leg.net),
        )
        for leg in line.legs
        if leg.net and (leg.net < 0) == (state is RESERVED)
    )


def reversal_of(settlement: Settlement, line: Line) -> tuple[Move, ...]:
    """What takes an aborted account back: the opposite of all that was asked of its partition so far."""
    if line.heading_for is not RESERVED:
        return ()
    return tuple(replace(move, change=-move.change) for move in moves_of(settlement, line, RESERVED))


def with_lines(settlement: Settlement, lines: dict[int, Line], now_ms: int) -> Settlement:
    """The settlement with some of its lines replaced, by account, in the state that follows from all of them."""
    if not lines:
        return settlement
    merged = tuple(lines.get(line.account_id, line) for line in settlement.lines)
    changed = replace(settlement, lines=merged, changed_at_ms=now_ms, version=settlement.version + 1)
    return replace(changed, state=_state_of(changed))


def _state_of(settlement: Settlement) -> SettlementState:
    """Where the settlement stands now that its accounts stand so."""
    following = STEPS.get(settlement.state)
    if following is None:
        return settlement.state
    if all(line.state is following for line in settlement.lines):
        return following
    if following is SETTLED and any(line.state is SETTLED for line in settlement.lines):
        return SETTLING
    return settlement.state
