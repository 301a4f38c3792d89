"""The coordinator's rows of settlements, and topic `settlements`, to which each change is published (protocol 9.3)."""

from __future__ import annotations

from functools import partial
from typing import Final, TypeAlias

import msgspec
import orjson
import structlog

from agents.settlement.windows import find_window, store_window, stored_nets
from agents.turn import Turn
from clearinghub.domain.errors import Rejection
from clearinghub.domain.settlement.creation import choose_contents, create, find_settlement_model
from clearinghub.domain.settlement.netting import NettingGroup
from clearinghub.domain.settlement.settlement import (
    ABORTED,
    PENDING,
    SETTLED,
    AccountResult,
    Settlement,
    SettlementAccount,
    entry_type_of,
    transfer_id_of,
)
from clearinghub.domain.settlement.window import WindowState, change_contents
from clearinghub.domain.time import timestamp_text
from clearinghub.engine.record import View
from clearinghub.messages import VERSION
from clearinghub.messages.commands import CommandMessage, CreateSettlement, SettlementResult
from clearinghub.rows import encode_row
from tables.counters import COUNTERS
from tables.participants import PARTICIPANTS
from tables.settlements import SETTLEMENTS, settlement_key

log = structlog.get_logger(__name__)

LATEST: Final = "settlement"  # counter: the number of the latest settlement

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
    store_settlement(view, settlement)
    move_contents(view, settlement, turn.now_ms)
    return settlement_result(view, settlement)


def latest_settlement(view: View) -> int:
    """Return the number of the latest settlement; 0 before the first."""
    return view.get(COUNTERS, LATEST) or 0


def find_settlement(view: View, settlement_id: int) -> Settlement | None:
    """Return the coordinator's row of a settlement, or None."""
    return view.get(SETTLEMENTS, settlement_key(settlement_id))


def settlement_result(view: View, settlement: Settlement, accounts: tuple[AccountResult, ...] = ()) -> SettlementResult:
    """Return the reply to an operator's command; `accounts` are the results of the accounts requested."""
    windows = [window for number in settlement.window_ids if (window := find_window(view, number)) is not None]
    return SettlementResult(
        msgspec.Raw(encode_row(settlement)), tuple(msgspec.Raw(encode_row(window)) for window in windows), accounts
    )


def move_contents(view: View, settlement: Settlement, now_ms: int) -> None:
    """Change the contents of the settlement's windows to the state that follows from the settlement's, if one does."""
    state = _CONTENT_STATES.get(settlement.state)
    if state is None:
        return
    for number in settlement.window_ids:
        window = find_window(view, number)
        assert window is not None
        netting_groups = [netting_group for window_id, netting_group in settlement.contents if window_id == number]
        store_window(view, change_contents(window, netting_groups, state, settlement.settlement_id, now_ms))


def store_settlement(view: View, settlement: Settlement) -> None:
    """Store a settlement and publish its current state, topic `settlements`."""
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
        "accounts": [_account_fields(settlement, account) for account in settlement.accounts],
    }
    key = str(settlement.settlement_id)
    view.emit_to_partition("settlements", view.partition, key, orjson.dumps(record))


def _netting_group_fields(netting_group: NettingGroup) -> dict[str, str]:
    return {"currency": netting_group.currency, "ledgerAccountType": netting_group.account_type}


def _account_fields(settlement: Settlement, account: SettlementAccount) -> dict[str, object]:
    return {
        "participant": account.participant,
        "participantId": account.participant_id,
        "accountId": account.account_id,
        "currency": account.currency,
        "state": account.state.value,
        "reason": account.reason,
        "externalReference": account.external_reference,
        "net": account.net,
        "moved": account.moved,
        "moving": account.is_moving,
        "legs": [
            {
                "counterparty": leg.counterparty,
                "net": leg.net,
                "transferId": transfer_id_of(settlement.settlement_id, account.account_id, leg.counterparty),
                "entryType": entry_type_of(leg.net),
            }
            for leg in account.legs
        ],
    }
