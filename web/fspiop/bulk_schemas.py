"""The types of /bulkTransfers (protocol 1.6 and 8), and the checks of a body against them, in the API schema's order.

Fields that the API does not know are dropped: the hub's POST to the payee and its PUTs are its own (protocol 8.1).
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NotRequired, TypeAlias

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict  # pydantic takes typing's only from Python 3.12 on

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
    checked,
)

ITEMS_MAX: Final = 1_000

BulkTransferState: TypeAlias = Literal["RECEIVED", "PENDING", "ACCEPTED", "PROCESSING", "COMPLETED", "REJECTED"]


class IndividualTransfer(TypedDict):
    """One item of a bulk: a transfer."""

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
    individualTransfers: Annotated[list[IndividualTransfer], Field(min_length=1, max_length=ITEMS_MAX)]
    expiration: DateTime
    extensionList: NotRequired[ExtensionList]


class IndividualTransferResult(TypedDict):
    """The payee's answer to one item."""

    transferId: CorrelationId
    fulfilment: NotRequired[IlpHash]
    errorInformation: NotRequired[ErrorInformationBody]
    extensionList: NotRequired[ExtensionList]


class BulkTransferFulfil(TypedDict):
    """The body of PUT /bulkTransfers/{ID}."""

    completedTimestamp: NotRequired[DateTime]
    individualTransferResults: NotRequired[Annotated[list[IndividualTransferResult], Field(max_length=ITEMS_MAX)]]
    bulkTransferState: BulkTransferState
    extensionList: NotRequired[ExtensionList]


_PREPARE: Final = TypeAdapter(BulkTransferPrepare)
_FULFIL: Final = TypeAdapter(BulkTransferFulfil)
_ERROR: Final = TypeAdapter(ErrorInformationObject)


def bulk_transfer_prepare(parsed: dict[str, Any], currencies: frozenset[str]) -> BulkTransferPrepare:
    """Return the checked body of a bulk; raises ApiError as `checked` does."""
    return checked(_PREPARE, parsed, currencies)


def bulk_transfer_fulfil(parsed: dict[str, Any]) -> BulkTransferFulfil:
    """Return the checked body of the payee's answer; raises ApiError as `checked` does."""
    return checked(_FULFIL, parsed, frozenset())


def bulk_error(parsed: dict[str, Any]) -> ErrorInformationObject:
    """Return the checked body of an error callback; raises ApiError as `checked` does."""
    return checked(_ERROR, parsed, frozenset())
