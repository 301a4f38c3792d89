"""The bodies, queries and path segments of the settlement API (protocol 9.1)."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NotRequired,
    TypeAlias,
)

from aiohttp.web import Request
from pydantic import AfterValidator, Field, PlainValidator, TypeAdapter, WithJsonSchema, with_config
from typing_extensions import TypedDict  # pydantic takes typing's only from Python 3.12 on

from clearinghub.domain.errors import ErrorCode, Rejection
from web.admin.schema_errors import refused
from web.admin.schema_types import NO_OTHER_KEYS, Currency
from web.admin.schemas import Reason
from web.http.errors import ApiError

ACCOUNTS_MAX: Final = 2_000  # of one request
WINDOWS_MAX: Final = 1_000

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,11}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT: Final = re.compile(
    r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,3})?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])?)?"
)


def _whole(value: object) -> int:
    written = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if _NUMBER.fullmatch(written) is None:
        raise refused(ErrorCode.VALIDATION_ERROR, "must be a positive number")
    return int(written)


def _whole_in_query(written: str) -> int:
    """Return a number of a query; a text that is none has the wrong type, which is malformed (protocol 1.3)."""
    if _NUMBER.fullmatch(written) is None:
        raise refused(ErrorCode.MALFORMED_SYNTAX, "must be a positive number")
    return int(written)


def _milliseconds(written: str) -> int:
    if not written:
        raise refused(ErrorCode.MALFORMED_SYNTAX, "is not allowed to be empty")
    if _MOMENT.fullmatch(written) is None:
        fault = f'with value "{written}" fails to match the required pattern: /^{_MOMENT.pattern}$/'
        raise refused(ErrorCode.MALFORMED_SYNTAX, fault)
    try:
        moment = datetime.fromisoformat(written)
        zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return (zoned - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError) as error:
        raise refused(ErrorCode.MALFORMED_SYNTAX, "There is no such day", names_place=False) from error


def _without_duplicates(items: list[Any]) -> list[Any]:
    """Refuse two items with the same id, however the ids are written."""
    seen: set[int] = set()
    for index, item in enumerate(items):
        if item["id"] in seen:
            raise refused(ErrorCode.VALIDATION_ERROR, "contains a duplicate value", index=index)
        seen.add(item["id"])
    return items


_WRITTEN: Final = {"type": "string", "pattern": f"^{_NUMBER.pattern}$"}
Number: TypeAlias = Annotated[
    int,
    PlainValidator(_whole),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 999_999_999_999}, _WRITTEN]}),
]
"""The number of a window, a settlement, a participant or an account, or its text."""
NumberInQuery: TypeAlias = Annotated[int, PlainValidator(_whole_in_query), WithJsonSchema(_WRITTEN)]
MomentInQuery: TypeAlias = Annotated[
    int,
    PlainValidator(_milliseconds),
    WithJsonSchema({"type": "string", "minLength": 1, "pattern": f"^{_MOMENT.pattern}$"}),
]
"""A day or a time, without a zone in UTC; it becomes milliseconds since 1970."""
ExternalReference: TypeAlias = Annotated[str, Field(min_length=1, max_length=50)]
WindowStateText: TypeAlias = Literal[
    "OPEN", "PROCESSING", "CLOSED", "PENDING_SETTLEMENT", "SETTLED", "ABORTED", "FAILED"
]
AccountStateText: TypeAlias = Literal[
    "PENDING_SETTLEMENT",
    "PS_TRANSFERS_RECORDED",
    "PS_TRANSFERS_RESERVED",
    "PS_TRANSFERS_COMMITTED",
    "SETTLED",
    "ABORTED",
]
SettlementStateText: TypeAlias = Literal[
    "PENDING_SETTLEMENT",
    "PS_TRANSFERS_RECORDED",
    "PS_TRANSFERS_RESERVED",
    "PS_TRANSFERS_COMMITTED",
    "SETTLING",
    "SETTLED",
    "ABORTED",
]


@with_config(NO_OTHER_KEYS)
class WindowClosing(TypedDict):
    """The body of POST /settlementWindows/{id}."""

    state: Literal["CLOSED"]
    reason: Reason


@with_config(NO_OTHER_KEYS)
class WindowReference(TypedDict):
    """A window of a settlement."""

    id: Number


@with_config(NO_OTHER_KEYS)
class NewSettlement(TypedDict):
    """The body of POST /settlements."""

    settlementModel: Annotated[str, Field(min_length=1, max_length=30)]
    reason: Reason
    settlementWindows: Annotated[
        list[WindowReference],
        Field(min_length=1, max_length=WINDOWS_MAX, json_schema_extra={"uniqueItems": True}),
        AfterValidator(_without_duplicates),
    ]


@with_config(NO_OTHER_KEYS)
class AccountChange(TypedDict):
    """The body of PUT /settlements/{id}/participants/{pid}/accounts/{aid}."""

    state: AccountStateText
    reason: Reason
    externalReference: NotRequired[ExternalReference]


@with_config(NO_OTHER_KEYS)
class NamedAccountChange(TypedDict):
    """An account of a participant, and its change."""

    id: Number
    state: AccountStateText
    reason: Reason
    externalReference: NotRequired[ExternalReference]


@with_config(NO_OTHER_KEYS)
class ParticipantChange(TypedDict):
    """The body of PUT /settlements/{id}/participants/{pid}."""

    accounts: Annotated[list[NamedAccountChange], Field(min_length=1, max_length=ACCOUNTS_MAX)]


@with_config(NO_OTHER_KEYS)
class NamedParticipantChange(TypedDict):
    """A participant of a settlement, and the changes of its accounts."""

    id: Number
    accounts: Annotated[list[NamedAccountChange], Field(min_length=1, max_length=ACCOUNTS_MAX)]


ParticipantChanges: TypeAlias = Annotated[list[NamedParticipantChange], Field(min_length=1, max_length=ACCOUNTS_MAX)]


@with_config(NO_OTHER_KEYS)
class SettlementChange(TypedDict):
    """The body of PUT /settlements/{id}: a `SettlementProgress` or a `SettlementAbort`.

    A body that mixes them is refused with sentences of its own (protocol 9.5), so both are accepted here.
    """

    participants: NotRequired[ParticipantChanges]
    state: NotRequired[Annotated[str, Field(min_length=1, max_length=30)]]
    reason: NotRequired[Reason]
    externalReference: NotRequired[ExternalReference]


@with_config(NO_OTHER_KEYS)
class SettlementProgress(TypedDict):
    """The body that moves accounts of a settlement to their next states."""

    participants: ParticipantChanges


@with_config(NO_OTHER_KEYS)
class SettlementAbort(TypedDict):
    """The body that aborts a settlement."""

    state: Literal["ABORTED"]
    reason: Reason
    externalReference: NotRequired[ExternalReference]


@with_config(NO_OTHER_KEYS)
class WindowsQuery(TypedDict):
    """The query of GET /settlementWindows."""

    participantId: NotRequired[NumberInQuery]
    state: NotRequired[WindowStateText]
    fromDateTime: NotRequired[MomentInQuery]
    toDateTime: NotRequired[MomentInQuery]
    currency: NotRequired[Currency]


@with_config(NO_OTHER_KEYS)
class SettlementsQuery(TypedDict):
    """The query of GET /settlements."""

    currency: NotRequired[Currency]
    participantId: NotRequired[NumberInQuery]
    settlementWindowId: NotRequired[NumberInQuery]
    accountId: NotRequired[NumberInQuery]
    state: NotRequired[SettlementStateText]
    fromDateTime: NotRequired[MomentInQuery]
    toDateTime: NotRequired[MomentInQuery]
    fromSettlementWindowDateTime: NotRequired[MomentInQuery]
    toSettlementWindowDateTime: NotRequired[MomentInQuery]


WINDOW_CLOSING: Final = TypeAdapter(WindowClosing)
NEW_SETTLEMENT: Final = TypeAdapter(NewSettlement)
ACCOUNT_CHANGE: Final = TypeAdapter(AccountChange)
PARTICIPANT_CHANGE: Final = TypeAdapter(ParticipantChange)
SETTLEMENT_CHANGE: Final = TypeAdapter(SettlementChange)
WINDOWS_QUERY: Final = TypeAdapter(WindowsQuery)
SETTLEMENTS_QUERY: Final = TypeAdapter(SettlementsQuery)
WINDOW_FILTERS: Final = tuple(WindowsQuery.__annotations__)
SETTLEMENT_FILTERS: Final = tuple(SettlementsQuery.__annotations__)


def refuse_unknown(request: Request, known: Collection[str]) -> None:
    """Refuse an unknown parameter with 3101: who misspells a filter would be shown too much."""
    for name in request.query:
        if name not in known:
            raise ApiError(Rejection(ErrorCode.MALFORMED_SYNTAX, f'"{name[:64]}" is not allowed'))


def number_in_path(request: Request, name: str) -> int:
    """Return a number in the path."""
    written = request.match_info[name]
    if _NUMBER.fullmatch(written) is None:
        raise ApiError(Rejection(ErrorCode.MALFORMED_SYNTAX, f"'{name}' URI path parameter"))
    return int(written)
