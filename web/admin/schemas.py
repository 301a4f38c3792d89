"""The bodies, queries and path segments of the admin API (protocol 5.1, 5.2, 5.3), and how a request is read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

from aiohttp.web import Request

from clearinghub.domain.currencies import currencies_with
from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.scheme import DELAYS, GRANULARITIES, INTERCHANGES, SETTLEMENT_ACCOUNT_TYPES
from web.admin.schema import (
    Check,
    Key,
    Keys,
    Place,
    boolean,
    check_object,
    list_of,
    loose_boolean,
    money,
    object_of,
    one_of,
    percentage,
    text,
    transfer_id,
)
from web.http.errors import ApiError
from web.http.json_body import read_json_body

NET_DEBIT_CAP: Final = "NET_DEBIT_CAP"
RECORD_FUNDS_IN: Final = "recordFundsIn"
RESERVE_FUNDS_OUT: Final = "recordFundsOutPrepareReserve"
COMMIT_FUNDS_OUT: Final = "recordFundsOutCommit"
ABORT_FUNDS_OUT: Final = "recordFundsOutAbort"

_NAME_LENGTH_MIN: Final = 2
_NAME_LENGTH_MAX: Final = 30
_EXTENSIONS_MAX: Final = 16  # API Definition v1.1, ExtensionList; these come back in PUT /transfers/{id}
_EXTENSION_KEY_LENGTH_MAX: Final = 32
_EXTENSION_VALUE_LENGTH_MAX: Final = 128
_DESCRIPTION_LENGTH_MAX: Final = 512
_REASON_LENGTH_MAX: Final = 512
_ACTION_LABEL: Final = "action is missing or not supported"  # the reference's own
_ID: Final = re.compile(r"[1-9][0-9]{0,17}")
_NOT_JSON: Final = Rejection(ErrorCode.MALFORMED_SYNTAX, "Unsupported Media Type")

# With a letter or a digit: `..` would be taken for a step up in the path. And no route's own word.
PARTICIPANT_NAME: Final = text(
    length_min=_NAME_LENGTH_MIN,
    length_max=_NAME_LENGTH_MAX,
    pattern=r"(?!limits$)(?=.*[A-Za-z0-9])[A-Za-z0-9._-]+",
)
_LIMIT_TYPE: Final = Key(one_of([NET_DEBIT_CAP]))
_EXTENSION: Final[Keys] = {
    "key": Key(text(length_max=_EXTENSION_KEY_LENGTH_MAX)),
    "value": Key(text(length_max=_EXTENSION_VALUE_LENGTH_MAX)),
}

ENDPOINT: Final[Keys] = {"type": Key(text()), "value": Key(text())}
ACTIVE: Final[Keys] = {"isActive": Key(boolean)}
FUNDS_OUT_COMPLETION: Final[Keys] = {
    "action": Key(one_of([COMMIT_FUNDS_OUT, ABORT_FUNDS_OUT]), label=_ACTION_LABEL),
    "reason": Key(text(length_max=_REASON_LENGTH_MAX)),
}
LEDGER_ACCOUNT_TYPE: Final[Keys] = {
    "name": Key(text(length_min=_NAME_LENGTH_MIN, length_max=_NAME_LENGTH_MAX, pattern=r"[A-Za-z0-9_]+")),
    "description": Key(text(length_max=_DESCRIPTION_LENGTH_MAX)),
    "isActive": Key(boolean),
    "isSettleable": Key(boolean),
}


class Bodies:
    """The bodies that name a currency; which ones there are is the scheme's."""

    def __init__(self, currencies_extra: Iterable[str]) -> None:
        known = currencies_with(currencies_extra)
        currency: Check = one_of(sorted(known), known)
        self.participant: Keys = {
            "name": Key(PARTICIPANT_NAME),
            "currency": Key(currency),
            "isProxy": Key(loose_boolean, required=False),
        }
        self.initial_limit: Keys = {
            "currency": Key(currency),
            "limit": Key(object_of({"type": _LIMIT_TYPE, "value": Key(money(at_least=0))})),
            "initialPosition": Key(money(), required=False),
        }
        # The reference lets a cap be lowered below zero: a DFSP that is owed money may be stopped as well.
        self.limit: Keys = {
            "currency": Key(currency),
            "limit": Key(object_of({"type": _LIMIT_TYPE, "value": Key(money()), "alarmPercentage": Key(percentage)})),
        }
        self.hub_account: Keys = {"currency": Key(currency), "type": Key(text())}
        self.funds: Keys = {
            "transferId": Key(transfer_id),
            "externalReference": Key(text(length_max=_EXTENSION_VALUE_LENGTH_MAX)),
            "action": Key(one_of([RECORD_FUNDS_IN, RESERVE_FUNDS_OUT]), label=_ACTION_LABEL),
            "reason": Key(text(length_max=_REASON_LENGTH_MAX)),
            "amount": Key(
                object_of({"amount": Key(money(at_least=1)), "currency": Key(currency)}), label="No amount provided"
            ),
            "extensionList": Key(object_of({"extension": Key(list_of(_EXTENSION, _EXTENSIONS_MAX))}), required=False),
        }
        self.settlement_model: Keys = {
            "name": Key(text(length_min=_NAME_LENGTH_MIN, length_max=_NAME_LENGTH_MAX, pattern=r"[A-Za-z0-9]+")),
            "settlementGranularity": Key(one_of(GRANULARITIES)),
            "settlementInterchange": Key(one_of(INTERCHANGES)),
            "settlementDelay": Key(one_of(DELAYS)),
            "currency": Key(currency, required=False),
            "requireLiquidityCheck": Key(boolean),
            "ledgerAccountType": Key(text()),
            "settlementAccountType": Key(one_of(SETTLEMENT_ACCOUNT_TYPES)),
            "autoPositionReset": Key(boolean),
        }
        self.limits_query: Keys = {
            "currency": Key(currency, required=False),
            "type": Key(text(), required=False),
        }
        self.positions_query: Keys = {"currency": Key(currency, required=False)}
        self.participants_query: Keys = {"isProxy": Key(loose_boolean, required=False)}


class CheckedBody(NamedTuple):
    """A body's checked keys, and the hash by which a repeated request is told from a changed one."""

    fields: dict[str, Any]
    hash: str


async def read_body(request: Request, keys: Keys) -> CheckedBody:
    """Read, parse and check a body.

    Raises:
        ApiError: it is not announced as JSON, which a web page's form could send to a hub on the same machine; it is no
            JSON object (3101); or it is not of the schema.
    """
    if request.content_type != "application/json":
        raise ApiError(_NOT_JSON)
    body = await read_json_body(request)
    # Parsed again, for the first parser makes floats of fractions. What it lets through, this one can read.
    return CheckedBody(check_object(json.loads(body.raw, parse_float=_fraction), keys), body.hash)


def read_query(request: Request, keys: Keys) -> dict[str, Any]:
    """The query's checked parameters; of one that stands twice the first counts."""
    return check_object({name: request.query[name] for name in request.query}, keys)


def name_in_path(request: Request) -> str:
    """A participant's name in the path; whether there is such a one is another question."""
    name = request.match_info["name"]
    if not _NAME_LENGTH_MIN <= len(name) <= _NAME_LENGTH_MAX:
        raise ApiError(Rejection(ErrorCode.MALFORMED_SYNTAX, "'name' URI path parameter"))
    return name


def account_id_in_path(request: Request) -> int:
    """An account's id in the path."""
    return id_in_path(request)


def id_in_path(request: Request) -> int:
    """A number that the ledger has given, in the path."""
    written = request.match_info["id"]
    if _ID.fullmatch(written) is None:
        raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, "'id' URI path parameter"))
    return int(written)


def transfer_id_in_path(request: Request) -> str:
    """A transfer's id in the path."""
    try:
        return str(transfer_id(request.match_info["transferId"], Place("transferId", "transferId")))
    except ApiError as error:
        raise ApiError(Rejection(ErrorCode.MALFORMED_SYNTAX, "'transferId' URI path parameter")) from error


def _fraction(written: str) -> Decimal:
    """A JSON number that is no integer; one whose exponent nobody can hold is no number, which the checks will say."""
    try:
        return Decimal(written)
    except InvalidOperation:
        return Decimal("NaN")
