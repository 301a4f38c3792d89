"""How a settlement proceeds: the coordinator decides, the accounts' partitions move and confirm (protocol 9.4, 9.5).

The coordinator stores an operator's change and requests the moves (requests.py; `MoveMessage`, moves.py). Each
confirmation (`MovedMessage`) moves the hub's account by the opposite amount, and leads to the account's next request,
to its next state, and with the last account to the settlement's. The operator's reply follows when every account of
the request has moved, so that the operator then reads the new balances.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from agents.posting import move_account
from agents.settlement.creation import request_making
from agents.settlement.requests import leave_queue, request_moves, start_moving, start_next
from agents.settlement.settlements import (
    Answer,
    find_account,
    find_settlement,
    put_settlement,
    settlement_result,
    store_account,
    store_settlement,
)
from agents.settlement.waiting import change_left, has_room, wait
from agents.settlement.windows import send_to_itself
from agents.turn import Turn
from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.scheme import HUB_MULTILATERAL_SETTLEMENT
from clearinghub.domain.settlement.progress import (
    PROCESSED_TWICE,
    abort,
    abort_account,
    advance_account,
    confirm_moves,
)
from clearinghub.domain.settlement.settlement import (
    ABORTED,
    ABORTING,
    MAKING,
    WHOLE,
    AccountResult,
    Settlement,
    SettlementAccount,
)
from clearinghub.engine.record import View
from clearinghub.messages.commands import AbortSettlement, AdvanceSettlement, CommandMessage
from clearinghub.messages.settlement import AbortAccountsMessage, MovedMessage
from tables.positions import position_key
from tables.settlements import ABORTS, ACCOUNTS, AbortProgress, abort_key, accounts_prefix

_NOT_FOUND: Final = Rejection(ErrorCode.VALIDATION_ERROR, "Settlement not found")
_BUSY: Final = Rejection(ErrorCode.SERVER_BUSY, "Too many changes of this settlement are under way")
_MAKING: Final = Rejection(ErrorCode.SERVER_BUSY, "The settlement is being made of its windows; repeat it in a while")
_ABORTING: Final = Rejection(ErrorCode.SERVER_BUSY, "The settlement's accounts are being aborted; repeat it in a while")


def advance_settlement(turn: Turn, message: CommandMessage, command: AdvanceSettlement) -> Answer | None:
    """Move accounts of a settlement to their next state; None if the reply follows when they have moved."""
    view = turn.view
    settlement = _changeable(view, command.settlement)
    if isinstance(settlement, Rejection):
        return settlement
    changed: dict[int, SettlementAccount] = {}
    results: list[AccountResult] = []
    for request in command.accounts:
        before = find_account(view, settlement.settlement_id, request.account_id)
        answer: SettlementAccount | Rejection = PROCESSED_TWICE
        if request.account_id not in changed:
            answer = advance_account(settlement, before, request, turn.now_ms)
        rejection = answer if isinstance(answer, Rejection) else None
        results.append(AccountResult.of(request, rejection))
        if not isinstance(answer, Rejection):
            changed[request.account_id] = answer
    moving = [one for one in changed.values() if one.is_moving]
    if moving and not has_room(settlement, results):
        return _BUSY
    after = settlement
    if moving:
        after = wait(view, after, message, len(moving), results)
    for account in changed.values():
        after = _change(turn, after, account)
    if changed:
        _store(turn, settlement, after)
    return None if moving else settlement_result(view, after, results)


def abort_settlement(turn: Turn, message: CommandMessage, command: AbortSettlement) -> Answer | None:
    """Abort a settlement; None if the reply follows when its accounts have moved back."""
    view = turn.view
    before = _changeable(view, command.settlement)
    if isinstance(before, Rejection):
        return before
    settlement = abort(before, command.reason, command.external_reference, turn.now_ms)
    if isinstance(settlement, Rejection):
        return settlement
    if before.state is ABORTED:
        store_settlement(view, settlement, turn.now_ms)
        return settlement_result(view, settlement)
    if not has_room(settlement, ()):
        return _BUSY
    settlement = wait(view, settlement, message, 1, ())  # for the accounts that are still to be aborted
    store_settlement(view, settlement, turn.now_ms)
    _abort_some(turn, settlement, AbortProgress(settlement.commands))
    return None


def on_abort_accounts(turn: Turn, message: AbortAccountsMessage, _body: bytes) -> None:
    """Abort the next accounts of a settlement."""
    progress = turn.view.get(ABORTS, abort_key(message.settlement))
    settlement = find_settlement(turn.view, message.settlement)
    assert settlement is not None
    if progress is not None and progress.aborted_to == message.after:
        _abort_some(turn, settlement, progress)


def on_moved(turn: Turn, message: MovedMessage, _body: bytes) -> None:
    """Book the other side of an account's moves on the hub's account, and let account and settlement proceed."""
    view, now_ms = turn.view, turn.now_ms
    before = find_settlement(view, message.settlement)
    assert before is not None, f"settlement {message.settlement} was never created"
    contra = position_key(turn.hub_name, message.currency, HUB_MULTILATERAL_SETTLEMENT)
    for move in message.moves:
        move_account(turn, contra, -move.change, move.transfer_id, move.entry_type)
    account = find_account(view, message.settlement, message.account_id)
    assert account is not None, f"settlement {message.settlement} has no account {message.account_id}"
    after = confirm_moves(account, message.number, sum(move.change for move in message.moves), now_ms)
    if after.moving is not None or after.has_moves_to_undo:
        after = request_moves(view, before, after)
        _store(turn, before, store_account(view, before, account, after, now_ms))
        return
    settlement = store_account(view, before, account, replace(after, waited_for=()), now_ms)
    settlement = start_next(view, settlement, now_ms)
    _store(turn, before, settlement)
    for number in after.waited_for:
        settlement = change_left(view, settlement, number, -1)
    put_settlement(view, settlement)


def _changeable(view: View, settlement_id: int) -> Settlement | Rejection:
    """Return a settlement if all of its accounts are there; else continue with what is missing, and say so."""
    settlement = find_settlement(view, settlement_id)
    if settlement is None:
        return _NOT_FOUND
    if settlement.stage == MAKING:
        request_making(view, settlement_id)
        return _MAKING
    if settlement.stage == ABORTING:
        progress = view.get(ABORTS, abort_key(settlement_id))
        assert progress is not None
        send_to_itself(view, AbortAccountsMessage(settlement=settlement_id, after=progress.aborted_to))
        return _ABORTING
    return settlement if settlement.is_whole else _NOT_FOUND


def _store(turn: Turn, before: Settlement, settlement: Settlement) -> None:
    """Store a settlement whose accounts have changed, and publish it if it has entered another state by that."""
    if settlement.state is before.state:
        put_settlement(turn.view, settlement)
    else:
        store_settlement(turn.view, settlement, turn.now_ms)


def _change(turn: Turn, settlement: Settlement, account: SettlementAccount) -> Settlement:
    """Store an account that an operator has changed, and begin to move it if that is due."""
    view = turn.view
    before = find_account(view, settlement.settlement_id, account.account_id)
    assert before is not None
    if account.is_moving:
        account = replace(account, waited_for=(*account.waited_for, settlement.commands))
        if not before.is_moving:
            settlement, account = start_moving(view, settlement, account)
    return store_account(view, settlement, before, account, turn.now_ms)


def _abort_some(turn: Turn, settlement: Settlement, progress: AbortProgress) -> None:
    """Abort as many accounts as one record takes; after the last, the command waits only for those that move."""
    view, at_once = turn.view, turn.context.settlement_entries_at_once
    number = settlement.settlement_id
    keys = view.keys(ACCOUNTS, accounts_prefix(number), progress.aborted_to, at_once)
    moving = 0
    for key in keys:
        before = view.get(ACCOUNTS, key)
        assert before is not None
        account = leave_queue(view, settlement, abort_account(settlement, before, turn.now_ms))
        if account.is_moving:
            moving += 1
            account = replace(account, waited_for=(*account.waited_for, progress.command))
            if not account.has_request_under_way:
                settlement, account = start_moving(view, settlement, account)
            settlement = store_account(view, settlement, before, account, turn.now_ms)
            continue
        settlement = store_account(view, settlement, before, replace(account, waited_for=()), turn.now_ms)
        for other in account.waited_for:
            settlement = change_left(view, settlement, other, -1)
    if len(keys) == at_once:
        view.put(ABORTS, abort_key(number), replace(progress, aborted_to=keys[-1]))
        send_to_itself(view, AbortAccountsMessage(settlement=number, after=keys[-1]))
    else:
        view.delete(ABORTS, abort_key(number))
        settlement = replace(settlement, stage=WHOLE)
        moving -= 1
    put_settlement(view, change_left(view, settlement, progress.command, moving))
