"""The bodies of the settlement API's answers (protocol 9.1). Amounts are JSON numbers, as on all of the admin port."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from clearinghub.domain.settlement.report import ContentNets
from clearinghub.domain.settlement.settlement import AccountResult, Leg, Settlement, SettlementAccount
from clearinghub.domain.settlement.window import Content, Window
from clearinghub.domain.time import timestamp_text
from web.admin.responses import number

EMPTY: Final[Mapping[int, Sequence[Leg]]] = MappingProxyType({})


def window_body(window: Window) -> dict[str, Any]:
    """Return a window without its contents, as in the answer to closing a window."""
    return {"settlementWindowId": window.window_id, **_window_fields(window)}


def whole_window_body(window: Window) -> dict[str, Any]:
    """Return a window with its contents."""
    return {**window_body(window), "content": [content_body(content) for content in window.contents]}


def content_body(content: Content) -> dict[str, Any]:
    """Return a content of a window; `transfers` is not in the reference."""
    shape: dict[str, Any] = {
        "id": content.content_id,
        "state": content.state.value,
        "ledgerAccountType": content.netting_group.account_type,
        "currencyId": content.netting_group.currency,
        "createdDate": timestamp_text(content.created_at_ms),
        "changedDate": timestamp_text(content.changed_at_ms),
        "transfers": content.transfers,
    }
    if content.settlement_id is not None:
        shape["settlementId"] = content.settlement_id
    return shape


def nets_body(window: Window, nets: ContentNets) -> list[dict[str, Any]]:
    """Return the nets of a closed window, by content. Not in the reference."""
    return [
        {
            "contentId": content.content_id,
            "currency": content.netting_group.currency,
            "ledgerAccountType": content.netting_group.account_type,
            "granularity": content.netting_group.granularity,
            "nets": [
                {
                    "participant": one.party.participant,
                    "participantId": one.account.participant_id,
                    "accountId": one.account.account_id,
                    "counterparty": one.party.counterparty or None,
                    "debits": number(one.net.debits),
                    "credits": number(one.net.credits),
                    "netAmount": number(one.net.amount),
                    "debitCount": one.net.debit_count,
                    "creditCount": one.net.credit_count,
                }
                for one in nets[content.netting_group]
            ],
        }
        for content in window.contents
    ]


def settlement_body(
    settlement: Settlement,
    windows: Sequence[Window],
    accounts: Iterable[SettlementAccount],
    legs: Mapping[int, Sequence[Leg]] = EMPTY,
) -> dict[str, Any]:
    """Return a settlement with some of its accounts; those that have `legs` show their counterparties."""
    return {
        "id": settlement.settlement_id,
        "settlementModel": settlement.terms.model,
        "state": settlement.state.value,
        "reason": settlement.reason,
        "createdDate": timestamp_text(settlement.created_at_ms),
        "changedDate": timestamp_text(settlement.changed_at_ms),
        "settlementWindows": _windows(settlement, windows),
        "participants": _by_participant(
            accounts, lambda one: (one.participant_id, _account_body(one, legs.get(one.account_id, ())))
        ),
    }


def progress_body(
    settlement: Settlement,
    windows: Sequence[Window],
    results: Iterable[AccountResult],
    accounts: Mapping[int, SettlementAccount],
) -> dict[str, Any]:
    """Return the answer to a change: each account requested, with what became of it."""

    def shown(one: AccountResult) -> tuple[int, dict[str, Any]]:
        return one.participant_id, _result_body(one, accounts.get(one.account_id))

    return {
        "id": settlement.settlement_id,
        "state": settlement.state.value,
        "createdDate": timestamp_text(settlement.created_at_ms),
        "settlementWindows": _windows(settlement, windows),
        "participants": _by_participant(results, shown),
    }


def aborted_body(settlement: Settlement) -> dict[str, Any]:
    return {"id": settlement.settlement_id, "state": settlement.state.value, "reason": settlement.reason}


def _account_body(account: SettlementAccount, legs: Sequence[Leg] = ()) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "id": account.account_id,
        "state": account.state.value,
        "reason": account.reason,
        "externalReference": account.external_reference,
        "createdDate": timestamp_text(account.changed_at_ms),
        "netSettlementAmount": {"amount": number(account.net), "currency": account.currency},
    }
    if any(leg.counterparty for leg in legs):
        shape["counterparties"] = [{"name": leg.counterparty, "amount": number(leg.net)} for leg in legs]
    return shape


def _result_body(one: AccountResult, account: SettlementAccount | None) -> dict[str, Any]:
    if one.error is None:
        assert account is not None
        return _account_body(account)
    assert one.state is not None
    return {"id": one.account_id, "state": one.state.value, "reason": one.reason, **one.error.as_json()}


def _windows(settlement: Settlement, windows: Sequence[Window]) -> list[dict[str, Any]]:
    """Return the settlement's windows, each with the contents that it settles."""
    own = set(settlement.contents)
    return [
        {
            "id": window.window_id,
            **_window_fields(window),
            "content": [
                content_body(content) for content in window.contents if (window.window_id, content.netting_group) in own
            ],
        }
        for window in windows
    ]


def _window_fields(window: Window) -> dict[str, Any]:
    return {
        "state": window.state.value,
        "reason": window.reason,
        "createdDate": timestamp_text(window.created_at_ms),
        "changedDate": timestamp_text(window.changed_at_ms),
    }


def _by_participant(rows: Iterable[Any], shown: Callable[[Any], tuple[int, dict[str, Any]]]) -> list[dict[str, Any]]:
    accounts: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        participant_id, shape = shown(row)
        accounts.setdefault(participant_id, []).append(shape)
    return [{"id": participant_id, "accounts": of_one} for participant_id, of_one in accounts.items()]
