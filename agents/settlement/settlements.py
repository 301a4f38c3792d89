"""Settlements: the coordinator decides, the accounts' partitions move them and say so (protocol 9.3 to 9.5).

An operator's request is answered when every account that it moves was moved: what it then reads is what it was told.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final, TypeAlias

import msgspec
import orjson
import structlog

from agents.posting import emit_reply, move_account
from agents.settlement.windows import find_window, store_window, stored_nets
from agents.turn import Turn
from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.settlement.creation import choose_contents, create, find_settlement_model
from clearinghub.domain.settlement.fields import settlement_fields, window_fields
from clearinghub.domain.settlement.progress import AccountResult, Progress, abort, advance, moved
from clearinghub.domain.settlement.scheme import HUB_MULTILATERAL_SETTLEMENT
from clearinghub.domain.settlement.settlement import (
    ABORTED,
    PENDING,
    SETTLED,
    Line,
    Settlement,
    entry_type_of,
    transfer_id_of,
)
from clearinghub.domain.settlement.window import WindowState, change_contents
from clearinghub.domain.time import timestamp_text
from clearinghub.engine.record import View
from clearinghub.messages import VERSION, encode
from clearinghub.messages.commands import (
    AbortSettlement,
    AdvanceSettlement,
    CommandMessage,
    CreateSettlement,
    SettlementResult,
)
from clearinghub.messages.settlement import MoveMessage
from tables.counters import COUNTERS
from tables.participants import PARTICIPANTS
from tables.positions import position_key
from tables.settlements import SETTLEMENTS, WAITING, WaitingCommand, WaitingCommands, settlement_key, waiting_key

log = structlog.get_logger(__name__)

LATEST: Final = "settlement"  # counter: how many settlements there are
WAITING_MAX: Final = 100  # requests of one settlement that wait for their accounts to move
WAITING_BYTES_MAX: Final = 4 * 1024 * 1024  # of these together: they are one row, and a record takes 7 MiB
_NOT_FOUND: Final = Rejection(ErrorCode.VALIDATION_ERROR, "Settlement not found")
_BUSY: Final = Rejection(ErrorCode.SERVER_BUSY, "Too many changes of this settlement are under way")

_CONTENT_STATES: Final = {
    PENDING: WindowState.PENDING_SETTLEMENT,
    SETTLED: WindowState.SETTLED,
    ABORTED: WindowState.ABORTED,
}

Answer: TypeAlias = msgspec.Struct | Rejection


def create_settlement(turn: Turn, _message: CommandMessage, command: CreateSettlement) -> Answer:
    """Create a settlement of closed windows by a model."""
    view = turn.view
    hub = view.get(PARTICIPANTS, turn.hub_name)
    model = find_settlement_model(hub, command.model)
    if isinstance(model, Rejection):
        return model
    assert hub is not None
    window_ids = list(dict.fromkeys(command.windows))
    windows = {number: window for number in window_ids if (window := find_window(view, number)) is not None}
    chosen = choose_contents(hub, model, window_ids, windows, partial(stored_nets, view))
    if isinstance(chosen, Rejection):
        return chosen
    contents = {(number, netting_group): stored_nets(view, number, netting_group) for number, netting_group in chosen}
    settlement_id = latest_settlement(view) + 1
    settlement = create(settlement_id, model, command.reason, contents, turn.now_ms)
    if isinstance(settlement, Rejection):
        return settlement
    view.put(COUNTERS, LATEST, settlement_id)
    _store(view, settlement)
    _move_contents(view, settlement, turn.now_ms)
    return settlement_result(view, settlement)


def latest_settlement(view: View) -> int:
    """The number of the last settlement that was created; 0 before the first."""
    return view.get(COUNTERS, LATEST) or 0


def advance_settlement(turn: Turn, message: CommandMessage, command: AdvanceSettlement) -> Answer | None:
    """Move accounts of a settlement to their next state; None if the reply follows when they have moved."""
    settlement = turn.view.get(SETTLEMENTS, settlement_key(command.settlement))
    if settlement is None:
        return _NOT_FOUND
    return _carry_out(turn, message, settlement, advance(settlement, command.accounts, turn.now_ms))


def abort_settlement(turn: Turn, message: CommandMessage, command: AbortSettlement) -> Answer | None:
    """Abort a settlement; None if the reply follows when its accounts have moved back."""
    settlement = turn.view.get(SETTLEMENTS, settlement_key(command.settlement))
    if settlement is None:
        return _NOT_FOUND
    progress = abort(settlement, command.reason, command.external_reference, turn.now_ms)
    if isinstance(progress, Rejection):
        return progress
    return _carry_out(turn, message, settlement, progress)


def take_moved(view: View, hub_name: str, line: dict[str, Any], now_ms: int) -> None:
    """An account was moved: the hub's account takes the other side, and the settlement may go on."""
    settlement = view.get(SETTLEMENTS, settlement_key(line["settlement"]))
    assert settlement is not None, f"settlement {line['settlement']} was never made"
    contra = position_key(hub_name, line["currency"], HUB_MULTILATERAL_SETTLEMENT)
    for transfer_id, change, entry_type in line["moves"]:
        move_account(view, contra, -change, transfer_id, entry_type, now_ms)
    change = sum(change for _id, change, _entry in line["moves"])
    after = moved(settlement, line["account_id"], line["number"], change, now_ms)
    _store(view, after)
    if after.state is not settlement.state:
        _move_contents(view, after, now_ms)
    _answer_waiting(view, after)


def settlement_result(view: View, settlement: Settlement, accounts: tuple[AccountResult, ...] = ()) -> SettlementResult:
    """Return what an operator is told of a settlement; `accounts` are the results of the operator's request."""
    windows = [window for number in settlement.window_ids if (window := find_window(view, number)) is not None]
    return SettlementResult(
        msgspec.Raw(orjson.dumps(settlement_fields(settlement))),
        tuple(msgspec.Raw(orjson.dumps(window_fields(window))) for window in windows),
        accounts,
    )


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
        _store(view, settlement)
    if settlement.state is not before.state:
        _move_contents(view, settlement, turn.now_ms)
    for one in progress.moves:
        _ask_for(view, settlement, one.line, one.number, [[m.transfer_id, m.change, m.entry_type] for m in one.moves])
    if not moving:
        return settlement_result(view, settlement, progress.results)
    view.put(WAITING, key, longer)
    return None


def _moving_accounts(settlement: Settlement, results: tuple[AccountResult, ...]) -> tuple[int, ...]:
    """Return the accounts that a reply has to wait for: the requested ones, or all of an aborted settlement."""
    requested = {one.account_id for one in results}
    return tuple(
        line.account_id
        for line in settlement.lines
        if line.moves_done < line.moves_asked and (line.account_id in requested or settlement.state is ABORTED)
    )


def _answer_waiting(view: View, settlement: Settlement) -> None:
    """Reply to those commands whose accounts have all moved."""
    key = waiting_key(settlement.settlement_id)
    waiting = view.get(WAITING, key)
    if waiting is None:
        return
    moving = {line.account_id for line in settlement.lines if line.moves_done < line.moves_asked}
    rest = tuple(one for one in waiting.commands if moving.intersection(one.accounts))
    for one in waiting.commands:
        if one not in rest:
            emit_reply(view, one, settlement_result(view, settlement, one.results))
    if rest:
        view.put(WAITING, key, WaitingCommands(rest))
    else:
        view.delete(WAITING, key)


def _ask_for(view: View, settlement: Settlement, line: Line, number: int, moves: list[list[Any]]) -> None:
    added = sum(change for _id, change, _entry in moves)
    message: MoveMessage = {
        "v": VERSION,
        "kind": "settlement-move",
        "settlement": settlement.settlement_id,
        "number": number,
        "participant": line.participant,
        "account_id": line.account_id,
        "currency": line.currency,
        "account_type": settlement.terms.ledger_account_type,
        "moves": moves,
        "raise_cap": settlement.terms.require_liquidity_check and added > 0 and line.state is not ABORTED,
    }
    view.emit("settlement", line.participant, encode(message))


def _move_contents(view: View, settlement: Settlement, now_ms: int) -> None:
    """Its parts of windows follow the settlement: taken up, settled, or given back."""
    state = _CONTENT_STATES.get(settlement.state)
    if state is None:
        return
    for number in settlement.window_ids:
        window = find_window(view, number)
        assert window is not None
        netting_groups = [netting_group for window_id, netting_group in settlement.contents if window_id == number]
        store_window(view, change_contents(window, netting_groups, state, settlement.settlement_id, now_ms))


def _store(view: View, settlement: Settlement) -> None:
    """Store a settlement and publish how it stands, topic `settlements`."""
    view.put(SETTLEMENTS, settlement_key(settlement.settlement_id), settlement)
    log.info("settlement-changed", settlement=settlement.settlement_id, state=settlement.state.value)
    record = {
        "v": VERSION,
        "settlementId": settlement.settlement_id,
        "change": settlement.version,
        "model": settlement.terms.model,
        "ledgerAccountType": settlement.terms.ledger_account_type,
        "movesPositions": settlement.terms.auto_position_reset,
        "state": settlement.state.value,
        "reason": settlement.reason,
        "createdAt": timestamp_text(settlement.created_at_ms),
        "changedAt": timestamp_text(settlement.changed_at_ms),
        "contents": [
            {"settlementWindowId": number, **_netting_group_fields(netting_group)}
            for number, netting_group in settlement.contents
        ],
        "accounts": [_account_record(settlement, line) for line in settlement.lines],
    }
    key = str(settlement.settlement_id)
    view.emit_to_partition("settlements", view.partition, key, orjson.dumps(record))


def _netting_group_fields(netting_group: Any) -> dict[str, str]:
    return {"currency": netting_group.currency, "ledgerAccountType": netting_group.account_type}


def _account_record(settlement: Settlement, line: Line) -> dict[str, Any]:
    return {
        "participant": line.participant,
        "participantId": line.participant_id,
        "accountId": line.account_id,
        "currency": line.currency,
        "state": line.state.value,
        "reason": line.reason,
        "externalReference": line.external_reference,
        "net": line.net,
        "moved": line.moved,
        "moving": line.moves_done < line.moves_asked,
        "legs": [
            {
                "counterparty": leg.counterparty,
                "net": leg.net,
                "transferId": transfer_id_of(settlement.settlement_id, line.account_id, leg.counterparty),
                "entryType": entry_type_of(leg.net),
            }
            for leg in line.legs
        ],
    }
