"""The query of GET /authorizations/{ID}: all four parameters are required (protocol 7.3)."""

from __future__ import annotations

import re
from typing import Final, get_args

from aiohttp.web import Request

from clearinghub.domain.errors import ErrorCode, Rejection
from web.fspiop.quotes_schemas import AuthenticationType
from web.fspiop.schema_errors import pattern_mismatch
from web.fspiop.schemas import AMOUNT_PATTERN
from web.http.errors import ApiError

_REQUIRED: Final = ("authenticationType", "retriesLeft", "amount", "currency")
_INTEGER: Final = re.compile(r"-?[0-9]{1,15}")
_AMOUNT: Final = re.compile(AMOUNT_PATTERN.removesuffix("$") + r"\Z")
_ONE_OF: Final = "must be equal to one of the allowed values"


def check_authorization_query(request: Request, currencies: frozenset[str]) -> None:
    """Return if the query is as the API's schema has it; other parameters are not looked at.

    Raises:
        ApiError: the first thing wrong with it: 3102 for what is missing, 3101 for what is no integer, else 3100.
    """
    query = request.query
    for name in _REQUIRED:
        if name not in query:
            raise ApiError(Rejection(ErrorCode.MISSING_ELEMENT, f"/query must have required property '{name}'"))
        if len(query.getall(name)) > 1:
            raise ApiError(Rejection(ErrorCode.MALFORMED_SYNTAX, f"/query/{name} must not be there twice"))
    if query["authenticationType"] not in get_args(AuthenticationType):
        raise _invalid(f"/query/authenticationType {_ONE_OF}")
    if _INTEGER.fullmatch(query["retriesLeft"]) is None:
        raise ApiError(Rejection(ErrorCode.MALFORMED_SYNTAX, "/query/retriesLeft must be integer"))
    if _AMOUNT.match(query["amount"]) is None:
        raise _invalid(pattern_mismatch("/query/amount", AMOUNT_PATTERN))
    if query["currency"] not in currencies:
        raise _invalid(f"/query/currency {_ONE_OF}")


def _invalid(detail: str) -> ApiError:
    return ApiError(Rejection(ErrorCode.VALIDATION_ERROR, detail))
