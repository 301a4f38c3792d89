"""The archive's data sets: their columns, and how a record becomes rows, by day and currency.

A record with several currencies becomes rows in several folders. Columns have the names of the topics' fields in SQL's
spelling. Money is an exact decimal of the currency's unit; times are UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

import pyarrow as pa

TOPICS: Final = ("transfers", "positions", "settlement-windows", "settlements")
SCALE: Final = 4  # the topics' integers are 1/10,000 of the unit
MONEY: Final = pa.decimal128(20, SCALE)  # wide enough for any integer of 64 bits
TIME: Final = pa.timestamp("ms", tz="UTC")
TEXT: Final = pa.string()
NUMBER: Final = pa.int64()
FLAG: Final = pa.bool_()

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Column(NamedTuple):
    """A column, and the field of the record that it comes from; `optional` if the field may be null."""

    name: str
    type: pa.DataType
    field: str
    optional: bool = False


class Row(NamedTuple):
    """A row: its data set, its day (UTC) and its currency, which are its folder, and the values by column."""

    dataset: str
    day: str
    currency: str | None
    values: dict[str, Any]


_TRANSFER: Final = (
    Column("sequence", NUMBER, "sequence"),
    Column("transfer_id", TEXT, "transferId"),
    Column("kind", TEXT, "kind"),
    Column("payer", TEXT, "payer"),
    Column("payee", TEXT, "payee"),
    Column("amount", MONEY, "amount"),
    Column("state", TEXT, "state"),
    Column("settlement_window_id", NUMBER, "window", optional=True),
    Column("interchange_fee", MONEY, "interchangeFee"),
    Column("error_code", TEXT, "errorCode", optional=True),
    Column("error_description", TEXT, "errorDescription", optional=True),
    Column("prepared_at", TIME, "preparedAt"),
    Column("finished_at", TIME, "finishedAt"),
)
_POSITION: Final = (
    Column("participant", TEXT, "participant"),
    Column("account_id", NUMBER, "accountId"),
    Column("account_type", TEXT, "accountType"),
    Column("change", MONEY, "change"),
    Column("value", MONEY, "value"),
    Column("reserved", MONEY, "reserved"),
    Column("change_number", NUMBER, "changeNumber"),
    Column("transfer_id", TEXT, "transferId"),
    Column("entry_type", TEXT, "entryType"),
    Column("changed_at", TIME, "atMs"),
)
_WINDOW: Final = (
    Column("settlement_window_id", NUMBER, "settlementWindowId"),
    Column("state", TEXT, "state"),
    Column("reason", TEXT, "reason", optional=True),
    Column("created_at", TIME, "createdAt"),
    Column("changed_at", TIME, "changedAt"),
)
_CONTENT: Final = (
    Column("content_id", NUMBER, "id"),
    Column("ledger_account_type", TEXT, "ledgerAccountType"),
    Column("granularity", TEXT, "granularity"),
    Column("content_state", TEXT, "state"),
    Column("transfers", NUMBER, "transfers"),
    Column("settlement_id", NUMBER, "settlementId", optional=True),
)
_CLOSED_CONTENT: Final = (
    Column("settlement_window_id", NUMBER, "settlementWindowId"),
    Column("ledger_account_type", TEXT, "ledgerAccountType"),
    Column("granularity", TEXT, "granularity"),
    Column("closed_at", TIME, "closedAt"),
)
_NET: Final = (
    Column("participant", TEXT, "participant"),
    Column("counterparty", TEXT, "counterparty"),
    Column("debits", MONEY, "debits"),
    Column("credits", MONEY, "credits"),
    Column("debit_count", NUMBER, "debitCount"),
    Column("credit_count", NUMBER, "creditCount"),
    Column("net", MONEY, "net"),
)
_SETTLEMENT: Final = (
    Column("settlement_id", NUMBER, "settlementId"),
    Column("change", NUMBER, "change"),
    Column("model", TEXT, "model"),
    Column("ledger_account_type", TEXT, "ledgerAccountType"),
    Column("moves_positions", FLAG, "movesPositions"),
    Column("state", TEXT, "state"),
    Column("reason", TEXT, "reason"),
    Column("created_at", TIME, "createdAt"),
    Column("changed_at", TIME, "changedAt"),
)
_SETTLEMENT_END: Final = (Column("accounts", NUMBER, "accounts"),)
_SETTLED_ACCOUNT: Final = (
    Column("settlement_id", NUMBER, "settlementId"),
    Column("participant", TEXT, "participant"),
    Column("participant_id", NUMBER, "participantId"),
    Column("account_id", NUMBER, "accountId"),
    Column("account_state", TEXT, "state"),
    Column("account_reason", TEXT, "reason"),
    Column("external_reference", TEXT, "externalReference", optional=True),
    Column("net", MONEY, "net"),
    Column("moved", MONEY, "moved"),
    Column("moving", FLAG, "moving"),
    Column("changed_at", TIME, "changedAt"),
)
_SETTLED_LEGS: Final = (
    Column("settlement_id", NUMBER, "settlementId"),
    Column("participant", TEXT, "participant"),
    Column("account_id", NUMBER, "accountId"),
    Column("created_at", TIME, "createdAt"),
)
_LEG: Final = (
    Column("counterparty", TEXT, "counterparty"),
    Column("net", MONEY, "net"),
    Column("transfer_id", TEXT, "transferId"),
    Column("entry_type", TEXT, "entryType"),
)
WINDOW_IDS: Final = "settlement_window_ids"


def _schema(columns: Iterable[Column], more: Iterable[tuple[str, pa.DataType]] = ()) -> pa.Schema:
    """Return a schema of these columns and of the record's partition and offset, which identify it on its topic."""
    place = (("kafka_partition", pa.int32()), ("kafka_offset", NUMBER))
    return pa.schema([*((column.name, column.type) for column in columns), *more, *place])


DATASETS: Final[Mapping[str, pa.Schema]] = {
    "transfers": _schema(_TRANSFER),
    "positions": _schema(_POSITION),
    "settlement-windows": _schema((*_WINDOW, *_CONTENT)),
    "settlement-window-nets": _schema((*_CLOSED_CONTENT, *_NET)),
    "settlements": _schema((*_SETTLEMENT, *_SETTLEMENT_END), ((WINDOW_IDS, pa.list_(NUMBER)),)),
    "settlement-accounts": _schema(_SETTLED_ACCOUNT),
    "settlement-legs": _schema((*_SETTLED_LEGS, *_LEG)),
}


def rows_of(topic: str, record: dict[str, Any]) -> Iterator[Row]:
    """Return the rows of a record, at least one.

    Raises:
        KeyError, TypeError, ValueError, OverflowError: the record is not as its topic's schema says.
    """
    return _READERS[topic](record)


def _transfer_rows(record: dict[str, Any]) -> Iterator[Row]:
    values = _values(_TRANSFER, record)
    yield Row("transfers", _day(values["finished_at"]), _currency(record), values)


def _position_rows(record: dict[str, Any]) -> Iterator[Row]:
    values = _values(_POSITION, record)
    yield Row("positions", _day(values["changed_at"]), _currency(record), values)


def _window_rows(record: dict[str, Any]) -> Iterator[Row]:
    """Yield a row for each content of a window, one without content while it has none; of nets one a participant."""
    if record["kind"] == "nets":
        values = _values(_CLOSED_CONTENT, record)
        day, currency = _day(values["closed_at"]), _currency(record)
        for net in record["nets"]:
            yield Row("settlement-window-nets", day, currency, {**values, **_values(_NET, net)})
        return
    values = _values(_WINDOW, record)
    day = _day(values["changed_at"])
    for content in record["contents"]:
        yield Row("settlement-windows", day, _currency(content), {**values, **_values(_CONTENT, content)})
    if not record["contents"]:
        yield Row("settlement-windows", day, None, {**values, **dict.fromkeys(column.name for column in _CONTENT)})


def _settlement_rows(record: dict[str, Any]) -> Iterator[Row]:
    """Yield a row for each currency of a settlement; one for an account of it; one for each leg of an account."""
    if record["kind"] == "account":
        values = _values(_SETTLED_ACCOUNT, record)
        yield Row("settlement-accounts", _day(values["changed_at"]), _currency(record), values)
        return
    if record["kind"] == "legs":
        values = _values(_SETTLED_LEGS, record)
        for leg in record["legs"]:
            of_leg = {**values, **_values(_LEG, leg)}
            yield Row("settlement-legs", _day(values["created_at"]), _currency(record), of_leg)
        return
    values = _values((*_SETTLEMENT, *_SETTLEMENT_END), record)
    windows: dict[str, set[int]] = {}
    for content in record["contents"]:
        windows.setdefault(_currency(content), set()).add(content["settlementWindowId"])
    for currency, window_ids in windows.items():
        of_currency = {**values, WINDOW_IDS: sorted(window_ids)}
        yield Row("settlements", _day(values["changed_at"]), currency, of_currency)


_READERS: Final[Mapping[str, Callable[[dict[str, Any]], Iterator[Row]]]] = {
    "transfers": _transfer_rows,
    "positions": _position_rows,
    "settlement-windows": _window_rows,
    "settlements": _settlement_rows,
}


def _values(columns: Iterable[Column], record: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if optional and record[field] is None else _CONVERTERS[kind](record[field])
        for name, kind, field, optional in columns
    }


def _currency(part: dict[str, Any]) -> str:
    currency = part["currency"]
    if type(currency) is not str or not currency:
        raise TypeError(f"{currency!r} is no currency")
    return currency


def _money(units: Any) -> Decimal:
    if type(units) is not int:
        raise TypeError(f"{units!r} is no amount")
    return Decimal(units).scaleb(-SCALE)


def _moment(value: Any) -> datetime:
    """Read a time, as text or in milliseconds since 1970."""
    if type(value) is int:
        return _EPOCH + timedelta(milliseconds=value)
    moment = datetime.fromisoformat(value)
    if moment.utcoffset() != timedelta(0):
        raise ValueError(f"{value!r} is no time in UTC")
    return moment


def _only(kind: type) -> Callable[[Any], Any]:
    def checked(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"{value!r} is no {kind.__name__}")
        return value

    return checked


_CONVERTERS: Final[Mapping[pa.DataType, Callable[[Any], Any]]] = {
    MONEY: _money,
    TIME: _moment,
    TEXT: _only(str),
    NUMBER: _only(int),
    FLAG: _only(bool),
}


def _day(moment: datetime) -> str:
    return moment.date().isoformat()
