"""The bodies of quotes, bulk quotes, transaction requests, transactions and authorizations (protocol 1.4 to 1.6).

As in schemas.py nothing is converted, and fields that the API does not know are forwarded with the body's own bytes;
but at the top level of a quote or bulk quote they are refused (3103).
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NotRequired, TypeAlias

from pydantic import BeforeValidator, ConfigDict, Field, with_config
from typing_extensions import TypedDict  # pydantic takes typing's only from Python 3.12 on

from web.fspiop.schemas import (
    OPEN,
    CorrelationId,
    Currency,
    DateTime,
    ErrorInformationBody,
    ExtensionList,
    FspId,
    IlpHash,
    IlpPacket,
    Money,
)

# The API's own pattern rules out a name of blanks alone by looking ahead, which not every engine can. \w has the same
# meaning as there: letters of all scripts, marks, digits and connectors.
NAME_PATTERN: Final = "^ *[\\w.,'\u2019-][\\w .,'\u2019-]*$"
DATE_PATTERN: Final = (
    r"(?-u)^(?:[1-9]\d{3}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|"
    r"(?:0[13578]|1[02])-31)|(?:[1-9]\d(?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|[13579][26])00)-02-29)$"
)
LATITUDE_PATTERN: Final = r"^(\+|-)?(?:90(?:(?:\.0{1,6})?)|(?:[0-9]|[1-8][0-9])(?:(?:\.[0-9]{1,6})?))$"
LONGITUDE_PATTERN: Final = r"^(\+|-)?(?:180(?:(?:\.0{1,6})?)|(?:[0-9]|[1-9][0-9]|1[0-7][0-9])(?:(?:\.[0-9]{1,6})?))$"
CLOSED: Final = ConfigDict(extra="forbid")


def _null_as_empty(value: Any) -> Any:
    """Return an empty text for a null, as the reference's validator does: the error is then 3100 and not 3101."""
    return "" if value is None else value


Text128: TypeAlias = Annotated[str, Field(min_length=1, max_length=128)]
Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=128, pattern=NAME_PATTERN)]
Date: TypeAlias = Annotated[str, BeforeValidator(_null_as_empty), Field(pattern=DATE_PATTERN)]
PartyIdType: TypeAlias = Literal["MSISDN", "EMAIL", "PERSONAL_ID", "BUSINESS", "DEVICE", "ACCOUNT_ID", "IBAN", "ALIAS"]
MerchantCode: TypeAlias = Annotated[str, Field(pattern=r"(?-u)^[\d]{1,4}$")]
SubScenario: TypeAlias = Annotated[str, Field(pattern="^[A-Z_]{1,32}$")]
BalanceOfPayments: TypeAlias = Annotated[str, Field(pattern=r"(?-u)^[1-9]\d{2}$")]
Code: TypeAlias = Annotated[str, Field(pattern="^[0-9a-zA-Z]{4,32}$")]
AmountType: TypeAlias = Literal["SEND", "RECEIVE"]
AuthenticationType: TypeAlias = Literal["OTP", "QRCODE"]
AuthenticationValue: TypeAlias = Annotated[str, Field(min_length=1, max_length=64)]


@with_config(OPEN)
class GeoCode(TypedDict):
    """Where a payer is, in degrees of latitude and longitude."""

    latitude: Annotated[str, Field(pattern=LATITUDE_PATTERN)]
    longitude: Annotated[str, Field(pattern=LONGITUDE_PATTERN)]


@with_config(OPEN)
class PartyIdInfo(TypedDict):
    """A party's identifier, and the FSP that has the party."""

    partyIdType: PartyIdType
    partyIdentifier: Text128
    partySubIdOrType: NotRequired[Text128]
    fspId: NotRequired[FspId]
    extensionList: NotRequired[ExtensionList]


@with_config(OPEN)
class ComplexName(TypedDict):
    """A person's name, in up to three parts."""

    firstName: NotRequired[Name]
    middleName: NotRequired[Name]
    lastName: NotRequired[Name]


@with_config(OPEN)
class PersonalInfo(TypedDict):
    """What identifies a person beside the party's identifier."""

    complexName: NotRequired[ComplexName]
    dateOfBirth: NotRequired[Date]


@with_config(OPEN)
class Party(TypedDict):
    """A party; `supportedCurrencies` is of version 2.0."""

    partyIdInfo: PartyIdInfo
    merchantClassificationCode: NotRequired[MerchantCode]
    name: NotRequired[Text128]
    personalInfo: NotRequired[PersonalInfo]
    supportedCurrencies: NotRequired[Annotated[list[Currency], Field(max_length=16)]]


@with_config(OPEN)
class Refund(TypedDict):
    """The transaction that a payment refunds, and why."""

    originalTransactionId: CorrelationId
    refundReason: NotRequired[Text128]


@with_config(OPEN)
class TransactionType(TypedDict):
    """The kind of a payment, and who has initiated it."""

    scenario: Literal["DEPOSIT", "WITHDRAWAL", "TRANSFER", "PAYMENT", "REFUND"]
    subScenario: NotRequired[SubScenario]
    initiator: Literal["PAYER", "PAYEE"]
    initiatorType: Literal["CONSUMER", "AGENT", "BUSINESS", "DEVICE"]
    refundInfo: NotRequired[Refund]
    balanceOfPayments: NotRequired[BalanceOfPayments]


@with_config(OPEN)
class CurrencyConversion(TypedDict):
    """An amount before and after its conversion (version 2.0)."""

    sourceAmount: Money
    targetAmount: Money


@with_config(CLOSED)
class QuoteRequest(TypedDict):
    """The body of POST /quotes; `converter` and `currencyConversion` are of version 2.0."""

    quoteId: CorrelationId
    transactionId: CorrelationId
    transactionRequestId: NotRequired[CorrelationId]
    payee: Party
    payer: Party
    amountType: AmountType
    amount: Money
    converter: NotRequired[Literal["PAYER", "PAYEE"]]
    currencyConversion: NotRequired[CurrencyConversion]
    fees: NotRequired[Money]
    transactionType: TransactionType
    geoCode: NotRequired[GeoCode]
    note: NotRequired[Text128]
    expiration: NotRequired[DateTime]
    extensionList: NotRequired[ExtensionList]


@with_config(CLOSED)
class QuoteAnswer(TypedDict):
    """The body of PUT /quotes/{ID}."""

    transferAmount: Money
    payeeReceiveAmount: NotRequired[Money]
    payeeFspFee: NotRequired[Money]
    payeeFspCommission: NotRequired[Money]
    expiration: DateTime
    geoCode: NotRequired[GeoCode]
    ilpPacket: IlpPacket
    condition: IlpHash
    extensionList: NotRequired[ExtensionList]


@with_config(OPEN)
class IndividualQuote(TypedDict):
    """One quote of POST /bulkQuotes."""

    quoteId: CorrelationId
    transactionId: CorrelationId
    payee: Party
    amountType: AmountType
    amount: Money
    fees: NotRequired[Money]
    transactionType: TransactionType
    note: NotRequired[Text128]
    extensionList: NotRequired[ExtensionList]


@with_config(CLOSED)
class BulkQuoteRequest(TypedDict):
    """The body of POST /bulkQuotes."""

    bulkQuoteId: CorrelationId
    payer: Party
    geoCode: NotRequired[GeoCode]
    expiration: NotRequired[DateTime]
    individualQuotes: Annotated[list[IndividualQuote], Field(min_length=1, max_length=1000)]
    extensionList: NotRequired[ExtensionList]


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
    """What a payer has entered: an OTP of 3 to 10 digits, or the text of a QR code, which may be such digits too."""

    authentication: AuthenticationType
    authenticationValue: AuthenticationValue


class AuthorizationAnswer(TypedDict):
    """The body of PUT /authorizations/{ID}. As in the reference, whose tests check it, `responseType` is any text."""

    authenticationInfo: NotRequired[AuthenticationInfo]
    responseType: Text128
    extensionList: NotRequired[ExtensionList]
