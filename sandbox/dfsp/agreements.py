"""What a simulated DFSP does before a transfer: lookups, quotes and requests to pay, as requester and as answerer."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from time import perf_counter_ns
from typing import Any, Final

import structlog
from aiohttp import ClientError

from sandbox.dfsp.fspiop_client import FspiopClient, retry_while_busy
from sandbox.dfsp.inbox import Inbox
from sandbox.dfsp.messages import Answer, ReceivedMessage, shown_request
from sandbox.dfsp.parties import Parties, Party
from sandbox.dfsp.quoting import NotAQuoteError, Tariff, bulk_quote_answer, quote_answer
from sandbox.dfsp.requests import PaymentIntent, quote_request
from sandbox.dfsp.wire import new_transfer_id

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

# The error that answers a GET about something that this DFSP does not know (protocol 2.2).
_UNKNOWN: Final = {
    "parties": ("3204", "Party not found"),
    "quotes": ("3205", "Quote ID not found"),
    "bulkQuotes": ("3209", "Bulk quote ID not found"),
    "transactionRequests": ("3206", "Transaction request ID not found"),
    "transactions": ("3207", "Transaction ID not found"),
}

log = structlog.get_logger()


class UnansweredError(Exception):
    """A request to the hub or another DFSP was refused or not answered; the text says why."""


class Agreements:
    """One DFSP's lookups, quotes and requests to pay. While it is `silent`, it accepts requests and answers none.

    `tariff` is what it charges as the payee's DFSP. `entered` has the one-time passwords that payers typed in at its
    payees' terminals, by transaction request id; for a request that is not there the payer typed `OTP`.
    """

    def __init__(self, name: str, secret: bytes) -> None:
        self.silent = False
        self.tariff: Tariff = {}
        self.entered: dict[str, str] = {}
        self._name = name
        self._secret = secret
        self._parties = Parties()
        self._inbox: Inbox[ReceivedMessage] = Inbox(name)
        self._answers: OrderedDict[tuple[str, str], dict[str, Any]] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: FspiopClient | None = None

    def start(self, client: FspiopClient) -> None:
        """Use this client for all messages; call it once, before anything else."""
        self._client = client

    async def stop(self) -> None:
        """Cancel the answers that are not sent yet."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def finish_answers(self) -> None:
        """Wait until the hub has accepted all answers that are being sent now."""
        await asyncio.gather(*self._tasks)

    def receive(self, message: ReceivedMessage) -> None:
        """Keep a message that has arrived, and start to answer it if it is a request."""
        self._inbox.put(message)
        if message.method == "PUT" or self.silent:
            return
        task = asyncio.create_task(self._answer(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def received(self, subject_id: str) -> list[ReceivedMessage]:
        """Return all messages about a quote, party or request, in order of arrival."""
        return self._inbox.of(subject_id)

    async def wait_for(
        self,
        subject_id: str,
        matches: Callable[[ReceivedMessage], bool] = lambda _message: True,
        *,
        timeout_s: float = 10.0,
    ) -> ReceivedMessage:
        """Return the first message about `subject_id` that matches; raises TimeoutError if none came in time."""
        return await self._inbox.wait_for(subject_id, matches, 1, timeout_s)

    async def register(self, parties: Sequence[Party]) -> None:
        """Add these parties and register them with the hub; raises UnansweredError if it refuses any of them."""
        self._parties.add(parties)
        request_id = new_transfer_id()
        batch = {"requestId": request_id, "partyList": [party.id_info for party in parties]}
        answer = await self.request("POST", "/participants", request_id, None, batch)
        results = answer.content.get("partyList", ())
        refused = [result for result in results if "errorInformation" in result]
        if refused or len(results) != len(parties):
            raise UnansweredError(
                f"of {len(parties)} parties the hub accepted {len(results) - len(refused)}: {refused}"
            )

    async def look_up(self, path: str) -> ReceivedMessage:
        """Return the answer of the party's DFSP; `path` is as `MSISDN/447700900123`. Raises as `request` does."""
        return await self.request("GET", f"/parties/{path}", path, None)

    async def request(
        self,
        method: str,
        path: str,
        subject_id: str,
        destination: str | None,
        content: Mapping[str, Any] | None = None,
        *,
        timeout_s: float = CALLBACK_TIMEOUT_S,
    ) -> ReceivedMessage:
        """Send a request, again while the hub answers 503, and return the callback that answers it.

        Raises:
            UnansweredError: the hub refused it, an error came back, or nothing within `timeout_s`.
        """
        resource, sent_at_ns = path.split("/")[1], perf_counter_ns()

        def is_answer(message: ReceivedMessage) -> bool:
            return (message.method, message.resource) == ("PUT", resource) and message.arrived_at_ns > sent_at_ns

        try:
            answer = await retry_while_busy(
                lambda: self.send(method, path, subject_id, destination, content), timeout_s
            )
            if answer.status != HTTPStatus.ACCEPTED:
                raise UnansweredError(f"{shown_request(method, path)} was answered {answer.text}")
            callback = await self.wait_for(subject_id, is_answer, timeout_s=timeout_s)
        except (ClientError, TimeoutError) as error:
            raise UnansweredError(f"{shown_request(method, path)}: {error or 'no answer'}") from error
        if callback.error_code:
            raise UnansweredError(f"{shown_request(method, path)}: {callback.content['errorInformation']}")
        return callback

    async def post_quote(self, payee: str, amount_units: int, currency: str, **changes: Any) -> tuple[str, Answer]:
        """POST /quotes with `changes` to the body; return the quote's id and the hub's synchronous answer."""
        quote = self.quote(payee, amount_units, currency) | changes
        return quote["quoteId"], await self.send("POST", "/quotes", quote["quoteId"], payee, quote)

    def quote(self, payee: str, amount_units: int, currency: str) -> dict[str, Any]:
        """Return the body of a POST /quotes between two fictional people, with fresh ids."""
        payer = Party("MSISDN", "447700900456", self._name, "Pat Payer")  # numbers kept for fiction
        return quote_request(
            PaymentIntent(payer, Party("MSISDN", "447700900123", payee, "Paz Payee"), amount_units, currency)
        )

    async def send(
        self, method: str, path: str, subject_id: str, destination: str | None, content: Mapping[str, Any] | None = None
    ) -> Answer:
        """Send any message; raises aiohttp.ClientError or TimeoutError if the hub does not answer."""
        assert self._client is not None, "start it first"
        return await self._client.send(method, path, subject_id, destination, content)

    async def _answer(self, request: ReceivedMessage) -> None:
        """Send the answer or an error; a hub that cannot be reached is logged, since no caller waits for this."""
        requester, subject_id = request.headers.get("fspiop-source", ""), request.transfer_id
        path = f"/{request.resource}/{subject_id}"
        try:
            content = self._content(request, subject_id)
            error = _UNKNOWN[request.resource] if content is None else None
        except NotAQuoteError as refusal:
            log.warning("quote-rejected", dfsp=self._name, about=request.label, reason=str(refusal))
            content, error = None, QUOTE_REJECTED
        if error is not None:
            code, text = error
            content, path = {"errorInformation": {"errorCode": code, "errorDescription": text}}, f"{path}/error"
        try:
            await self.send("PUT", path, subject_id, requester, content)
        except (ClientError, TimeoutError) as failure:
            log.warning("answer-not-sent", dfsp=self._name, about=request.label, error=repr(failure))

    def _content(self, request: ReceivedMessage, subject_id: str) -> dict[str, Any] | None:
        """Return the answer's body, the same for a repeated request; None for a GET about an unknown id or party."""
        if request.resource == "parties":
            return self._parties.answer(subject_id)
        key = (request.resource, subject_id)
        known = self._answers.get(key)
        if known is not None or (request.method == "GET" and request.resource != "authorizations"):
            return known
        match request.resource:
            case "quotes":
                answer = quote_answer(request.content, self._name, self._secret, self.tariff)
            case "bulkQuotes":
                answer = bulk_quote_answer(request.content, self._name, self._secret, self.tariff)
            case "authorizations":
                information = {"authentication": "OTP", "authenticationValue": self.entered.pop(subject_id, OTP)}
                answer = {"authenticationInfo": information, "responseType": "ENTERED"}
            case _:
                answer = {"transactionId": new_transfer_id(), "transactionRequestState": "RECEIVED"}
        self._answers[key] = answer
        if len(self._answers) > ANSWERS_KEPT_MAX:
            self._answers.popitem(last=False)
        return answer
