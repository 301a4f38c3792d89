"""The bodies of /bulkTransfers as types (protocol 1.6 and 8), checked in the API schema's order.

What the API does not know is dropped: the hub's POST to the payee and its PUTs are messages of its own (protocol 8.1).
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NotRequired, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic takes typing's only from Python 3.12 on

from web.fspiop.schema_errors import first_rejection
from web.fspiop.schemas import (
    CorrelationId,
    DateTime,
    ErrorInformationBody,
    ErrorInformationObject,
    ExtensionList,
    FspId,
    IlpHash,
    IlpPacket,
    Money,
)
from web.http.errors import ApiError

LINES_MAX: Final = 1_000

BulkTransferState: TypeAlias = Literal["RECEIVED", "PENDING", "ACCEPTED", "PROCESSING", "COMPLETED", "REJECTED"]


class IndividualTransfer(TypedDict):
    """One line of a bulk."""

    transferId: CorrelationId
    transferAmount: Money
    ilpPacket: IlpPacket
    condition: IlpHash
    extensionList: NotRequired[ExtensionList]


class BulkTransferPrepare(TypedDict):
    """The body of POST /bulkTransfers."""

    bulkTransferId: CorrelationId
    bulkQuoteId: CorrelationId
    payerFsp: FspId
    payeeFsp: FspId
    individualTransfers: Annotated[list[IndividualTransfer], Field(min_length=1, max_length=LINES_MAX)]
    expiration: DateTime
    extensionList: NotRequired[ExtensionList]


class IndividualTransferResult(TypedDict):
    """What became of one line."""

    transferId: CorrelationId
    fulfilment: NotRequired[IlpHash]
    errorInformation: NotRequired[ErrorInformationBody]
    extensionList: NotRequired[ExtensionList]


class BulkTransferFulfil(TypedDict):
    """The body of PUT /bulkTransfers/{ID}."""

    completedTimestamp: NotRequired[DateTime]
    individualTransferResults: NotRequired[Annotated[list[IndividualTransferResult], Field(max_length=LINES_MAX)]]
    bulkTransferState: BulkTransferState
    extensionList: NotRequired[ExtensionList]


_PREPARE: Final = TypeAdapter(BulkTransferPrepare)
_FULFIL: Final = TypeAdapter(BulkTransferFulfil)
_ERROR: Final = TypeAdapter(ErrorInformationObject)


def bulk_transfer_prepare(parsed: dict[str, Any], currencies: frozenset[str]) -> BulkTransferPrepare:
    """The checked body of a bulk. Raises ApiError for the first thing wrong with it (protocol 1.3)."""
    try:
        return _PREPARE.validate_python(parsed, strict=True, context=currencies)
    except ValidationError as error:
        raise ApiError(first_rejection(error)) from error


def bulk_transfer_fulfil(parsed: dict[str, Any]) -> BulkTransferFulfil:
    """The checked body of the payee's answer. Raises ApiError for the first thing wrong with it."""
    try:
        return _FULFIL.validate_python(parsed, strict=True)
    except ValidationError as error:
        raise ApiError(first_rejection(error)) from error


def bulk_error(parsed: dict[str, Any]) -> ErrorInformationObject:
    """The checked body of an error callback. Raises ApiError for the first thing wrong with it."""
    try:
        return _ERROR.validate_python(parsed, strict=True)
    except ValidationError as error:
        raise ApiError(first_rejection(error)) from error
