"""The answers of the commands: documents as docs/operators.md lists them, and tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from clearinghub.domain.money import format_amount
from clearinghub.tools.client.names import short_endpoint_type
from clearinghub.tools.client.responses import SETTLEMENT, AccountBalance, Endpoint, Limit, Participant, SettlementModel
from clearinghub.tools.screen import Answer, Column, flag, money

_ACCOUNT_COLUMNS: Final = (
    Column("participant"),
    Column("id", is_number=True),
    Column("type"),
    Column("ccy"),
    Column("active"),
    Column("value", is_number=True),
    Column("reserved", is_number=True),
)
_LIMIT_COLUMNS: Final = (
    Column("participant"),
    Column("ccy"),
    Column("net debit cap", is_number=True),
    Column("alarm at %", is_number=True),
)
_ENDPOINT_COLUMNS: Final = (Column("participant"), Column("type"), Column("value"))
_POSITION_COLUMNS: Final = (
    Column("participant"),
    Column("ccy"),
    Column("active"),
    Column("position", is_number=True),
    Column("net debit cap", is_number=True),
    Column("funds", is_number=True),
    Column("room", is_number=True),
)
_PARTICIPANT_COLUMNS: Final = tuple(map(Column, ("participant", "active", "proxy", "currencies", "created")))
_MODEL_COLUMNS: Final = tuple(map(Column, ("model", "ccy", "delay", "granularity", "interchange", "settles")))


class Headroom:
    """A position beside its cap and funds. The room is what the hub would still reserve (protocol 3.3)."""

    def __init__(
        self, name: str, position: AccountBalance, balances: Sequence[AccountBalance], cap_units: int | None
    ) -> None:
        settlement = (one for one in balances if (one.currency, one.account_type) == (position.currency, SETTLEMENT))
        self._funds_units = sum(-one.value_units for one in settlement)
        used_units = position.value_units + position.reserved_units
        self._room_units = 0 if cap_units is None else max(0, min(cap_units, self._funds_units) - used_units)
        self._name = name
        self._position = position
        self._cap_units = cap_units

    @property
    def document(self) -> dict[str, Any]:
        return {
            "participant": self._name,
            "currency": self._position.currency,
            "isActive": self._position.active,
            "position": format_amount(self._position.value_units),
            "reservedValue": format_amount(self._position.reserved_units),
            "netDebitCap": None if self._cap_units is None else format_amount(self._cap_units),
            "funds": format_amount(self._funds_units),
            "room": format_amount(self._room_units),
        }

    @property
    def row(self) -> tuple[str, ...]:
        position = self._position
        amounts = (position.value_units, self._cap_units, self._funds_units, self._room_units)
        return (self._name, position.currency, flag(position.active), *(money(amount) for amount in amounts))


def participant_document(participant: Participant) -> dict[str, Any]:
    """Return a participant without its accounts, limits and endpoints."""
    return {
        "name": participant.name,
        "isActive": participant.active,
        "isProxy": participant.is_proxy,
        "created": participant.created_at,
        "currencies": list(participant.currencies),
    }


def participants_answer(participants: Sequence[Participant]) -> Answer:
    rows = [
        (one.name, flag(one.active), flag(one.is_proxy), " ".join(one.currencies), one.created_at)
        for one in participants
    ]
    return Answer([participant_document(one) for one in participants], _PARTICIPANT_COLUMNS, rows)


def account_document(name: str, balance: AccountBalance) -> dict[str, Any]:
    """Return an account under the API's names, with the participant's name."""
    return {"participant": name, **balance.document()}


def accounts_answer(found: Iterable[tuple[str, Sequence[AccountBalance]]], title: str | None = None) -> Answer:
    pairs = [(name, balance) for name, balances in found for balance in balances]
    rows = [
        (
            name,
            str(one.account_id),
            one.account_type,
            one.currency,
            flag(one.active),
            money(one.value_units),
            money(one.reserved_units),
        )
        for name, one in pairs
    ]
    return Answer([account_document(name, balance) for name, balance in pairs], _ACCOUNT_COLUMNS, rows, title=title)


def limit_document(limit: Limit) -> dict[str, Any]:
    return {
        "participant": limit.name,
        "currency": limit.currency,
        "netDebitCap": format_amount(limit.limit.value_units),
        "alarmPercentage": limit.limit.alarm_percent,
    }


def limits_answer(limits: Sequence[Limit], title: str | None = None) -> Answer:
    rows = [(one.name, one.currency, money(one.limit.value_units), str(one.limit.alarm_percent)) for one in limits]
    return Answer([limit_document(one) for one in limits], _LIMIT_COLUMNS, rows, title=title)


def endpoint_document(name: str, endpoint: Endpoint) -> dict[str, Any]:
    return {"participant": name, **endpoint.document()}


def endpoints_answer(found: Iterable[tuple[str, Sequence[Endpoint]]], title: str | None = None) -> Answer:
    pairs = [(name, endpoint) for name, endpoints in found for endpoint in endpoints]
    rows = [(name, short_endpoint_type(endpoint.endpoint_type), endpoint.value) for name, endpoint in pairs]
    return Answer([endpoint_document(name, endpoint) for name, endpoint in pairs], _ENDPOINT_COLUMNS, rows, title=title)


def positions_answer(positions: Sequence[Headroom]) -> Answer:
    return Answer([one.document for one in positions], _POSITION_COLUMNS, [one.row for one in positions])


def models_answer(models: Sequence[SettlementModel]) -> Answer:
    rows = [
        (one.name, one.currency or "others", one.delay, one.granularity, one.interchange, one.ledger_account_type)
        for one in models
    ]
    return Answer([one.document() for one in models], _MODEL_COLUMNS, rows)
