"""The moves that a settlement requests from its accounts' partitions: some legs at a time, some accounts at a time.

A settlement by pairs may have to move hundreds of thousands of legs. So an account's legs are requested in parts, one
after the other, and only a few accounts of a settlement are moved at the same time; the others wait in a queue.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from agents.settlement.settlements import find_account, store_account
from clearinghub.domain.settlement.progress import moved_in
from clearinghub.domain.settlement.settlement import (
    ABORTED,
    RESERVED,
    Leg,
    Move,
    Settlement,
    SettlementAccount,
    SettlementState,
    move_of,
)
from clearinghub.engine.record import View
from clearinghub.messages import encode
from clearinghub.messages.settlement import MoveMessage
from tables.settlements import LEGS, QUEUES, Queued, leg_place, legs_prefix, queue_key, queue_prefix

# A coordinator's round confirms about so many thousand moves, a record of topic `positions` each.
MOVES_AT_ONCE: Final = 100  # of one account
ACCOUNTS_IN_TURN_MAX: Final = 20  # of one settlement


def start_moving(
    view: View, settlement: Settlement, account: SettlementAccount
) -> tuple[Settlement, SettlementAccount]:
    """Request the first moves of an account, or let it wait for its turn; return both as they then are."""
    if settlement.in_turn < ACCOUNTS_IN_TURN_MAX:
        return replace(settlement, in_turn=settlement.in_turn + 1), request_moves(view, settlement, account)
    number = settlement.queue_next
    view.put(QUEUES, queue_key(settlement.settlement_id, number), Queued(account.account_id))
    return replace(settlement, queue_next=number + 1), replace(account, queued=number)


def leave_queue(view: View, settlement: Settlement, account: SettlementAccount) -> SettlementAccount:
    """Take an account out of the queue if it is there: it is aborted, and had not begun to move."""
    if account.queued:
        view.delete(QUEUES, queue_key(settlement.settlement_id, account.queued))
    return replace(account, queued=0)


def start_next(view: View, settlement: Settlement, now_ms: int) -> Settlement:
    """After an account has moved, begin with the one that has waited longest."""
    settlement = replace(settlement, in_turn=settlement.in_turn - 1)
    assert settlement.in_turn >= 0
    for key in view.keys(QUEUES, queue_prefix(settlement.settlement_id), "", 1):
        queued = view.get(QUEUES, key)
        assert queued is not None
        view.delete(QUEUES, key)
        before = find_account(view, settlement.settlement_id, queued.account_id)
        assert before is not None
        assert before.queued
        settlement = replace(settlement, in_turn=settlement.in_turn + 1)
        account = request_moves(view, settlement, replace(before, queued=0))
        settlement = store_account(view, settlement, before, account, now_ms)
    return settlement


def request_moves(view: View, settlement: Settlement, account: SettlementAccount) -> SettlementAccount:
    """Request the next moves of an account, forward or, if it is aborted, back; return it with how far it is."""
    back = account.state is ABORTED
    moves, cursor = _next_moves(view, settlement, account)
    assert moves, f"account {account.account_id} has nothing left to move"
    change = sum(move.change for move in moves)
    is_first = not back and not account.cursor
    number = account.moves_requested + 1
    target = 0 if back else moved_in(account, _direction(account))
    message = MoveMessage(
        settlement=settlement.settlement_id,
        number=number,
        participant=account.participant,
        account_id=account.account_id,
        currency=account.currency,
        account_type=settlement.terms.ledger_account_type,
        moves=moves,
        raise_cap=settlement.terms.require_liquidity_check and is_first and change > 0,
        adds_in_all=account.owed if is_first else 0,
        is_last=account.moved + change == target,
    )
    view.emit("settlement", account.participant, encode(message))
    requested = replace(account, moves_requested=number)
    return replace(requested, undone=cursor) if back else replace(requested, cursor=cursor)


def _direction(account: SettlementAccount) -> SettlementState:
    return RESERVED if account.state is ABORTED or account.moving is None else account.moving


def _next_moves(view: View, settlement: Settlement, account: SettlementAccount) -> tuple[tuple[Move, ...], str]:
    """Return the next moves of an account, at least one, and the key of the last leg that they take in."""
    number, account_id, back = settlement.settlement_id, account.account_id, account.state is ABORTED
    state, cursor = _direction(account), account.undone if back else account.cursor
    end, at = account.cursor if back else None, cursor
    moves: list[Move] = []
    while not moves and (keys := view.keys(LEGS, legs_prefix(number, account_id), at, MOVES_AT_ONCE)):
        at = keys[-1]
        for key in keys if end is None else [key for key in keys if key <= end]:
            leg = view.get(LEGS, key)
            assert leg is not None
            move = move_of(number, account_id, Leg(leg_place(key)[1], leg.net), state)
            if move is not None:
                moves.append(replace(move, change=-move.change) if back else move)
                cursor = key
    return tuple(moves), cursor
