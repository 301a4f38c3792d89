"""Settlements: the coordinator decides, the accounts' partitions move them and say so (protocol 9.3 to 9.5).

An operator's request is answered when every account that it moves was moved: what it then reads is what it was told.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import orjson
import structlog

from agents.posting import emit_reply, move_account
from agents.settlement.windows import find_window, store_window, stored_nets
from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.settlement.creation import choose_contents, create, find_settlement_model
from clearinghub.domain.settlement.fields import settlement_fields, window_fields
from clearinghub.domain.settlement.progress import Asked, Progress, Touched, abort, advance, moved
from clearinghub.domain.settlement.scheme import HUB_MULTILATERAL_SETTLEMENT
from clearinghub.domain.settlement.settlement import (
    ABORTED,
    PENDING,
    SETTLED,
    Line,
    Settlement,
    SettlementState,
    entry_type_of,
    transfer_id_of,
)
from clearinghub.domain.settlement.window import WindowState, change_contents
from clearinghub.domain.time import timestamp_text
from clearinghub.engine.record import View
from clearinghub.messages import VERSION, encode
from clearinghub.messages.settlement import MoveMessage
from tables.counters import COUNTERS
from tables.participants import PARTICIPANTS
from tables.positions import position_key
from tables.settlements import SETTLEMENTS, WAITING, settlement_key, waiting_key

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

Answer = dict[str, Any] | Rejection


def create_settlement(view: View, hub_name: str, args: dict[str, Any], now_ms: int) -> Answer:
    """A settlement of windows by a model; `args`: model, reason, windows."""
    hub = view.get(PARTICIPANTS, hub_name)
    model = find_settlement_model(hub, args["model"])
    if isinstance(model, Rejection):
        return model
    assert hub is not None
    window_ids = list(dict.fromkeys(args["windows"]))
    windows = {number: window for number in window_ids if (window := find_window(view, number)) is not None}
    chosen = choose_contents(hub, model, window_ids, windows, partial(stored_nets, view))
    if isinstance(chosen, Rejection):
        return chosen
    contents = {(number, netting_group): stored_nets(view, number, netting_group) for number, netting_group in chosen}
    settlement_id = latest_settlement(view) + 1
    settlement = create(settlement_id, model, args["reason"], contents, now_ms)
    if isinstance(settlement, Rejection):
        return settlement
    view.put(COUNTERS, LATEST, settlement_id)
    _store(view, settlement)
    _move_contents(view, settlement, now_ms)
    return document(view, settlement)


def latest_settlement(view: View) -> int:
    """The number of the last settlement that was created; 0 before the first."""
    return view.get(COUNTERS, LATEST) or 0


def put_settlement(view: View, args: dict[str, Any], waiting: dict[str, str], now_ms: int) -> Answer | None:
    """Move accounts on; None where the answer follows when they were moved. `args`: settlement, accounts."""
    settlement = view.get(SETTLEMENTS, settlement_key(args["settlement"]))
    if settlement is None:
        return _NOT_FOUND
    asked = [Asked(**{**one, "state": SettlementState(one["state"])}) for one in args["accounts"]]
    return _carry_out(view, settlement, advance(settlement, asked, now_ms), waiting, now_ms)


def abort_settlement(view: View, args: dict[str, Any], waiting: dict[str, str], now_ms: int) -> Answer | None:
    """Give it up; None likewise. `args`: settlement, reason, external_reference."""
    settlement = view.get(SETTLEMENTS, settlement_key(args["settlement"]))
    if settlement is None:
        return _NOT_FOUND
    progress = abort(settlement, args["reason"], args["external_reference"], now_ms)
    if isinstance(progress, Rejection):
        return progress
    return _carry_out(view, settlement, progress, waiting, now_ms)


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


def document(view: View, settlement: Settlement, touched: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """A settlement with its windows, as the answer to an operator; `touched` are the accounts of a request."""
    windows = [window for number in settlement.window_ids if (window := find_window(view, number)) is not None]
    return {
        "settlement": settlement_fields(settlement),
        "windows": [window_fields(window) for window in windows],
        "touched": touched,
    }


def _carry_out(
    view: View, before: Settlement, progress: Progress, waiting: dict[str, str], now_ms: int
) -> Answer | None:
    settlement = progress.settlement
    held = view.get(WAITING, waiting_key(settlement.settlement_id)) or []
    if len(held) >= WAITING_MAX:
        return _BUSY
    touched = [_touched_fields(one) for one in progress.touched]
    accounts = _moving_accounts(settlement, touched)
    waits = [*held, {**waiting, "accounts": accounts, "touched": touched}]
    if accounts and len(WAITING.encode(waits)) > WAITING_BYTES_MAX:
        return _BUSY
    if settlement is not before:
        _store(view, settlement)
    if settlement.state is not before.state:
        _move_contents(view, settlement, now_ms)
    for one in progress.moves:
        _ask_for(view, settlement, one.line, one.number, [[m.transfer_id, m.change, m.entry_type] for m in one.moves])
    if not accounts:
        return document(view, settlement, touched)
    view.put(WAITING, waiting_key(settlement.settlement_id), waits)
    return None


def _moving_accounts(settlement: Settlement, touched: list[dict[str, Any]]) -> list[int]:
    """Those that an answer has to wait for: the touched ones, or all of an aborted settlement."""
    asked = {one["account_id"] for one in touched}
    return [
        line.account_id
        for line in settlement.lines
        if line.moves_done < line.moves_asked and (line.account_id in asked or settlement.state is ABORTED)
    ]


def _answer_waiting(view: View, settlement: Settlement) -> None:
    key = waiting_key(settlement.settlement_id)
    held = view.get(WAITING, key) or []
    moving = {line.account_id for line in settlement.lines if line.moves_done < line.moves_asked}
    rest = []
    for one in held:
        if moving.intersection(one["accounts"]):
            rest.append(one)
        else:
            answer = document(view, settlement, one["touched"])
            emit_reply(view, one["correlation_id"], one["reply_to"], answer)
    if rest:
        view.put(WAITING, key, rest)
    elif held:
        view.delete(WAITING, key)


def _touched_fields(touched: Touched) -> dict[str, Any]:
    """What the answer needs: of a line that was taken, the settlement has the rest."""
    asked, rejection = touched.asked, touched.rejection
    whose: dict[str, Any] = {"participant_id": asked.participant_id, "account_id": asked.account_id}
    if rejection is None:
        return {**whose, "error": None}
    error = [rejection.code, rejection.description]
    return {**whose, "state": asked.state.value, "reason": asked.reason, "error": error}


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
