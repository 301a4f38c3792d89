"""A simulated DFSP before a transfer: it asks for quotes and payments, and answers what others ask of it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from aiohttp import ClientError

from clearinghub.domain.money import format_amount
from clearinghub.sandbox.callback import Answer
from clearinghub.sandbox.fspiop_client import FspiopClient
from clearinghub.sandbox.inbox import Inbox
from clearinghub.sandbox.quoting import NotAQuoteError, bulk_quote_answer, quote_answer
from clearinghub.sandbox.wire import new_transfer_id, timestamp

RESOURCES: Final = ("quotes", "bulkQuotes", "transactionRequests", "transactions", "authorizations")
ENDPOINT_TYPES: Final = ("QUOTES", "BULK_QUOTES", "TRX_REQ_SERVICE", "AUTHORIZATIONS")
OTP: Final = "123456"
ANSWERS_KEPT_MAX: Final = 20_000

# What is answered to a GET about something that was never asked for (fspiop 2.2).
_UNKNOWN: Final = {
    "quotes": ("3205", "Quote ID not found"),
    "bulkQuotes": ("3209", "Bulk quote ID not found"),
    "transactionRequests": ("3206", "Transaction request ID not found"),
    "transactions": ("3207", "Transaction ID not found"),
}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Heard:
    """A message of another DFSP, or an error of the hub. Header names in lower case; `path` without the query."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    content: dict[str, Any]
    arrived_at_ns: int

    @property
    def resource(self) -> str:
        """`quotes`, ..."""
        return self.path.split("/")[1]

    @property
    def transfer_id(self) -> str:
        """What it is about."""
        in_path = self.path.removeprefix(f"/{self.resource}").removesuffix("/error").strip("/")
        in_body = (self.content.get(name) for name in ("quoteId", "bulkQuoteId", "transactionRequestId"))
        return in_path or next((one for one in in_body if isinstance(one, str)), "")

    @property
    def error_code(self) -> str:
        """The errorCode it tells; empty if it is no error."""
        error = self.content.get("errorInformation")
        return str(error.get("errorCode")) if isinstance(error, dict) else ""

    @property
    def label(self) -> str:
        """In a line."""
        return f"{self.method} {self.path} {self.error_code}".rstrip()


class Agreements:
    """One DFSP's half of what is agreed on before transfers. While `silent`, it takes questions and answers none."""

    def __init__(self, name: str, secret: bytes) -> None:
        self.silent = False
        self._name = name
        self._secret = secret
        self._inbox: Inbox[Heard] = Inbox(name)
        self._answers: OrderedDict[tuple[str, str], dict[str, Any]] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: FspiopClient | None = None

    def start(self, client: FspiopClient) -> None:
        """Answer by way of this client from now on."""
        self._client = client

    async def stop(self) -> None:
        """Drop what was still to be answered."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def take(self, heard: Heard) -> None:
        """Keep what has arrived, and answer it if it is a question."""
        self._inbox.put(heard)
        if heard.method == "PUT" or self.silent:
            return
        task = asyncio.create_task(self._answer(heard))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def heard(self, subject_id: str) -> list[Heard]:
        """All about something, in order of arrival."""
        return self._inbox.of(subject_id)

    async def wait_for(
        self, subject_id: str, matches: Callable[[Heard], bool] = lambda _one: True, *, timeout_s: float = 10.0
    ) -> Heard:
        """The first message about something that matches. Raises TimeoutError, which tells what came instead."""
        return await self._inbox.wait_for(subject_id, matches, 1, timeout_s)

    async def ask_quote(self, payee: str, amount_units: int, currency: str, **changes: Any) -> tuple[str, Answer]:
        """POST /quotes; the quote's id, and how the hub took it. `changes` are fields of the body."""
        quote = self.quote(payee, amount_units, currency) | changes
        return quote["quoteId"], await self.send("POST", "/quotes", quote["quoteId"], payee, quote)

    def quote(self, payee: str, amount_units: int, currency: str) -> dict[str, Any]:
        """The body of a POST /quotes, with fresh ids."""
        return {
            "quoteId": new_transfer_id(),
            "transactionId": new_transfer_id(),
            "payer": {"partyIdInfo": _party("447700900456", self._name)},
            "payee": {"partyIdInfo": _party("447700900123", payee)},
            "amountType": "SEND",
            "amount": {"currency": currency, "amount": format_amount(amount_units)},
            "transactionType": {"scenario": "TRANSFER", "initiator": "PAYER", "initiatorType": "CONSUMER"},
            "expiration": timestamp(60),
        }

    async def send(
        self, method: str, path: str, subject_id: str, destination: str, content: Mapping[str, Any] | None = None
    ) -> Answer:
        """Any message; raises aiohttp.ClientError or TimeoutError if the hub gives no answer."""
        assert self._client is not None, "start it first"
        return await self._client.send(method, path, subject_id, destination, content)

    async def _answer(self, heard: Heard) -> None:
        """A hub that gives no answer is logged, not raised: nobody waits for this."""
        asker, subject_id = heard.headers.get("fspiop-source", ""), heard.transfer_id
        path = f"/{heard.resource}/{subject_id}"
        try:
            content = self._content(heard, subject_id)
            if content is None:
                code, text = _UNKNOWN[heard.resource]
                content, path = {"errorInformation": {"errorCode": code, "errorDescription": text}}, f"{path}/error"
            await self.send("PUT", path, subject_id, asker, content)
        except (ClientError, TimeoutError, NotAQuoteError) as error:
            log.warning("answer-not-given", dfsp=self._name, about=heard.label, error=repr(error))

    def _content(self, heard: Heard, subject_id: str) -> dict[str, Any] | None:
        """The same answer to the same question; None for what was never asked for."""
        place = (heard.resource, subject_id)
        known = self._answers.get(place)
        if known is not None or (heard.method == "GET" and heard.resource != "authorizations"):
            return known
        match heard.resource:
            case "quotes":
                answer = quote_answer(heard.content, self._name, self._secret)
            case "bulkQuotes":
                answer = bulk_quote_answer(heard.content, self._name, self._secret)
            case "authorizations":
                information = {"authentication": "OTP", "authenticationValue": OTP}
                answer = {"authenticationInfo": information, "responseType": "ENTERED"}
            case _:
                answer = {"transactionId": new_transfer_id(), "transactionRequestState": "RECEIVED"}
        self._answers[place] = answer
        if len(self._answers) > ANSWERS_KEPT_MAX:
            self._answers.popitem(last=False)
        return answer


def _party(identifier: str, fsp: str) -> dict[str, str]:
    return {"partyIdType": "MSISDN", "partyIdentifier": identifier, "fspId": fsp}
