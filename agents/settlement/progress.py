"""How a settlement proceeds: the coordinator decides, the accounts' partitions move and confirm (protocol 9.4, 9.5).

The coordinator stores an operator's change and requests the moves (`MoveMessage`, moves.py). Each confirmation
(`MovedMessage`) moves the hub's account by the opposite amount, and may take the settlement to its next state. The
operator's reply follows when every account of the request has moved, so that the operator then reads the new balances.
"""

from __future__ import annotations

from typing import Final

from agents.posting import emit_reply, move_account
from agents.settlement.settlements import (
    Answer,
    find_settlement,
    move_contents,
    settlement_result,
    store_settlement,
)
from agents.turn import Turn
from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.scheme import HUB_MULTILATERAL_SETTLEMENT
from clearinghub.domain.settlement.progress import AccountMoves, Progress, abort, advance, confirm_moves
from clearinghub.domain.settlement.settlement import ABORTED, AccountResult, Settlement
from clearinghub.engine.record import View
from clearinghub.messages import encode
from clearinghub.messages.commands import AbortSettlement, AdvanceSettlement, CommandMessage
from clearinghub.messages.settlement import MovedMessage, MoveMessage
from tables.positions import position_key
from tables.settlements import WAITING, WaitingCommand, WaitingCommands, waiting_key

WAITING_MAX: Final = 100  # commands of one settlement whose replies wait
WAITING_BYTES_MAX: Final = 4 * 1024 * 1024  # of these together: they are one row, and a record may have 7 MiB
_NOT_FOUND: Final = Rejection(ErrorCode.VALIDATION_ERROR, "Settlement not found")
_BUSY: Final = Rejection(ErrorCode.SERVER_BUSY, "Too many changes of this settlement are under way")


def advance_settlement(turn: Turn, message: CommandMessage, command: AdvanceSettlement) -> Answer | None:
    """Move accounts of a settlement to their next state; None if the reply follows when they have moved."""
    settlement = find_settlement(turn.view, command.settlement)
    if settlement is None:
        return _NOT_FOUND
    return _carry_out(turn, message, settlement, advance(settlement, command.accounts, turn.now_ms))


def abort_settlement(turn: Turn, message: CommandMessage, command: AbortSettlement) -> Answer | None:
    """Abort a settlement; None if the reply follows when its accounts have moved back."""
    settlement = find_settlement(turn.view, command.settlement)
    if settlement is None:
        return _NOT_FOUND
    progress = abort(settlement, command.reason, command.external_reference, turn.now_ms)
    if isinstance(progress, Rejection):
        return progress
    return _carry_out(turn, message, settlement, progress)


def on_moved(turn: Turn, message: MovedMessage, _body: bytes) -> None:
    """Book the other side of an account's moves on the hub's account, and let the settlement proceed."""
    view = turn.view
    settlement = find_settlement(view, message.settlement)
    assert settlement is not None, f"settlement {message.settlement} was never created"
    contra = position_key(turn.hub_name, message.currency, HUB_MULTILATERAL_SETTLEMENT)
    for move in message.moves:
        move_account(turn, contra, -move.change, move.transfer_id, move.entry_type)
    change = sum(move.change for move in message.moves)
    after = confirm_moves(settlement, message.account_id, message.number, change, turn.now_ms)
    store_settlement(view, after)
    if after.state is not settlement.state:
        move_contents(view, after, turn.now_ms)
    _reply_to_waiting(view, after)


def _carry_out(turn: Turn, message: CommandMessage, before: Settlement, progress: Progress) -> Answer | None:
    """Store and request what was decided; None if the reply waits for accounts to move."""
    view, settlement = turn.view, progress.settlement
    key = waiting_key(settlement.settlement_id)
    waiting = view.get(WAITING, key) or WaitingCommands()
    if len(waiting.commands) >= WAITING_MAX:
        return _BUSY
    moving = _moving_accounts(settlement, progress.results)
    waits = WaitingCommand(message.correlation_id, message.reply_to, moving, progress.results)
    longer = WaitingCommands((*waiting.commands, waits))
    if moving and len(WAITING.encode(longer)) > WAITING_BYTES_MAX:
        return _BUSY
    if settlement is not before:
        store_settlement(view, settlement)
    if settlement.state is not before.state:
        move_contents(view, settlement, turn.now_ms)
    for one in progress.moves:
        _request_moves(view, settlement, one)
    if not moving:
        return settlement_result(view, settlement, progress.results)
    view.put(WAITING, key, longer)
    return None


def _moving_accounts(settlement: Settlement, results: tuple[AccountResult, ...]) -> tuple[int, ...]:
    """Return the accounts that a reply has to wait for: the requested ones, or all of an aborted settlement."""
    requested = {one.account_id for one in results}
    return tuple(
        account.account_id
        for account in settlement.accounts
        if account.is_moving and (account.account_id in requested or settlement.state is ABORTED)
    )


def _reply_to_waiting(view: View, settlement: Settlement) -> None:
    """Reply to those commands whose accounts have all moved."""
    key = waiting_key(settlement.settlement_id)
    waiting = view.get(WAITING, key)
    if waiting is None:
        return
    moving = {account.account_id for account in settlement.accounts if account.is_moving}
    rest: list[WaitingCommand] = []
    for command in waiting.commands:
        if moving.intersection(command.accounts):
            rest.append(command)
        else:
            emit_reply(view, command, settlement_result(view, settlement, command.results))
    if rest:
        view.put(WAITING, key, WaitingCommands(tuple(rest)))
    else:
        view.delete(WAITING, key)


def _request_moves(view: View, settlement: Settlement, requested: AccountMoves) -> None:
    account = requested.account
    added = sum(move.change for move in requested.moves)
    message = MoveMessage(
        settlement=settlement.settlement_id,
        number=requested.number,
        participant=account.participant,
        account_id=account.account_id,
        currency=account.currency,
        account_type=settlement.terms.ledger_account_type,
        moves=requested.moves,
        raise_cap=settlement.terms.require_liquidity_check and added > 0 and account.state is not ABORTED,
    )
    view.emit("settlement", account.participant, encode(message))
