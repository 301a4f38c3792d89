"""The client of a simulated DFSP: its requests to the hub, each reported as a hop when sent and when answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from io import BytesIO
from time import perf_counter_ns
from typing import Any, Final

from aiohttp import ClientSession, ClientTimeout, TCPConnector

from clearinghub.security.signature import HEADER, Signer
from sandbox.dfsp.messages import Answer, Direction, Hop, Message, shown_request
from sandbox.dfsp.wire import TransferOrder, callback_headers, error_body, fulfil_body, request_headers

REQUEST_TIMEOUT_S: Final = 30
CONNECTIONS_MAX: Final = 128
BODY_AT_ONCE_BYTES: Final = 65_536
BUSY_PAUSE_S: Final = 0.25
# Not accepted; or perhaps accepted, and then the same request with the same id does no harm.
SEND_AGAIN: Final = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)


class FspiopClient:
    """Sends one DFSP's messages to the hub.

    Every method returns the hub's synchronous answer, whatever its status, and raises aiohttp.ClientError or
    TimeoutError if there is none.
    """

    def __init__(self, name: str, hub_url: str, observe: Callable[[Hop], None], signer: Signer | None = None) -> None:
        self._name = name
        self._hub_url = hub_url.rstrip("/")
        self._observe = observe
        self._signer = signer
        # aiohttp would add `Accept: */*` by itself, which FSPIOP forbids on PUT.
        self._session = ClientSession(
            skip_auto_headers=("Accept",),
            timeout=ClientTimeout(total=REQUEST_TIMEOUT_S),
            connector=TCPConnector(limit=CONNECTIONS_MAX),
        )

    async def close(self) -> None:
        await self._session.close()

    async def post_transfer(self, order: TransferOrder) -> Answer:
        headers = request_headers(self._name, order.payee)
        what = f"POST /transfers {order.shown_amount}"
        return await self._send("POST", "/transfers", order.transfer_id, headers, order.body(), what)

    async def get_transfer(self, transfer_id: str) -> Answer:
        """GET /transfers/{id}; the transfer itself comes as a callback."""
        headers = request_headers(self._name)
        return await self._send("GET", f"/transfers/{transfer_id}", transfer_id, headers, None, "GET /transfers/…")

    async def put_fulfil(self, transfer_id: str, payer: str, fulfilment: str, state: str) -> Answer:
        """PUT /transfers/{id}; `state` is COMMITTED or RESERVED."""
        headers = callback_headers(self._name, payer)
        body = fulfil_body(fulfilment, state)
        what = f"PUT /transfers/… {state}"
        return await self._send("PUT", f"/transfers/{transfer_id}", transfer_id, headers, body, what)

    async def put_error(self, transfer_id: str, payer: str, code: str, description: str) -> Answer:
        headers = callback_headers(self._name, payer)
        body = error_body(code, description)
        what = f"PUT /transfers/…/error {code}"
        return await self._send("PUT", f"/transfers/{transfer_id}/error", transfer_id, headers, body, what)

    async def post_bulk(self, bulk_id: str, payee: str, body: bytes) -> Answer:
        headers = request_headers(self._name, payee, "bulkTransfers")
        return await self._send("POST", "/bulkTransfers", bulk_id, headers, body, "POST /bulkTransfers")

    async def get_bulk(self, bulk_id: str) -> Answer:
        """GET /bulkTransfers/{id}; the bulk itself comes as a callback."""
        headers = request_headers(self._name, None, "bulkTransfers")
        return await self._send("GET", f"/bulkTransfers/{bulk_id}", bulk_id, headers, None, "GET /bulkTransfers/…")

    async def put_bulk(self, bulk_id: str, destination: str, body: bytes) -> Answer:
        headers = callback_headers(self._name, destination, "bulkTransfers")
        return await self._send("PUT", f"/bulkTransfers/{bulk_id}", bulk_id, headers, body, "PUT /bulkTransfers/…")

    async def put_bulk_error(self, bulk_id: str, destination: str, code: str, description: str) -> Answer:
        headers = callback_headers(self._name, destination, "bulkTransfers")
        path, what = f"/bulkTransfers/{bulk_id}/error", f"PUT /bulkTransfers/…/error {code}"
        return await self._send("PUT", path, bulk_id, headers, error_body(code, description), what)

    async def send(
        self, method: str, path: str, subject_id: str, destination: str | None, content: Mapping[str, Any] | None
    ) -> Answer:
        """Send any other message; its resource is the path's first segment."""
        resource = path.split("/")[1]
        headers = callback_headers if method == "PUT" else request_headers
        body = None if content is None else json.dumps(content, separators=(",", ":")).encode()
        what = shown_request(method, path)
        return await self._send(method, path, subject_id, headers(self._name, destination, resource), body, what)

    async def _send(
        self, method: str, path: str, transfer_id: str, headers: Mapping[str, str], body: bytes | None, what: str
    ) -> Answer:
        if self._signer is not None:
            headers = signed(self._signer, method, path, headers, body or b"")
        message = Message(method, path, {name.lower(): value for name, value in headers.items()}, body or b"")
        sent_at_ns = perf_counter_ns()
        self._observe(Hop(self._name, Direction.TO_HUB, transfer_id, what, sent_at_ns, message=message))
        # aiohttp warns of a large body as bytes, which would block the event loop, and takes a file.
        data = BytesIO(body) if body is not None and len(body) > BODY_AT_ONCE_BYTES else body
        async with self._session.request(method, self._hub_url + path, headers=headers, data=data) as response:
            content = _parsed(await response.read())
            answer = Answer(response.status, content, sent_at_ns, perf_counter_ns())
        what = f"{_phrase(answer.status)} {answer.error_code}".rstrip()
        self._observe(Hop(self._name, Direction.FROM_HUB, transfer_id, what, answer.answered_at_ns))
        return answer


def signed(signer: Signer, method: str, path: str, headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    """Return the headers with the signature and the two headers that it must cover."""
    lower = {name.lower(): value for name, value in headers.items()}
    lower |= {"fspiop-uri": path, "fspiop-http-method": method}
    return lower | {HEADER: signer.sign(lower, body)}


async def retry_while_busy(send: Callable[[], Awaitable[Answer]], timeout_s: float) -> Answer:
    """Send again while the hub answers 503 (ADR 19) or 504 (ADR 24), for `timeout_s` at most; return the last answer.

    Raises as `send` does.
    """
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + timeout_s
    while True:
        answer = await send()
        if answer.status not in SEND_AGAIN or loop.time() + BUSY_PAUSE_S > deadline_s:
            return answer
        await asyncio.sleep(BUSY_PAUSE_S)


def _parsed(body: bytes) -> dict[str, Any]:
    """Return the JSON object of an answer; empty for anything else, since a proxy may answer with a page."""
    try:
        content = json.loads(body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _phrase(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
