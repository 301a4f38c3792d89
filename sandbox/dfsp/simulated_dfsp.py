"""One simulated DFSP: an HTTP server and client that is payer and payee and keeps every callback it has received."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from time import perf_counter_ns
from types import TracebackType
from typing import Any, Final, Self

import structlog
from aiohttp.web import Application, AppRunner, Request, Response, TCPSite

from clearinghub.security.signature import Signer, Verifier
from sandbox.dfsp.agreements import ENDPOINT_TYPES, RESOURCES, Agreements
from sandbox.dfsp.behaviour import Behaviour, chosen_behaviour
from sandbox.dfsp.fspiop_client import FspiopClient
from sandbox.dfsp.ilp import fulfilment_of
from sandbox.dfsp.inbox import Inbox
from sandbox.dfsp.messages import Answer, Callback, CallbackKind, Direction, Hop, Message, ReceivedMessage
from sandbox.dfsp.parties import party_endpoints
from sandbox.dfsp.payee import answer_bulk, answer_transfer
from sandbox.dfsp.wire import (
    LIFETIME_S,
    Terms,
    TransferOrder,
    agree_terms,
    error_body,
    new_transfer_id,
    timestamp,
)

BODY_BYTES_MAX: Final = 5_242_880  # protocol 1.1
STOP_TIMEOUT_S: Final = 1.0

log = structlog.get_logger()


class SimulatedDfsp:
    """One DFSP of a scheme under test. Use it as an async context manager, or call `start` and `stop`.

    Every callback is kept and can be awaited with `wait_for`. A transfer that the hub forwards is answered as `always`
    says, or else as the transfer itself asks (behaviour.py). `observe` is called for every hop at once. While
    `outage_status` is set, callbacks are answered with that status, counted in `turned_away` and not kept. With a
    `signer` all requests are signed; with a `verifier` a message that its source did not sign is answered 3105 and not
    kept.
    """

    def __init__(
        self,
        name: str,
        hub_url: str,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        always: Behaviour | None = None,
        observe: Callable[[Hop], None] | None = None,
        signer: Signer | None = None,
        verifier: Verifier | None = None,
    ) -> None:
        self.name = name
        self.host = host
        self.port = port
        self.always = always
        self.outage_status: int | None = None
        self.turned_away = 0
        self._hub_url = hub_url
        self._secret = f"secret of {name}".encode()
        self._observe = observe if observe is not None else _ignore
        self._signer = signer
        self._verifier = verifier
        self._inbox: Inbox[Callback] = Inbox(name)
        self.agreements = Agreements(name, self._secret)
        self._answers: set[asyncio.Task[None]] = set()
        self._runner: AppRunner | None = None
        self._client: FspiopClient | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, on any free port if `port` is 0; afterwards `port` is the real one.

        Raises:
            OSError: another process listens on the port.
        """
        application = Application(client_max_size=BODY_BYTES_MAX)
        application.router.add_post("/transfers", self._on_prepare)
        application.router.add_put("/transfers/{id}", self._on_fulfil)
        application.router.add_patch("/transfers/{id}", self._on_notice)
        application.router.add_put("/transfers/{id}/error", self._on_error)
        application.router.add_post("/bulkTransfers", self._on_bulk)
        application.router.add_put("/bulkTransfers/{id}", self._on_fulfil)
        application.router.add_put("/bulkTransfers/{id}/error", self._on_error)
        application.router.add_route("*", f"/{{resource:{'|'.join(RESOURCES)}}}{{rest:(/.*)?}}", self._on_agreement)
        runner = AppRunner(application, access_log=None, shutdown_timeout=STOP_TIMEOUT_S)
        await runner.setup()
        try:
            await TCPSite(runner, self.host, self.port).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self.port = runner.addresses[0][1]
        self._client = FspiopClient(self.name, self._hub_url, self._observe, self._signer)
        self.agreements.start(self._client)

    async def stop(self) -> None:
        """Stop listening and cancel the answers that are not sent yet."""
        for task in self._answers:
            task.cancel()
        await asyncio.gather(*self._answers, return_exceptions=True)
        await self.agreements.stop()
        if self._client is not None:
            await self._client.close()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def client(self) -> FspiopClient:
        """The client that sends its messages to the hub; there is one after `start`."""
        assert self._client is not None, "start it first"
        return self._client

    @property
    def endpoints(self) -> dict[str, str]:
        """The endpoints to register with the hub: endpoint type -> URL template (protocol 5.4)."""
        base_url = f"http://{self.host}:{self.port}"
        transfers, bulks = f"{base_url}/transfers", f"{base_url}/bulkTransfers"
        return {
            **{f"FSPIOP_CALLBACK_URL_{kind}": base_url for kind in ENDPOINT_TYPES},
            **party_endpoints(base_url),
            "FSPIOP_CALLBACK_URL_BULK_TRANSFER_POST": bulks,
            "FSPIOP_CALLBACK_URL_BULK_TRANSFER_PUT": bulks + "/{{id}}",
            "FSPIOP_CALLBACK_URL_BULK_TRANSFER_ERROR": bulks + "/{{id}}/error",
            "FSPIOP_CALLBACK_URL_TRANSFER_POST": transfers,
            "FSPIOP_CALLBACK_URL_TRANSFER_PUT": transfers + "/{{transferId}}",
            "FSPIOP_CALLBACK_URL_TRANSFER_ERROR": transfers + "/{{transferId}}/error",
        }

    def order(
        self,
        payee: SimulatedDfsp,
        amount_units: int,
        currency: str,
        *,
        behaviour: Behaviour = Behaviour.COMMIT,
        lifetime_s: int = LIFETIME_S,
    ) -> TransferOrder:
        """Return a new transfer to `payee`, on terms that it can fulfil; it expires in `lifetime_s` seconds."""
        transfer_id = new_transfer_id()
        terms = payee.quote(self.name, amount_units, currency, transfer_id)
        expiration = timestamp(lifetime_s)
        return TransferOrder(transfer_id, self.name, payee.name, amount_units, currency, terms, expiration, behaviour)

    def quote(self, payer: str, amount_units: int, currency: str, transaction_id: str) -> Terms:
        """Return the ILP packet and condition that this DFSP agrees to as the payee's."""
        return agree_terms(payer, self.name, amount_units, currency, self._secret, transaction_id)

    def fulfilment_of(self, ilp_packet: str) -> str:
        """Return the fulfilment that this DFSP, as the payee's, has for an ILP packet."""
        return fulfilment_of(ilp_packet, self._secret)

    async def post_transfer(self, order: TransferOrder) -> Answer:
        """POST /transfers as the payer's DFSP; raises aiohttp.ClientError or TimeoutError without an answer."""
        return await self.client.post_transfer(order)

    async def get_transfer(self, transfer_id: str) -> Answer:
        """GET /transfers/{id}; the transfer comes as a callback. Raises as `post_transfer` does."""
        return await self.client.get_transfer(transfer_id)

    def callbacks_of(self, transfer_id: str) -> list[Callback]:
        """Return all callbacks about a transfer, in order of arrival."""
        return self._inbox.of(transfer_id)

    async def wait_for(
        self,
        transfer_id: str,
        matches: Callable[[Callback], bool] | None = None,
        *,
        count: int = 1,
        timeout_s: float = 10.0,
    ) -> Callback:
        """Return the `count`-th callback about a transfer that matches, as soon as it is there; without `matches`, any.

        Raises:
            TimeoutError: it did not come in time; the text lists what did.
        """
        return await self._inbox.wait_for(transfer_id, matches if matches is not None else _any, count, timeout_s)

    async def _on_prepare(self, request: Request) -> Response:
        return await self._receive(request, CallbackKind.PREPARE, self._answer_transfer)

    async def _on_bulk(self, request: Request) -> Response:
        return await self._receive(request, CallbackKind.PREPARE, self._answer_bulk)

    async def _on_fulfil(self, request: Request) -> Response:
        return await self._receive(request, CallbackKind.FULFIL)

    async def _on_notice(self, request: Request) -> Response:
        return await self._receive(request, CallbackKind.NOTICE)

    async def _on_error(self, request: Request) -> Response:
        return await self._receive(request, CallbackKind.ERROR)

    def _answer_transfer(self, prepare: Callback) -> Coroutine[Any, Any, None]:
        behaviour = self.always if self.always is not None else chosen_behaviour(prepare.content)
        fulfilment = self.fulfilment_of(str(prepare.content.get("ilpPacket")))
        return answer_transfer(self.client, prepare, behaviour, fulfilment)

    def _answer_bulk(self, prepare: Callback) -> Coroutine[Any, Any, None]:
        return answer_bulk(self.client, prepare, self.always, self.fulfilment_of)

    async def _on_agreement(self, request: Request) -> Response:
        arrived_at_ns = perf_counter_ns()
        message = await self._read(request)
        if isinstance(message, Response):
            return message
        content = _json_object(message.body or b"{}")
        if content is None:
            return Response(status=HTTPStatus.BAD_REQUEST)
        query = dict(request.query)
        received = ReceivedMessage(
            request.method, request.path, query, message.headers, message.body, content, arrived_at_ns
        )
        hop = Hop(self.name, Direction.FROM_HUB, received.transfer_id, received.shown, arrived_at_ns, message=message)
        self._observe(hop)
        self.agreements.receive(received)
        return Response(status=HTTPStatus.OK if request.method == "PUT" else HTTPStatus.ACCEPTED)

    async def _read(self, request: Request) -> Message | Response:
        """Return the message, or the answer if it is refused: during an outage, or without a valid signature."""
        if self.outage_status is not None:
            self.turned_away += 1
            return Response(status=self.outage_status)
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        if self._verifier is not None:
            fault = self._verifier.fault(request.method, request.rel_url.raw_path_qs, headers, body)
            if fault is not None:
                log.warning("callback-not-trusted", dfsp=self.name, path=request.path, reason=fault.reason)
                error = error_body("3105", f"Invalid signature - {fault.reason}")
                return Response(status=HTTPStatus.BAD_REQUEST, body=error, content_type="application/json")
        return Message(request.method, request.rel_url.raw_path_qs, headers, body)

    async def _receive(
        self,
        request: Request,
        kind: CallbackKind,
        answer: Callable[[Callback], Coroutine[Any, Any, None]] | None = None,
    ) -> Response:
        """Keep a callback, and start `answer` if there is one; a body that is no JSON object is answered 400."""
        arrived_at_ns = perf_counter_ns()
        message = await self._read(request)
        if isinstance(message, Response):
            return message
        content = _json_object(message.body)
        if content is None:
            return Response(status=HTTPStatus.BAD_REQUEST)
        transfer_id = request.match_info.get("id") or str(content.get("transferId") or content.get("bulkTransferId"))
        callback = Callback(kind, transfer_id, message.headers, message.body, content, arrived_at_ns)
        self._inbox.put(callback)
        self._observe(Hop(self.name, Direction.FROM_HUB, transfer_id, callback.shown, arrived_at_ns, callback, message))
        if answer is None:
            return Response(status=HTTPStatus.OK)
        task = asyncio.create_task(answer(callback))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)
        return Response(status=HTTPStatus.ACCEPTED)


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(body)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _any(_callback: Callback) -> bool:
    return True


def _ignore(_hop: Hop) -> None:
    return None
