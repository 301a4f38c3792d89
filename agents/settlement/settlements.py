"""The coordinator's rows of settlements, and topic `settlements`, to which each change is published (protocol 9.3).

A settlement, each of its accounts and each leg of an account are rows and records of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

import msgspec
import structlog

from agents.settlement.windows import find_window, store_window
from clearinghub.domain.errors import Rejection
from clearinghub.domain.settlement.settlement import (
    ABORTED,
    PENDING,
    SETTLED,
    AccountResult,
    Leg,
    Settlement,
    SettlementAccount,
    entry_type_of,
    transfer_id_of,
)
from clearinghub.domain.settlement.window import WindowState, change_contents
from clearinghub.domain.time import timestamp_text
from clearinghub.engine.record import View
from clearinghub.messages import VERSION
from clearinghub.messages.commands import SettlementResult
from clearinghub.rows import encode_row
from tables.counters import COUNTERS
from tables.settlements import ACCOUNTS, SETTLEMENTS, account_key, settlement_key

log = structlog.get_logger(__name__)

LATEST: Final = "settlement"  # counter: the number of the latest settlement

_CONTENT_STATES: Final = {
    PENDING: WindowState.PENDING_SETTLEMENT,
    SETTLED: WindowState.SETTLED,
    ABORTED: WindowState.ABORTED,
}

Answer: TypeAlias = msgspec.Struct | Rejection


def latest_settlement(view: View) -> int:
    """Return the number of the latest settlement; 0 before the first."""
    return view.get(COUNTERS, LATEST) or 0


def find_settlement(view: View, settlement_id: int) -> Settlement | None:
    """Return the coordinator's row of a settlement, or None."""
    return view.get(SETTLEMENTS, settlement_key(settlement_id))


def find_account(view: View, settlement_id: int, account_id: int) -> SettlementAccount | None:
    """Return the row of an account of a settlement, or None."""
    return view.get(ACCOUNTS, account_key(settlement_id, account_id))


def settlement_result(view: View, settlement: Settlement, results: Sequence[AccountResult] = ()) -> SettlementResult:
    """Return the reply to an operator's command; `results` are those of the accounts requested."""
    windows = [window for number in settlement.window_ids if (window := find_window(view, number)) is not None]
    accounts = [
        account
        for one in results
        if one.error is None and (account := find_account(view, settlement.settlement_id, one.account_id)) is not None
    ]
    return SettlementResult(
        msgspec.Raw(encode_row(settlement)),
        tuple(msgspec.Raw(encode_row(window)) for window in windows),
        tuple(results),
        tuple(msgspec.Raw(encode_row(account)) for account in accounts),
    )


def put_settlement(view: View, settlement: Settlement) -> None:
    """Store a settlement without publishing it: nothing has changed that others see."""
    view.put(SETTLEMENTS, settlement_key(settlement.settlement_id), settlement)


def store_settlement(view: View, settlement: Settlement, now_ms: int) -> None:
    """Store a settlement and publish its current state; its windows' contents follow if it has entered a new one."""
    before = find_settlement(view, settlement.settlement_id)
    put_settlement(view, settlement)
    log.info("settlement-changed", settlement=settlement.settlement_id, state=settlement.state.value)
    record = {
        "v": VERSION,
        "kind": "settlement",
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
            {
                "settlementWindowId": number,
                "currency": netting_group.currency,
                "ledgerAccountType": netting_group.account_type,
            }
            for number, netting_group in settlement.contents
        ],
        "accounts": settlement.accounts,
    }
    _publish(view, settlement, record)
    if before is not None and before.state is not settlement.state:
        move_contents(view, settlement, now_ms)


def store_account(
    view: View, settlement: Settlement, before: SettlementAccount, account: SettlementAccount, now_ms: int
) -> Settlement:
    """Store an account that has changed, publish what others see of it, and return the settlement after that."""
    view.put(ACCOUNTS, account_key(settlement.settlement_id, account.account_id), account)
    if _shown(before) != _shown(account):
        publish_account(view, settlement, account)
    return settlement.after(before, account, now_ms)


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


def publish_account(view: View, settlement: Settlement, account: SettlementAccount) -> None:
    """Publish an account of a settlement as it is now."""
    record = {
        **_account_head(settlement, account, "account"),
        "participantId": account.participant_id,
        "state": account.state.value,
        "reason": account.reason,
        "externalReference": account.external_reference,
        "net": account.net,
        "moved": account.moved,
        "moving": account.is_moving,
        "changedAt": timestamp_text(account.changed_at_ms),
    }
    _publish(view, settlement, record)


def publish_legs(view: View, settlement: Settlement, account: SettlementAccount, legs: Iterable[Leg]) -> None:
    """Publish some of an account's legs."""
    record = {
        **_account_head(settlement, account, "legs"),
        "legs": [
            {
                "counterparty": leg.counterparty,
                "net": leg.net,
                "transferId": transfer_id_of(settlement.settlement_id, account.account_id, leg.counterparty),
                "entryType": entry_type_of(leg.net),
            }
            for leg in legs
        ],
        "createdAt": timestamp_text(account.created_at_ms),
    }
    _publish(view, settlement, record)


def _account_head(settlement: Settlement, account: SettlementAccount, kind: str) -> dict[str, object]:
    return {
        "v": VERSION,
        "kind": kind,
        "settlementId": settlement.settlement_id,
        "participant": account.participant,
        "accountId": account.account_id,
        "currency": account.currency,
    }


def _shown(account: SettlementAccount) -> tuple[object, ...]:
    return account.state, account.reason, account.external_reference, account.is_moving


def _publish(view: View, settlement: Settlement, record: dict[str, object]) -> None:
    key = str(settlement.settlement_id)
    view.emit_to_partition("settlements", view.partition, key, msgspec.json.encode(record))
