"""The bodies of /parties and /participants as types (protocol 1.4 to 1.6), checked in the API schema's order.

Names, types and identifiers have other rules than in quotes_schemas.py: in the reference two services check them. The
reference converts a number where its schema wants a text; DFSPs send error codes as numbers, so these are accepted.
"""

from __future__ import annotations

from typing import Annotated, Final, NotRequired, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict  # pydantic takes typing's only from Python 3.12 on

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.endpoints import is_path_segment
from web.fspiop.quotes_schemas import DATE_PATTERN, MerchantCode, Text128
from web.fspiop.schema_errors import pattern_mismatch
from web.fspiop.schemas import CorrelationId, Currency, ErrorCodeText, ExtensionList, FspId
from web.http.errors import ApiError

IDENTIFIER_PATTERN: Final = r"^[^\s{}]+$"
NAME_PATTERN: Final = r"^[\p{L}\p{M}\p{Nd}\p{Pc}\p{Join_Control} .,'-]{1,128}$"
PARTY_LIST_MAX: Final = 10_000


def _as_text(value: object) -> object:
    """Return a whole number as its text, and anything else unchanged."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _is_not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("string_pattern_mismatch", "", {"pattern": NAME_PATTERN})
    return text


PartyIdType: TypeAlias = Annotated[str, Field(min_length=1, max_length=32)]
PartyIdentifier: TypeAlias = Annotated[str, Field(min_length=1, max_length=128, pattern=IDENTIFIER_PATTERN)]
PersonName: TypeAlias = Annotated[str, Field(pattern=NAME_PATTERN), AfterValidator(_is_not_blank)]
DateOfBirth: TypeAlias = Annotated[str, Field(pattern=DATE_PATTERN)]
_ErrorCodeNumber: TypeAlias = Annotated[int, Field(ge=1_000, le=9_999)]
PartyErrorCode: TypeAlias = Annotated[
    ErrorCodeText, BeforeValidator(_as_text, json_schema_input_type=ErrorCodeText | _ErrorCodeNumber)
]


class PartyIdInfo(TypedDict):
    """A party's identifier, and the FSP that has the party."""

    partyIdType: PartyIdType
    partyIdentifier: PartyIdentifier
    partySubIdOrType: NotRequired[Text128]
    fspId: NotRequired[FspId]
    extensionList: NotRequired[ExtensionList]


class ComplexName(TypedDict):
    """A person's name, in up to three parts."""

    firstName: NotRequired[PersonName]
    middleName: NotRequired[PersonName]
    lastName: NotRequired[PersonName]


class PersonalInfo(TypedDict):
    """What identifies a person beside the party's identifier."""

    complexName: NotRequired[ComplexName]
    dateOfBirth: NotRequired[DateOfBirth]


class Party(TypedDict):
    """A party as its DFSP describes it."""

    partyIdInfo: PartyIdInfo
    merchantClassificationCode: NotRequired[MerchantCode]
    name: NotRequired[Text128]
    personalInfo: NotRequired[PersonalInfo]


class PartyAnswer(TypedDict):
    """The body of PUT /parties/{Type}/{ID}."""

    party: Party


class ParticipantEntry(TypedDict):
    """The body of POST /participants/{Type}/{ID}."""

    fspId: FspId
    currency: NotRequired[Currency]
    extensionList: NotRequired[ExtensionList]


class ParticipantAnswer(TypedDict):
    """The body of PUT /participants/{Type}/{ID}."""

    fspId: NotRequired[FspId]
    currency: NotRequired[Currency]


class ParticipantBatch(TypedDict):
    """The body of POST /participants."""

    requestId: CorrelationId
    partyList: Annotated[list[PartyIdInfo], Field(min_length=1, max_length=PARTY_LIST_MAX)]
    currency: NotRequired[Currency]


class PartyErrorInformation(TypedDict):
    """The error that a DFSP reports, or that a result contains."""

    errorCode: PartyErrorCode
    errorDescription: Text128
    extensionList: NotRequired[ExtensionList]


class PartyError(TypedDict):
    """The body of PUT .../error."""

    errorInformation: PartyErrorInformation


class PartyResult(TypedDict):
    """The result of one party of a batch."""

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


def checked_segment(name: str, text: str, length_max: int = 128, *, pattern: bool = False) -> str:
    """Return a segment of the path; with `pattern` it may contain neither blanks nor braces.

    What is accepted here can be written into the URL of every callback about it.

    Raises:
        ApiError: the segment is too long, does not match its pattern, or can be no segment of a callback's URL (3100).
    """
    if len(text) > length_max:
        detail = f"/path/{name} must NOT have more than {length_max} characters"
        raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, detail))
    if not is_path_segment(text):
        detail = f"/path/{name} must be neither a dot segment nor contain control characters"
        raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, detail))
    if any(character in "{}" or character.isspace() for character in text) and pattern:
        raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, pattern_mismatch(f"/path/{name}", IDENTIFIER_PATTERN)))
    return text


def checked_currency(text: str | None, currencies: frozenset[str]) -> str | None:
    """Return the query's currency, or None if it has none.

    Raises:
        ApiError: there is no such currency (3100).
    """
    if text is None or text in currencies:
        return text
    detail = "/query/currency must be equal to one of the allowed values"
    raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, detail))
