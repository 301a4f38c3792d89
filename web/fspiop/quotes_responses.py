"""More bodies: answers to bulk quotes; transaction requests, transactions and authorizations (protocol 1.6)."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypeAlias

from pydantic import Field, with_config
from typing_extensions import TypedDict  # pydantic takes typing's only from Python 3.12 on

from web.fspiop.quotes_schemas import (
    CLOSED,
    AuthenticationType,
    Code,
    GeoCode,
    Party,
    PartyIdInfo,
    Text128,
    TransactionType,
)
from web.fspiop.schemas import (
    OPEN,
    CorrelationId,
    DateTime,
    ErrorInformationBody,
    ExtensionList,
    IlpHash,
    IlpPacket,
    Money,
)

AuthenticationValue: TypeAlias = Annotated[str, Field(min_length=1, max_length=64)]


@with_config(OPEN)
class IndividualQuoteResult(TypedDict):
    """The answer to one quote of a bulk."""

    quoteId: CorrelationId
    payee: NotRequired[Party]
    transferAmount: NotRequired[Money]
    payeeReceiveAmount: NotRequired[Money]
    payeeFspFee: NotRequired[Money]
    payeeFspCommission: NotRequired[Money]
    ilpPacket: NotRequired[IlpPacket]
    condition: NotRequired[IlpHash]
    errorInformation: NotRequired[ErrorInformationBody]
    extensionList: NotRequired[ExtensionList]


@with_config(CLOSED)
class BulkQuoteAnswer(TypedDict):
    """The body of PUT /bulkQuotes/{ID}."""

    individualQuoteResults: NotRequired[Annotated[list[IndividualQuoteResult], Field(max_length=1000)]]
    expiration: DateTime
    extensionList: NotRequired[ExtensionList]


class TransactionRequest(TypedDict):
    """The body of POST /transactionRequests."""

    transactionRequestId: CorrelationId
    payee: Party
    payer: PartyIdInfo
    amount: Money
    transactionType: TransactionType
    note: NotRequired[Text128]
    geoCode: NotRequired[GeoCode]
    authenticationType: NotRequired[AuthenticationType]
    expiration: NotRequired[DateTime]
    extensionList: NotRequired[ExtensionList]


class TransactionRequestAnswer(TypedDict):
    """The body of PUT /transactionRequests/{ID}."""

    transactionId: NotRequired[CorrelationId]
    transactionRequestState: Literal["RECEIVED", "PENDING", "ACCEPTED", "REJECTED"]
    extensionList: NotRequired[ExtensionList]


class TransactionAnswer(TypedDict):
    """The body of PUT /transactions/{ID}."""

    completedTimestamp: NotRequired[DateTime]
    transactionState: Literal["RECEIVED", "PENDING", "COMPLETED", "REJECTED"]
    code: NotRequired[Code]
    extensionList: NotRequired[ExtensionList]


class AuthenticationInfo(TypedDict):
    """What a payer has entered: an OTP of 3 to 10 digits, or the text of a QR code, which may be the same."""

    authentication: AuthenticationType
    authenticationValue: AuthenticationValue


class AuthorizationAnswer(TypedDict):
    """The body of PUT /authorizations/{ID}. The reference passes any `responseType` on, and its tests ask for that."""

    authenticationInfo: NotRequired[AuthenticationInfo]
    responseType: Text128
    extensionList: NotRequired[ExtensionList]
