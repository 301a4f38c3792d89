"""What DFSPs say to each other before a transfer, and the record that it becomes (protocol 7).

/quotes, /bulkQuotes, /transactionRequests, /transactions and /authorizations differ in their bodies alone, so there is
one class for all, and a description of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp.web import Request, Response
from pydantic import TypeAdapter

from clearinghub.config import Settings
from clearinghub.domain.currencies import currencies_with
from clearinghub.messages import VERSION, AgreementMessage, encode
from clearinghub.ports import Recorder
from web.fspiop.authorization_query import check_authorization_query
from web.fspiop.headers import HeaderRules, forwarded_headers, trace_of
from web.fspiop.quotes_responses import (
    AuthorizationAnswer,
    BulkQuoteAnswer,
    TransactionAnswer,
    TransactionRequest,
    TransactionRequestAnswer,
)
from web.fspiop.quotes_schemas import BulkQuoteRequest, QuoteAnswer, QuoteRequest
from web.fspiop.schemas import check_path_id, checked, date_time_ms, error_information
from web.fspiop.signatures import SignatureCheck
from web.http.json_body import read_json_body

TOPIC: Final = "agreement"

_QUOTING_SERVICE: Final = "/header must have required property 'accept'"
_OTHER_SERVICES: Final = "Accept is required"


@dataclass(frozen=True, slots=True)
class Description:
    """One resource: its bodies, and how its service differs. `id_field` is where a request's body has its id."""

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
    """The handlers of one resource. Each is: headers, model, message, record, answer; as those of /transfers."""

    def __init__(
        self, description: Description, settings: Settings, recorder: Recorder, signatures: SignatureCheck
    ) -> None:
        self.description = description
        # Nothing here is for the hub itself, and it keeps no list of who has asked whom: it must be told.
        self._rules = HeaderRules(
            description.resource,
            settings,
            signatures,
            accept_missing=description.accept_missing,
            destination_required=True,
        )
        self._currencies = currencies_with(settings.currencies_extra)
        self._recorder = recorder

    async def post(self, request: Request) -> Response:
        """POST: a DFSP asks another one for something."""
        assert self.description.request is not None  # else there is no such route
        headers = await self._rules.read(request)
        body = await read_json_body(request)
        asked = checked(self.description.request, body.parsed, self._currencies)
        line = self._line(asked[self.description.id_field], "ask", headers)
        line["path"] = f"/{self.description.resource}"
        line["hash"] = body.hash
        _note_request(line, asked)
        return await self._record(line, body.raw, 202)

    async def get(self, request: Request) -> Response:
        """GET: a DFSP asks again what came of it."""
        headers = await self._rules.read(request)
        line = self._line(check_path_id(request.match_info["ID"]), "look", headers)
        if self.description.check_query is not None:
            self.description.check_query(request, self._currencies)
        query = request.rel_url.raw_query_string
        if query and self.description.passes_query:
            line["path"] += f"?{query}"
        return await self._record(line, b"", 202)

    async def put(self, request: Request) -> Response:
        """PUT: the other DFSP answers."""
        headers = await self._rules.read(request)
        line = self._line(check_path_id(request.match_info["ID"]), "answer", headers)
        body = await read_json_body(request)
        answer = checked(self.description.answer, body.parsed, self._currencies)
        line["hash"] = body.hash
        _note_answer(line, answer)
        return await self._record(line, body.raw, 200)

    async def put_error(self, request: Request) -> Response:
        """PUT .../error: a DFSP says that nothing will come of it."""
        headers = await self._rules.read(request)
        line = self._line(check_path_id(request.match_info["ID"]), "fail", headers)
        line["path"] += "/error"
        body = await read_json_body(request)
        error_information(body.parsed)
        line["hash"] = body.hash
        return await self._record(line, body.raw, 200)

    def _line(self, subject_id: str, action: str, headers: Mapping[str, str]) -> AgreementMessage:
        return {
            "v": VERSION,
            "kind": "agreement",
            "resource": self.description.resource,
            "action": action,
            "id": subject_id,
            "source": headers["fspiop-source"],
            "destination": headers["fspiop-destination"],
            "path": f"/{self.description.resource}/{subject_id}",
            "currency": None,
            "supported_currencies": [],
            "payer_fsp": None,
            "payee_fsp": None,
            "expires_at_ms": None,
            "hash": None,
            "headers": forwarded_headers(headers),
            "trace": trace_of(headers),
        }

    async def _record(self, line: AgreementMessage, raw: bytes, status: int) -> Response:
        await self._recorder.record(TOPIC, line["id"], encode(line, raw))
        return Response(status=status)


def _note_request(line: AgreementMessage, asked: Mapping[str, Any]) -> None:
    """What the ledger looks at of a request: of a bulk's quotes it is the first that counts (protocol 7.2)."""
    if line["resource"] not in ("quotes", "bulkQuotes"):
        return
    quote = asked["individualQuotes"][0] if line["resource"] == "bulkQuotes" else asked
    line["currency"] = quote["amount"]["currency"]
    line["payer_fsp"] = asked["payer"]["partyIdInfo"].get("fspId")
    line["payee_fsp"] = quote["payee"]["partyIdInfo"].get("fspId")
    line["supported_currencies"] = asked["payer"].get("supportedCurrencies", [])
    line["expires_at_ms"] = _expires_at_ms(asked)


def _note_answer(line: AgreementMessage, answer: Mapping[str, Any]) -> None:
    if line["resource"] == "quotes":
        line["currency"] = answer.get("payeeReceiveAmount", answer["transferAmount"])["currency"]
    line["expires_at_ms"] = _expires_at_ms(answer)


def _expires_at_ms(body: Mapping[str, Any]) -> int | None:
    expiration = body.get("expiration")
    return None if expiration is None else date_time_ms(expiration)


def agreement_resources(
    settings: Settings, recorder: Recorder, signatures: SignatureCheck
) -> tuple[AgreementResource, ...]:
    """All of them."""
    return tuple(AgreementResource(one, settings, recorder, signatures) for one in DESCRIPTIONS)
