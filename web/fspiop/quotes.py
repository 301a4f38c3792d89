"""Routes of what DFSPs agree on before a transfer, and the records that the requests become (protocol 7).

/quotes, /bulkQuotes, /transactionRequests, /transactions and /authorizations differ only in their bodies, so there is
one class for all of them, and a description of each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from aiohttp.web import Request, Response
from pydantic import TypeAdapter

from clearinghub.config import Settings
from clearinghub.domain.currencies import currencies_with
from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.messages import encode
from clearinghub.messages.headers import trace_of
from clearinghub.messages.quotes import Action, AgreementMessage
from clearinghub.ports import Recorder
from web.fspiop.headers import HeaderRules
from web.fspiop.quotes_schemas import (
    AuthenticationType,
    AuthorizationAnswer,
    BulkQuoteAnswer,
    BulkQuoteRequest,
    QuoteAnswer,
    QuoteRequest,
    TransactionAnswer,
    TransactionRequest,
    TransactionRequestAnswer,
)
from web.fspiop.schema_errors import pattern_mismatch
from web.fspiop.schemas import AMOUNT_PATTERN, check_path_id, checked, date_time_ms, error_information
from web.fspiop.signatures import SignatureCheck
from web.fspiop.sources import Sources
from web.http.errors import ApiError
from web.http.json_body import read_json_body

TOPIC: Final = "agreement"

_QUOTING_SERVICE: Final = "/header must have required property 'accept'"
_OTHER_SERVICES: Final = "Accept is required"

_REQUIRED: Final = ("authenticationType", "retriesLeft", "amount", "currency")
_INTEGER: Final = re.compile(r"-?[0-9]{1,15}")
_AMOUNT: Final = re.compile(AMOUNT_PATTERN.removesuffix("$") + r"\Z")
_ONE_OF: Final = "must be equal to one of the allowed values"


def check_authorization_query(request: Request, currencies: frozenset[str]) -> None:
    """Check the query of GET /authorizations/{ID}, all four parameters of which are required (protocol 7.3).

    Raises:
        ApiError: the first error in it: 3102 for a missing parameter, 3101 for what is no integer, else 3100.
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


@dataclass(frozen=True, slots=True)
class Description:
    """What is particular to one resource: its bodies, and the rules of its service in the reference.

    `id_field` is the field of a request's body that holds its id.
    """

    resource: str
    answer: TypeAdapter[Any]
    request: TypeAdapter[Any] | None = None
    id_field: str = ""
    accept_missing: str = _OTHER_SERVICES
    passes_query: bool = True
    check_query: Callable[[Request, frozenset[str]], None] | None = None


DESCRIPTIONS: Final = (
    Description(
        "quotes", TypeAdapter(QuoteAnswer), TypeAdapter(QuoteRequest), "quoteId", _QUOTING_SERVICE, passes_query=False
    ),
    Description(
        "bulkQuotes",
        TypeAdapter(BulkQuoteAnswer),
        TypeAdapter(BulkQuoteRequest),
        "bulkQuoteId",
        _QUOTING_SERVICE,
        passes_query=False,
    ),
    Description(
        "transactionRequests",
        TypeAdapter(TransactionRequestAnswer),
        TypeAdapter(TransactionRequest),
        "transactionRequestId",
    ),
    Description("transactions", TypeAdapter(TransactionAnswer)),
    Description("authorizations", TypeAdapter(AuthorizationAnswer), check_query=check_authorization_query),
)


class AgreementResource:
    """The handlers of one resource. Each checks headers and body, records a message, and answers then."""

    def __init__(
        self,
        description: Description,
        settings: Settings,
        recorder: Recorder,
        signatures: SignatureCheck,
        sources: Sources,
    ) -> None:
        self.description = description
        # These messages are for another DFSP, and only the header names the receiver.
        self._rules = HeaderRules(
            description.resource,
            settings,
            signatures,
            sources,
            accept_missing=description.accept_missing,
            destination_required=True,
        )
        self._currencies = currencies_with(settings.currencies_extra)
        self._recorder = recorder

    async def post(self, request: Request) -> Response:
        """POST: a DFSP sends a request to another DFSP."""
        assert self.description.request is not None, "a resource without a request has no such route"
        headers = await self._rules.read(request)
        body = await read_json_body(request)
        content = checked(self.description.request, body.parsed, self._currencies)
        subject_id = content[self.description.id_field]
        message = self._message(
            Action.REQUEST,
            subject_id,
            headers,
            path=f"/{self.description.resource}",
            hash=body.hash,
            **_fields_of_request(self.description.resource, content),
        )
        return await self._record(message, body.raw, 202)

    async def get(self, request: Request) -> Response:
        """GET: a DFSP asks the other one for the current state."""
        headers = await self._rules.read(request)
        subject_id = check_path_id(request.match_info["ID"])
        if self.description.check_query is not None:
            self.description.check_query(request, self._currencies)
        path, query = f"/{self.description.resource}/{subject_id}", request.rel_url.raw_query_string
        if query and self.description.passes_query:
            path += f"?{query}"
        return await self._record(self._message(Action.QUERY, subject_id, headers, path=path), b"", 202)

    async def put(self, request: Request) -> Response:
        """PUT: the other DFSP answers."""
        headers = await self._rules.read(request)
        subject_id = check_path_id(request.match_info["ID"])
        body = await read_json_body(request)
        content = checked(self.description.answer, body.parsed, self._currencies)
        message = self._message(
            Action.ANSWER,
            subject_id,
            headers,
            path=f"/{self.description.resource}/{subject_id}",
            hash=body.hash,
            currency=_currency_of_answer(self.description.resource, content),
            expires_at_ms=_expires_at_ms(content),
        )
        return await self._record(message, body.raw, 200)

    async def put_error(self, request: Request) -> Response:
        """PUT .../error: a DFSP refuses the request, or no longer wants the answer."""
        headers = await self._rules.read(request)
        subject_id = check_path_id(request.match_info["ID"])
        body = await read_json_body(request)
        error_information(body.parsed)
        path = f"/{self.description.resource}/{subject_id}/error"
        message = self._message(Action.ERROR, subject_id, headers, path=path, hash=body.hash)
        return await self._record(message, body.raw, 200)

    def _message(
        self, action: Action, subject_id: str, headers: dict[str, str], *, path: str, **fields: Any
    ) -> AgreementMessage:
        return AgreementMessage(
            resource=self.description.resource,
            action=action,
            id=subject_id,
            source=headers["fspiop-source"],
            destination=headers["fspiop-destination"],
            path=path,
            headers=headers,
            trace=trace_of(headers),
            **fields,
        )

    async def _record(self, message: AgreementMessage, raw: bytes, status: int) -> Response:
        await self._recorder.record(TOPIC, message.id, encode(message, raw))
        return Response(status=status)


def _fields_of_request(resource: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a request that the ledger reads; of a bulk the first quote counts (protocol 7.2)."""
    if resource not in ("quotes", "bulkQuotes"):
        return {}
    quote = content["individualQuotes"][0] if resource == "bulkQuotes" else content
    return {
        "currency": quote["amount"]["currency"],
        "payer_fsp": content["payer"]["partyIdInfo"].get("fspId"),
        "payee_fsp": quote["payee"]["partyIdInfo"].get("fspId"),
        "supported_currencies": tuple(content["payer"].get("supportedCurrencies", ())),
        "expires_at_ms": _expires_at_ms(content),
    }


def _currency_of_answer(resource: str, content: Mapping[str, Any]) -> str | None:
    if resource != "quotes":
        return None
    currency: str = content.get("payeeReceiveAmount", content["transferAmount"])["currency"]
    return currency


def _expires_at_ms(body: Mapping[str, Any]) -> int | None:
    expiration = body.get("expiration")
    return None if expiration is None else date_time_ms(expiration)


def agreement_resources(
    settings: Settings, recorder: Recorder, signatures: SignatureCheck, sources: Sources
) -> tuple[AgreementResource, ...]:
    return tuple(AgreementResource(one, settings, recorder, signatures, sources) for one in DESCRIPTIONS)
