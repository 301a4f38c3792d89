"""The bodies, queries and path segments of the admin API (protocol 5.1, 5.2, 5.3), and how a request is read."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from decimal import Decimal, InvalidOperation
from typing import (
    Annotated,
    Any,
    Final,
    Generic,
    Literal,
    NamedTuple,
    NotRequired,
    TypeAlias,
    TypeVar,
)

from aiohttp.web import Request
from pydantic import Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict  # pydantic takes typing's only from Python 3.12 on

from clearinghub.domain.errors import ErrorCode, Rejection
from web.admin.schema_errors import first_rejection
from web.admin.schema_types import (
    NO_OTHER_KEYS,
    Currency,
    Flag,
    LooseFlag,
    Money,
    MoneyNotNegative,
    MoneyPositive,
    Percentage,
    Text,
    TransferId,
    matching,
)
from web.http.errors import ApiError
from web.http.json_body import read_json_body

NET_DEBIT_CAP: Final = "NET_DEBIT_CAP"
RECORD_FUNDS_IN: Final = "recordFundsIn"
RESERVE_FUNDS_OUT: Final = "recordFundsOutPrepareReserve"
COMMIT_FUNDS_OUT: Final = "recordFundsOutCommit"
ABORT_FUNDS_OUT: Final = "recordFundsOutAbort"

# With a letter or a digit: `..` would mean a step up in a path. And not the word of a route.
PARTICIPANT_NAME_PATTERN: Final = r"(?!limits$)(?=.*[A-Za-z0-9])[A-Za-z0-9._-]+"
_NAME_LENGTH_MIN: Final = 2
_NAME_LENGTH_MAX: Final = 30
_ID: Final = re.compile(r"[1-9][0-9]{0,17}")
_NOT_JSON: Final = Rejection(ErrorCode.MALFORMED_SYNTAX, "Unsupported Media Type")

ParticipantName: TypeAlias = Annotated[
    str,
    Field(
        min_length=_NAME_LENGTH_MIN,
        max_length=_NAME_LENGTH_MAX,
        json_schema_extra={"pattern": f"^{PARTICIPANT_NAME_PATTERN}$"},
    ),
    matching(PARTICIPANT_NAME_PATTERN),
]
LimitType: TypeAlias = Literal["NET_DEBIT_CAP"]
Reason: TypeAlias = Annotated[str, Field(min_length=1, max_length=512)]


@with_config(NO_OTHER_KEYS)
class NewParticipant(TypedDict):
    """The body of POST /participants."""

    name: ParticipantName
    currency: Currency
    isProxy: NotRequired[LooseFlag]


@with_config(NO_OTHER_KEYS)
class Activity(TypedDict):
    """The body that activates or deactivates a participant, an account or a settlement model."""

    isActive: Flag


@with_config(NO_OTHER_KEYS)
class Endpoint(TypedDict):
    """The body of POST /participants/{name}/endpoints."""

    type: Text
    value: Text


@with_config(NO_OTHER_KEYS)
class InitialCap(TypedDict):
    """A net debit cap that is set for the first time."""

    type: LimitType
    value: MoneyNotNegative


@with_config(NO_OTHER_KEYS)
class InitialLimit(TypedDict):
    """The body of POST /participants/{name}/initialPositionAndLimits."""

    currency: Currency
    limit: InitialCap
    initialPosition: NotRequired[Money]


@with_config(NO_OTHER_KEYS)
class Cap(TypedDict):
    """A net debit cap. As in the reference, it may be below zero: a DFSP that is owed money can be stopped as well."""

    type: LimitType
    value: Money
    alarmPercentage: Percentage


@with_config(NO_OTHER_KEYS)
class Limit(TypedDict):
    """The body of PUT /participants/{name}/limits."""

    currency: Currency
    limit: Cap


@with_config(NO_OTHER_KEYS)
class HubAccount(TypedDict):
    """The body of POST /participants/{name}/accounts."""

    currency: Currency
    type: Text


@with_config(NO_OTHER_KEYS)
class Amount(TypedDict):
    """An amount of funds, with its currency."""

    amount: MoneyPositive
    currency: Currency


@with_config(NO_OTHER_KEYS)
class Extension(TypedDict):
    """One key and value of an extension list."""

    key: Annotated[str, Field(min_length=1, max_length=32)]
    value: Annotated[str, Field(min_length=1, max_length=128)]


@with_config(NO_OTHER_KEYS)
class ExtensionList(TypedDict):
    """As in the API Definition v1.1: the extensions come back in PUT /transfers/{id}."""

    extension: Annotated[list[Extension], Field(min_length=1, max_length=16)]


@with_config(NO_OTHER_KEYS)
class Funds(TypedDict):
    """The body of POST /participants/{name}/accounts/{id}."""

    transferId: TransferId
    externalReference: Annotated[str, Field(min_length=1, max_length=128)]
    action: Literal["recordFundsIn", "recordFundsOutPrepareReserve"]
    reason: Reason
    amount: Amount
    extensionList: NotRequired[ExtensionList]


@with_config(NO_OTHER_KEYS)
class FundsOutCompletion(TypedDict):
    """The body of PUT /participants/{name}/accounts/{id}/transfers/{transferId}."""

    action: Literal["recordFundsOutCommit", "recordFundsOutAbort"]
    reason: Reason


@with_config(NO_OTHER_KEYS)
class NewSettlementModel(TypedDict):
    """The body of POST /settlementModels."""

    name: Annotated[str, Field(min_length=2, max_length=30, pattern="^[A-Za-z0-9]+$")]
    settlementGranularity: Literal["GROSS", "NET"]
    settlementInterchange: Literal["BILATERAL", "MULTILATERAL"]
    settlementDelay: Literal["IMMEDIATE", "DEFERRED"]
    currency: NotRequired[Currency]
    requireLiquidityCheck: Flag
    ledgerAccountType: Text
    settlementAccountType: Literal["SETTLEMENT", "INTERCHANGE_FEE_SETTLEMENT"]
    autoPositionReset: Flag


@with_config(NO_OTHER_KEYS)
class NewLedgerAccountType(TypedDict):
    """The body of POST /ledgerAccountTypes."""

    name: Annotated[str, Field(min_length=2, max_length=30, pattern="^[A-Za-z0-9_]+$")]
    description: Annotated[str, Field(min_length=1, max_length=512)]
    isActive: Flag
    isSettleable: Flag


@with_config(NO_OTHER_KEYS)
class ParticipantsQuery(TypedDict):
    """The query of GET /participants."""

    isProxy: NotRequired[LooseFlag]


@with_config(NO_OTHER_KEYS)
class LimitsQuery(TypedDict):
    """The query of GET .../limits."""

    currency: NotRequired[Currency]
    type: NotRequired[Text]


@with_config(NO_OTHER_KEYS)
class PositionsQuery(TypedDict):
    """The query of GET /participants/{name}/positions."""

    currency: NotRequired[Currency]


NEW_PARTICIPANT: Final = TypeAdapter(NewParticipant)
ACTIVITY: Final = TypeAdapter(Activity)
ENDPOINT: Final = TypeAdapter(Endpoint)
INITIAL_LIMIT: Final = TypeAdapter(InitialLimit)
LIMIT: Final = TypeAdapter(Limit)
HUB_ACCOUNT: Final = TypeAdapter(HubAccount)
FUNDS: Final = TypeAdapter(Funds)
FUNDS_OUT_COMPLETION: Final = TypeAdapter(FundsOutCompletion)
NEW_SETTLEMENT_MODEL: Final = TypeAdapter(NewSettlementModel)
NEW_LEDGER_ACCOUNT_TYPE: Final = TypeAdapter(NewLedgerAccountType)
PARTICIPANTS_QUERY: Final = TypeAdapter(ParticipantsQuery)
LIMITS_QUERY: Final = TypeAdapter(LimitsQuery)
POSITIONS_QUERY: Final = TypeAdapter(PositionsQuery)
_TRANSFER_ID: Final = TypeAdapter(TransferId)

Checked = TypeVar("Checked")


class CheckedBody(NamedTuple, Generic[Checked]):
    """A body's fields, and the hash by which a repeated request is distinguished from a changed one."""

    fields: Checked
    hash: str


async def read_body(
    request: Request, model: TypeAdapter[Checked], currencies: Collection[str] = ()
) -> CheckedBody[Checked]:
    """Read, parse and validate a body; `currencies` are the scheme's.

    Raises:
        ApiError: its content type is not JSON (a web page's form could be sent to a hub on the same machine); it is no
            JSON object (3101); or it is not of the model.
    """
    if request.content_type != "application/json":
        raise ApiError(_NOT_JSON)
    body = await read_json_body(request)
    # Parsed again, for the first parser makes floats of fractions. What that parser accepts, this one can read.
    parsed = json.loads(body.raw, parse_float=_fraction)
    return CheckedBody(_validated(parsed, model, currencies), body.hash)


def read_query(request: Request, model: TypeAdapter[Checked], currencies: Collection[str] = ()) -> Checked:
    """Validate the query's parameters; of a parameter that is repeated the first counts."""
    return _validated({name: request.query[name] for name in request.query}, model, currencies)


def name_in_path(request: Request) -> str:
    """Return the participant's name in the path, whether such a participant exists or not."""
    name = request.match_info["name"]
    if not _NAME_LENGTH_MIN <= len(name) <= _NAME_LENGTH_MAX:
        raise ApiError(Rejection(ErrorCode.MALFORMED_SYNTAX, "'name' URI path parameter"))
    return name


def id_in_path(request: Request) -> int:
    """Return the id in the path, of an account or an oracle."""
    written = request.match_info["id"]
    if _ID.fullmatch(written) is None:
        raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, "'id' URI path parameter"))
    return int(written)


def transfer_id_in_path(request: Request) -> str:
    """Return the transfer's id in the path."""
    try:
        return _TRANSFER_ID.validate_python(request.match_info["transferId"])
    except ValidationError as error:
        raise ApiError(Rejection(ErrorCode.MALFORMED_SYNTAX, "'transferId' URI path parameter")) from error


def _validated(value: Any, model: TypeAdapter[Checked], currencies: Collection[str]) -> Checked:
    try:
        return model.validate_python(value, strict=True, context=currencies)
    except ValidationError as error:
        raise ApiError(first_rejection(error)) from error


def _fraction(written: str) -> Decimal:
    """Return a JSON number that is no integer; NaN, which is refused, if its exponent is too large to hold."""
    try:
        return Decimal(written)
    except InvalidOperation:
        return Decimal("NaN")
