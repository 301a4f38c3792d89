"""A simulated DFSP before a transfer: it finds parties, asks for quotes and payments, and answers what others ask."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from time import perf_counter_ns
from typing import Any, Final

import structlog
from aiohttp import ClientError

from sandbox.callback import Answer
from sandbox.fspiop_client import FspiopClient, shown_request
from sandbox.heard import Heard
from sandbox.inbox import Inbox
from sandbox.parties import Parties, Party
from sandbox.patience import patiently
from sandbox.quoting import NotAQuoteError, Tariff, bulk_quote_answer, quote_answer
from sandbox.requests import Wish, quote_request
from sandbox.wire import new_transfer_id

RESOURCES: Final = (
    "parties",
    "participants",
    "quotes",
    "bulkQuotes",
    "transactionRequests",
    "transactions",
    "authorizations",
)
ENDPOINT_TYPES: Final = ("QUOTES", "BULK_QUOTES", "TRX_REQ_SERVICE", "AUTHORIZATIONS")
OTP: Final = "123456"
ANSWERS_KEPT_MAX: Final = 20_000
CALLBACK_TIMEOUT_S: Final = 10.0
QUOTE_REJECTED: Final = ("5103", "Payee FSP rejected quote")

# What is answered to a GET about something that was never asked for (protocol 2.2).
_UNKNOWN: Final = {
    "parties": ("3204", "Party not found"),
    "quotes": ("3205", "Quote ID not found"),
    "bulkQuotes": ("3209", "Bulk quote ID not found"),
    "transactionRequests": ("3206", "Transaction request ID not found"),
    "transactions": ("3207", "Transaction ID not found"),
}

log = structlog.get_logger()


class UnansweredError(Exception):
    """What was asked of the hub, or of another DFSP, came to nothing; the text tells why."""


class Agreements:
    """One DFSP's half of what is agreed on before transfers. While `silent`, it takes questions and answers none.

    `tariff` is what it charges as payee. `entered` holds what payers have typed in at its payees' terminals, by
    transaction request; where nothing is held, they typed `OTP`.
    """

    def __init__(self, name: str, secret: bytes) -> None:
        self.silent = False
        self.tariff: Tariff = {}
        self.entered: dict[str, str] = {}
        self._name = name
        self._secret = secret
        self._parties = Parties()
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

    async def register(self, parties: Sequence[Party]) -> None:
        """Have these parties, and tell the hub so; raises UnansweredError if it does not take all of them."""
        self._parties.add(parties)
        request_id = new_transfer_id()
        batch = {"requestId": request_id, "partyList": [party.id_info for party in parties]}
        heard = await self.ask("POST", "/participants", request_id, None, batch)
        results = heard.content.get("partyList", ())
        refused = [result for result in results if "errorInformation" in result]
        if refused or len(results) != len(parties):
            raise UnansweredError(f"of {len(parties)} parties the hub took {len(results) - len(refused)}: {refused}")

    async def look_up(self, path: str) -> Heard:
        """What the DFSP of the party found by `path` tells of it; raises as `ask` does."""
        return await self.ask("GET", f"/parties/{path}", path, None)

    async def ask(
        self,
        method: str,
        path: str,
        subject_id: str,
        destination: str | None,
        content: Mapping[str, Any] | None = None,
        *,
        timeout_s: float = CALLBACK_TIMEOUT_S,
    ) -> Heard:
        """Send a question, again while the hub is too busy for it, and wait for its answer.

        Raises:
            UnansweredError: the hub did not take it, or an error came, or nothing within `timeout_s`.
        """
        resource, asked_at_ns = path.split("/")[1], perf_counter_ns()

        def is_answer(heard: Heard) -> bool:
            return (heard.method, heard.resource) == ("PUT", resource) and heard.arrived_at_ns > asked_at_ns

        try:
            taken = await patiently(lambda: self.send(method, path, subject_id, destination, content), timeout_s)
            if taken.status != HTTPStatus.ACCEPTED:
                raise UnansweredError(f"{shown_request(method, path)} was answered {taken.text}")
            heard = await self.wait_for(subject_id, is_answer, timeout_s=timeout_s)
        except (ClientError, TimeoutError) as error:
            raise UnansweredError(f"{shown_request(method, path)}: {error or 'no answer'}") from error
        if heard.error_code:
            raise UnansweredError(f"{shown_request(method, path)}: {heard.content['errorInformation']}")
        return heard

    async def ask_quote(self, payee: str, amount_units: int, currency: str, **changes: Any) -> tuple[str, Answer]:
        """POST /quotes; the quote's id, and how the hub took it. `changes` are fields of the body."""
        quote = self.quote(payee, amount_units, currency) | changes
        return quote["quoteId"], await self.send("POST", "/quotes", quote["quoteId"], payee, quote)

    def quote(self, payee: str, amount_units: int, currency: str) -> dict[str, Any]:
        """The body of a POST /quotes, with fresh ids."""
        payer = Party("MSISDN", "447700900456", self._name, "Pat Payer")  # numbers kept for fiction
        return quote_request(Wish(payer, Party("MSISDN", "447700900123", payee, "Paz Payee"), amount_units, currency))

    async def send(
        self, method: str, path: str, subject_id: str, destination: str | None, content: Mapping[str, Any] | None = None
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
            error = _UNKNOWN[heard.resource] if content is None else None
        except NotAQuoteError as refusal:
            log.warning("quote-rejected", dfsp=self._name, about=heard.label, reason=str(refusal))
            content, error = None, QUOTE_REJECTED
        if error is not None:
            code, text = error
            content, path = {"errorInformation": {"errorCode": code, "errorDescription": text}}, f"{path}/error"
        try:
            await self.send("PUT", path, subject_id, asker, content)
        except (ClientError, TimeoutError) as failure:
            log.warning("answer-not-given", dfsp=self._name, about=heard.label, error=repr(failure))

    def _content(self, heard: Heard, subject_id: str) -> dict[str, Any] | None:
        """The same answer to the same question; None for what was never asked for."""
        if heard.resource == "parties":
            return self._parties.answer(subject_id)
        place = (heard.resource, subject_id)
        known = self._answers.get(place)
        if known is not None or (heard.method == "GET" and heard.resource != "authorizations"):
            return known
        match heard.resource:
            case "quotes":
                answer = quote_answer(heard.content, self._name, self._secret, self.tariff)
            case "bulkQuotes":
                answer = bulk_quote_answer(heard.content, self._name, self._secret, self.tariff)
            case "authorizations":
                information = {"authentication": "OTP", "authenticationValue": self.entered.pop(subject_id, OTP)}
                answer = {"authenticationInfo": information, "responseType": "ENTERED"}
            case _:
                answer = {"transactionId": new_transfer_id(), "transactionRequestState": "RECEIVED"}
        self._answers[place] = answer
        if len(self._answers) > ANSWERS_KEPT_MAX:
            self._answers.popitem(last=False)
        return answer
