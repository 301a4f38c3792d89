"""The bodies of the admin API's answers (protocol 5.1, 5.3). Flags of participants are 0 or 1, amounts JSON numbers."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson
from aiohttp.web import Request

from clearinghub.domain.money import format_amount
from clearinghub.domain.participants.participant import LedgerAccountType, Participant, SettlementModel
from clearinghub.domain.participants.position import Position
from clearinghub.domain.time import timestamp_text
from web.admin.schemas import NET_DEBIT_CAP

CREATED_BY: Final = "unknown"  # the API authenticates nobody; the reference says the same

_HOST: Final = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")


def participant_body(participant: Participant, request: Request) -> dict[str, Any]:
    """Return a participant with its accounts; its links have the host of the request."""
    link = f"{_origin(request)}/participants/{participant.name}"
    return {
        "name": participant.name,
        "id": link,
        "created": timestamp_text(participant.created_at_ms),
        "isActive": int(participant.active),
        "links": {"self": link},
        "accounts": [
            {
                "id": account.account_id,
                "ledgerAccountType": account.account_type,
                "currency": account.currency,
                "isActive": int(account.active),
                "createdDate": timestamp_text(account.created_at_ms),
                "createdBy": CREATED_BY,
            }
            for account in participant.accounts
        ],
        "isProxy": int(participant.is_proxy),
    }


def account_body(position: Position) -> dict[str, Any]:
    return {
        "id": position.account_id,
        "ledgerAccountType": position.account_type,
        "currency": position.currency,
        "isActive": int(position.active),
        "value": number(position.value),
        "reservedValue": number(position.reserved),
        "changedDate": timestamp_text(position.changed_at_ms),
    }


def position_body(position: Position) -> dict[str, Any]:
    """Return what a DFSP owes, or is owed, in one currency."""
    return {
        "currency": position.currency,
        "value": number(position.value),
        "changedDate": timestamp_text(position.changed_at_ms),
    }


def limit_body(position: Position) -> dict[str, Any]:
    """Return the net debit cap of a POSITION account, which must have one."""
    assert position.net_debit_cap is not None
    limit = {
        "type": NET_DEBIT_CAP,
        "value": number(position.net_debit_cap),
        "alarmPercentage": position.alarm_percent,
    }
    return {"currency": position.currency, "limit": limit}


def model_body(model: SettlementModel) -> dict[str, Any]:
    """Return a settlement model; `ledgerAccountTypeId` holds the type's name, as in the reference."""
    return {
        "settlementModelId": model.model_id,
        "name": model.name,
        "isActive": model.active,
        "settlementGranularity": model.granularity,
        "settlementInterchange": model.interchange,
        "settlementDelay": model.delay,
        "currency": model.currency,
        "requireLiquidityCheck": model.require_liquidity_check,
        "ledgerAccountTypeId": model.ledger_account_type,
        "autoPositionReset": model.auto_position_reset,
    }


def account_type_body(kind: LedgerAccountType) -> dict[str, Any]:
    return {
        "name": kind.name,
        "description": kind.description,
        "isActive": kind.active,
        "isSettleable": kind.settleable,
    }


def number(amount: int) -> orjson.Fragment:
    """Return an amount as a JSON number, exactly: it is never a float."""
    return orjson.Fragment(format_amount(amount))


def _origin(request: Request) -> str:
    """Return `http://host:port` as the client wrote it, or "" if that is no host."""
    return f"{request.scheme}://{request.host}" if _HOST.fullmatch(request.host) else ""
