"""The types of /transfers (protocol 1.4 to 1.6), and the checks of a body against them, in the API schema's order.

Fields that the API does not know are allowed: they are forwarded with the body's bytes (protocol 1.6), but are not in
the checked value. Nothing is converted: where the schema has a string, a number is refused.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal, NotRequired, TypeAlias, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, ValidationInfo, with_config
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict  # pydantic takes typing's only from Python 3.12 on

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.money import amount_fault, parse_amount
from web.fspiop.schema_errors import NOT_IN_ENUMERATION, first_rejection, pattern_mismatch
from web.http.errors import ApiError

CORRELATION_ID_PATTERN: Final = (
    "^[0-9a-f]{8}-[0-9a-f]{4}-[1-7][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$|^[0-9A-HJKMNP-TV-Z]{26}$"
)
AMOUNT_PATTERN: Final = r"^([0]|([1-9][0-9]{0,17}))([.][0-9]{0,3}[1-9])?$"
# (?-u) keeps \d to ASCII digits; the texts of errors show the patterns without it, as the API has them.
DATE_TIME_PATTERN: Final = (
    r"(?-u)^(?:[1-9]\d{3}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|"
    r"(?:0[13578]|1[02])-31)|(?:[1-9]\d(?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|[13579][26])00)-02-29)"
    r"T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:(\.\d{3}))(?:Z|[+-][01]\d:[0-5]\d)$"
)
ERROR_CODE_PATTERN: Final = r"(?-u)^[1-9]\d{3}$"
ILP_PACKET_PATTERN: Final = "^[A-Za-z0-9-_]+[=]{0,2}$"
ILP_HASH_PATTERN: Final = "^[A-Za-z0-9-_]{43}$"

_CORRELATION_ID: Final = re.compile(CORRELATION_ID_PATTERN)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def _is_known_currency(code: str, info: ValidationInfo) -> str:
    assert info.context is not None  # `checked` passes the scheme's currencies
    if code not in info.context:
        raise PydanticCustomError(NOT_IN_ENUMERATION, "")
    return code


CorrelationId: TypeAlias = Annotated[str, Field(pattern=CORRELATION_ID_PATTERN)]
FspId: TypeAlias = Annotated[str, Field(min_length=1, max_length=32)]
Currency: TypeAlias = Annotated[str, Field(min_length=3, max_length=3), AfterValidator(_is_known_currency)]
AmountText: TypeAlias = Annotated[str, Field(pattern=AMOUNT_PATTERN)]
DateTime: TypeAlias = Annotated[str, Field(pattern=DATE_TIME_PATTERN)]
IlpPacket: TypeAlias = Annotated[str, Field(min_length=1, max_length=32768, pattern=ILP_PACKET_PATTERN)]
IlpHash: TypeAlias = Annotated[str, Field(max_length=48, pattern=ILP_HASH_PATTERN)]  # a condition or a fulfilment
ErrorCodeText: TypeAlias = Annotated[str, Field(pattern=ERROR_CODE_PATTERN)]
ErrorDescription: TypeAlias = Annotated[str, Field(min_length=1, max_length=128)]
# For each type that is part of another: without a configuration of its own it would inherit that of the outer one.
OPEN: Final = ConfigDict(extra="ignore")
TransferState: TypeAlias = Literal["RECEIVED", "RESERVED", "COMMITTED", "ABORTED"]


@with_config(OPEN)
class Extension(TypedDict):
    """One key and value of an extension list."""

    key: Annotated[str, Field(min_length=1, max_length=32)]
    value: Annotated[str, Field(min_length=1, max_length=128)]


@with_config(OPEN)
class ExtensionList(TypedDict):
    """Data that two DFSPs exchange beside the API; the hub forwards it."""

    extension: Annotated[list[Extension], Field(min_length=1, max_length=16)]


@with_config(OPEN)
class Money(TypedDict):
    """An amount as text, with its currency."""

    currency: Currency
    amount: AmountText


class TransferPrepare(TypedDict):
    """The body of POST /transfers."""

    transferId: CorrelationId
    payeeFsp: FspId
    payerFsp: FspId
    amount: Money
    ilpPacket: IlpPacket
    condition: IlpHash
    expiration: DateTime
    extensionList: NotRequired[ExtensionList]


class TransferFulfil(TypedDict):
    """The body of PUT /transfers/{ID}."""

    fulfilment: NotRequired[IlpHash]
    completedTimestamp: NotRequired[DateTime]
    transferState: TransferState
    extensionList: NotRequired[ExtensionList]


@with_config(OPEN)
class ErrorInformationBody(TypedDict):
    """An error as a DFSP sends it."""

    errorCode: ErrorCodeText
    errorDescription: ErrorDescription
    extensionList: NotRequired[ExtensionList]


class ErrorInformationObject(TypedDict):
    """The body of PUT /transfers/{ID}/error."""

    errorInformation: ErrorInformationBody


Checked = TypeVar("Checked")

_PREPARE: Final = TypeAdapter(TransferPrepare)
_FULFIL: Final = TypeAdapter(TransferFulfil)
_ERROR: Final = TypeAdapter(ErrorInformationObject)


def checked(model: TypeAdapter[Checked], parsed: dict[str, Any], currencies: frozenset[str]) -> Checked:
    """Return the body as a value of the model. Raises ApiError for the first thing wrong with it (protocol 1.3)."""
    try:
        return model.validate_python(parsed, strict=True, context=currencies)
    except ValidationError as error:
        raise ApiError(first_rejection(error)) from error


def transfer_prepare(parsed: dict[str, Any], currencies: frozenset[str]) -> TransferPrepare:
    """Return the checked body of a prepare; raises ApiError as `checked` does."""
    return checked(_PREPARE, parsed, currencies)


def transfer_fulfil(parsed: dict[str, Any]) -> TransferFulfil:
    """Return the checked body of a fulfil; raises ApiError as `checked` does."""
    return checked(_FULFIL, parsed, frozenset())


def error_information(parsed: dict[str, Any]) -> ErrorInformationBody:
    """Return the checked errorInformation of an error callback; raises ApiError as `checked` does."""
    return checked(_ERROR, parsed, frozenset())["errorInformation"]


def check_path_id(text: str) -> str:
    """Return the ID of a path. Raises ApiError (3100) if it is no CorrelationId."""
    if _CORRELATION_ID.fullmatch(text) is None:
        detail = pattern_mismatch("/path/ID", CORRELATION_ID_PATTERN)
        raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, detail))
    return text


def date_time_ms(text: str) -> int:
    """Return a checked DateTime as milliseconds since 1970, negative before that."""
    return (datetime.fromisoformat(text) - _EPOCH) // _MILLISECOND


def expiration_ms(text: str, now_ms: int, ahead_s_max: int) -> int:
    """Return the checked expiration of a transfer or bulk as milliseconds since 1970.

    One in the past is refused by callback (protocol 3.2); one too far in the future at once, for nothing is kept of it.

    Raises:
        ApiError: it is more than `ahead_s_max` seconds after `now_ms` (3100).
    """
    expires_at_ms = date_time_ms(text)
    if expires_at_ms > now_ms + ahead_s_max * 1000:
        detail = f"/requestBody/expiration must be at most {ahead_s_max} s in the future"
        raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, detail))
    return expires_at_ms


def ledger_amount(text: str) -> int:
    """Return an Amount as an integer of 1/10,000.

    The schema allows 18 digits before the point, the ledger holds 14, and a record's integers have 64 bits. The
    reference accepts a longer amount and refuses it by callback. Here no record could hold it, so it is refused at
    once, with the callback's text.

    Raises:
        ApiError: the ledger cannot hold the amount (3100).
    """
    fault = amount_fault(text)
    if fault is not None:
        raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, fault))
    amount = parse_amount(text)
    assert amount is not None  # the schema's pattern is parse_amount's
    return amount
