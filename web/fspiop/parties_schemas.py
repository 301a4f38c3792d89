"""The bodies of /parties and /participants as types (protocol 1.4 to 1.6), checked in the API schema's order.

The reference converts a number where its schema wants a text; DFSPs send error codes as numbers, so these are taken.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, NotRequired, TypeAlias, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict  # pydantic takes typing's only from Python 3.12 on

from clearinghub.domain.errors import ErrorCode, Rejection
from web.fspiop.schema_errors import first_rejection, pattern_mismatch
from web.fspiop.schemas import (
    CORRELATION_ID_PATTERN,
    ERROR_CODE_PATTERN,
    Currency,
)
from web.http.errors import ApiError

Body = TypeVar("Body")

IDENTIFIER_PATTERN: Final = r"^[^\s{}]+$"
NAME_PATTERN: Final = r"^[\p{L}\p{M}\p{Nd}\p{Pc}\p{Join_Control} .,'-]{1,128}$"
DATE_PATTERN: Final = (
    r"(?-u)^(?:[1-9]\d{3}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|"
    r"(?:0[13578]|1[02])-31)|(?:[1-9]\d(?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|[13579][26])00)-02-29)$"
)
MERCHANT_CODE_PATTERN: Final = r"(?-u)^[\d]{1,4}$"
PARTY_LIST_MAX: Final = 10_000


def _as_text(value: object) -> object:
    """A whole number as its text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _is_not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("string_pattern_mismatch", "", {"pattern": NAME_PATTERN})
    return text


RequestId: TypeAlias = Annotated[str, Field(pattern=CORRELATION_ID_PATTERN)]
PartyIdType: TypeAlias = Annotated[str, Field(min_length=1, max_length=32)]
PartyIdentifier: TypeAlias = Annotated[str, Field(min_length=1, max_length=128, pattern=IDENTIFIER_PATTERN)]
PartySubId: TypeAlias = Annotated[str, Field(min_length=1, max_length=128)]
PartyFspId: TypeAlias = Annotated[str, Field(min_length=1, max_length=32)]
PartyName: TypeAlias = Annotated[str, Field(min_length=1, max_length=128)]
PersonName: TypeAlias = Annotated[str, Field(pattern=NAME_PATTERN), AfterValidator(_is_not_blank)]
DateOfBirth: TypeAlias = Annotated[str, Field(pattern=DATE_PATTERN)]
MerchantCode: TypeAlias = Annotated[str, Field(pattern=MERCHANT_CODE_PATTERN)]
_ErrorCodeText: TypeAlias = Annotated[str, Field(pattern=ERROR_CODE_PATTERN)]
_ErrorCodeNumber: TypeAlias = Annotated[int, Field(ge=1_000, le=9_999)]
PartyErrorCode: TypeAlias = Annotated[
    _ErrorCodeText, BeforeValidator(_as_text, json_schema_input_type=_ErrorCodeText | _ErrorCodeNumber)
]
PartyErrorText: TypeAlias = Annotated[str, Field(min_length=1, max_length=128)]
ExtensionKey: TypeAlias = Annotated[str, Field(min_length=1, max_length=32)]
ExtensionValue: TypeAlias = Annotated[str, Field(min_length=1, max_length=128)]


class PartyExtension(TypedDict):
    """One pair of an extension list."""

    key: ExtensionKey
    value: ExtensionValue


class PartyExtensionList(TypedDict):
    """What two DFSPs tell each other beside the API."""

    extension: Annotated[list[PartyExtension], Field(min_length=1, max_length=16)]


class PartyIdInfo(TypedDict):
    """What a party is called, and where it is."""

    partyIdType: PartyIdType
    partyIdentifier: PartyIdentifier
    partySubIdOrType: NotRequired[PartySubId]
    fspId: NotRequired[PartyFspId]
    extensionList: NotRequired[PartyExtensionList]


class ComplexName(TypedDict):
    """A person's name."""

    firstName: NotRequired[PersonName]
    middleName: NotRequired[PersonName]
    lastName: NotRequired[PersonName]


class PersonalInfo(TypedDict):
    """What tells one person from another."""

    complexName: NotRequired[ComplexName]
    dateOfBirth: NotRequired[DateOfBirth]


class Party(TypedDict):
    """A party as its DFSP describes it."""

    partyIdInfo: PartyIdInfo
    merchantClassificationCode: NotRequired[MerchantCode]
    name: NotRequired[PartyName]
    personalInfo: NotRequired[PersonalInfo]


class PartyAnswer(TypedDict):
    """The body of PUT /parties/{Type}/{ID}."""

    party: Party


class ParticipantEntry(TypedDict):
    """The body of POST /participants/{Type}/{ID}."""

    fspId: PartyFspId
    currency: NotRequired[Currency]
    extensionList: NotRequired[PartyExtensionList]


class ParticipantAnswer(TypedDict):
    """The body of PUT /participants/{Type}/{ID}."""

    fspId: NotRequired[PartyFspId]
    currency: NotRequired[Currency]


class ParticipantBatch(TypedDict):
    """The body of POST /participants."""

    requestId: RequestId
    partyList: Annotated[list[PartyIdInfo], Field(min_length=1, max_length=PARTY_LIST_MAX)]
    currency: NotRequired[Currency]


class PartyErrorInformation(TypedDict):
    """What went wrong."""

    errorCode: PartyErrorCode
    errorDescription: PartyErrorText
    extensionList: NotRequired[PartyExtensionList]


class PartyError(TypedDict):
    """The body of PUT .../error."""

    errorInformation: PartyErrorInformation


class PartyResult(TypedDict):
    """What came of one party of a batch."""

    partyId: PartyIdInfo
    errorInformation: NotRequired[PartyErrorInformation]


class ParticipantBatchAnswer(TypedDict):
    """The body of PUT /participants/{ID}."""

    partyList: Annotated[list[PartyResult], Field(min_length=1, max_length=PARTY_LIST_MAX)]
    currency: NotRequired[Currency]


PARTY_ANSWER: Final = TypeAdapter(PartyAnswer)
PARTICIPANT_ENTRY: Final = TypeAdapter(ParticipantEntry)
PARTICIPANT_ANSWER: Final = TypeAdapter(ParticipantAnswer)
PARTICIPANT_BATCH: Final = TypeAdapter(ParticipantBatch)
PARTICIPANT_BATCH_ANSWER: Final = TypeAdapter(ParticipantBatchAnswer)
PARTY_ERROR: Final = TypeAdapter(PartyError)


def checked(adapter: TypeAdapter[Body], parsed: dict[str, Any], currencies: frozenset[str]) -> Body:
    """The checked body. Raises ApiError for the first thing wrong with it (protocol 1.3)."""
    try:
        return adapter.validate_python(parsed, strict=True, context=currencies)
    except ValidationError as error:
        raise ApiError(first_rejection(error)) from error


def checked_segment(name: str, text: str, length_max: int = 128, *, pattern: bool = False) -> str:
    """A segment of the path, once it is one; `pattern` for what may hold neither blanks nor braces.

    Raises:
        ApiError: it is too long or not of its pattern (3100).
    """
    if len(text) > length_max:
        detail = f"/path/{name} must NOT have more than {length_max} characters"
        raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, detail))
    if any(character in "{}" or character.isspace() for character in text) and pattern:
        raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, pattern_mismatch(f"/path/{name}", IDENTIFIER_PATTERN)))
    return text


def checked_currency(text: str | None, currencies: frozenset[str]) -> str | None:
    """The query's currency, if it has one that exists. Raises ApiError (3100) when it does not."""
    if text is None or text in currencies:
        return text
    detail = "/query/currency must be equal to one of the allowed values"
    raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, detail))
