"""A DFSP in the chaos run: it repeats requests until they are answered, and can stop serving and come back."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from typing import Final

from aiohttp.web import Application, AppRunner, Request, Response, TCPSite

from sandbox.dfsp.behaviour import REJECTION_CODE, REJECTION_TEXT, Behaviour
from sandbox.dfsp.wire import callback_headers, error_body, fulfil_body, request_headers
from tests.chaos.requests import HubRequests
from tests.chaos.transfers import ABORTED, COMMITTED, Transfer, Transfers

HOST: Final = "127.0.0.1"
STOP_TIMEOUT_S: Final = 0.1
FINAL: Final = (COMMITTED, ABORTED)
# A payee repeats its answer for so long; the hub answers a late one with 200 and an error callback.
ANSWER_FOR_S: Final = 60.0


class ChaosDfsp:
    """A payer and payee with one callback server."""

    def __init__(self, name: str, port: int, hub: HubRequests, transfers: Transfers) -> None:
        self.name = name
        self._port = port
        self._hub = hub
        self._transfers = transfers
        self._runner: AppRunner | None = None
        self._alive = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def endpoints(self) -> dict[str, str]:
        """The endpoints to register with the hub (protocol 5.4)."""
        transfers = f"http://{HOST}:{self._port}/transfers"
        return {
            "FSPIOP_CALLBACK_URL_TRANSFER_POST": transfers,
            "FSPIOP_CALLBACK_URL_TRANSFER_PUT": transfers + "/{{transferId}}",
            "FSPIOP_CALLBACK_URL_TRANSFER_ERROR": transfers + "/{{transferId}}/error",
        }

    # -- life

    async def start(self) -> None:
        application = Application()
        application.router.add_post("/transfers", self._on_prepare)
        application.router.add_put("/transfers/{id}", self._on_outcome)
        application.router.add_patch("/transfers/{id}", self._on_outcome)
        application.router.add_put("/transfers/{id}/error", self._on_error)
        self._runner = AppRunner(application, access_log=None, shutdown_timeout=STOP_TIMEOUT_S)
        await self._runner.setup()
        await TCPSite(self._runner, HOST, self._port, backlog=512).start()
        self._alive.set()

    async def die(self, *, hangs: bool) -> None:
        """Stop answering: `hangs` accepts connections silently, otherwise all are closed and refused."""
        self._alive.clear()
        if not hangs:
            await self._close()

    async def revive(self) -> None:
        """Serve again; connections that hung are aborted, as by a restart."""
        if self._runner is None:
            await self.start()
        self._alive.set()

    async def stop(self) -> None:
        """Stop the server and all sending."""
        self._alive.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._close()

    async def _close(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    # -- to the hub

    async def pay(self, transfer: Transfer) -> None:
        """Repeat POST /transfers until it gets 202 or the transfer has expired."""
        headers = request_headers(self.name, transfer.order.payee)
        status = await self._hub.until_answered(
            "POST", "/transfers", headers, transfer.order.body(), transfer.expires_at_s
        )
        transfer.answered_at_s = time.monotonic()
        if status == 202:
            transfer.accepted_at_s = transfer.answered_at_s
        elif 0 < status < 500:
            self._transfers.anomalies.append(f"POST of {transfer.transfer_id} was answered {status}")

    async def query(self, transfer: Transfer, deadline_s: float) -> None:
        """GET a transfer; the hub answers with a callback."""
        path = f"/transfers/{transfer.transfer_id}"
        await self._hub.until_answered("GET", path, request_headers(self.name), None, deadline_s)

    async def _answer(self, transfer: Transfer) -> None:
        behaviour = transfer.kind.behaviour
        if behaviour is Behaviour.SILENT:
            return
        path = f"/transfers/{transfer.transfer_id}"
        if behaviour is Behaviour.REJECT:
            path, body = path + "/error", error_body(REJECTION_CODE, REJECTION_TEXT)
        else:
            body = fulfil_body(transfer.fulfilment, "RESERVED" if behaviour is Behaviour.RESERVE else COMMITTED)
        headers = callback_headers(self.name, transfer.order.payer)
        deadline_s = time.monotonic() + ANSWER_FOR_S
        status = await self._hub.until_answered("PUT", path, headers, body, deadline_s)
        if status != 200 and 0 < status < 500:  # without an answer in time, the transfer has expired
            self._transfers.anomalies.append(f"PUT of {transfer.transfer_id} was answered {status}")

    # -- from the hub

    async def _is_dead(self, request: Request) -> bool:
        if self._alive.is_set():
            return False
        await self._alive.wait()
        if request.transport is not None:
            request.transport.abort()
        return True

    async def _on_prepare(self, request: Request) -> Response:
        body = await request.read()
        if await self._is_dead(request):
            return Response(status=503)
        transfer = self._known(json.loads(body)["transferId"])
        if transfer is None:
            return Response(status=404)
        if body != transfer.order.body() or transfer.order.payee != self.name:
            self._transfers.anomalies.append(f"POST of {transfer.transfer_id} was not forwarded as it was")
        transfer.forwarded += 1
        if transfer.forwarded == 1:
            task = asyncio.create_task(self._answer(transfer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return Response(status=202)

    async def _on_outcome(self, request: Request) -> Response:
        body = await request.read()
        if await self._is_dead(request):
            return Response(status=503)
        state = json.loads(body)["transferState"]
        return self._receive(request.match_info["id"], state, state)

    async def _on_error(self, request: Request) -> Response:
        body = await request.read()
        if await self._is_dead(request):
            return Response(status=503)
        code = json.loads(body)["errorInformation"]["errorCode"]
        return self._receive(request.match_info["id"], ABORTED, f"error {code}")

    def _receive(self, transfer_id: str, state: str, on_get: str) -> Response:
        transfer = self._known(transfer_id)
        if transfer is None:
            return Response(status=404)
        if self._transfers.is_querying:
            transfer.on_get = on_get
        elif state in FINAL:  # a repeated POST may be answered with RESERVED (protocol 3.2)
            self._notified(transfer)[state] += 1
            if transfer.ended_at_s is None and transfer.order.payer == self.name:
                transfer.ended_at_s = time.monotonic()
        return Response(status=200)

    def _notified(self, transfer: Transfer) -> Counter[str]:
        return transfer.payer_notified if transfer.order.payer == self.name else transfer.payee_notified

    def _known(self, transfer_id: str) -> Transfer | None:
        transfer = self._transfers.by_id.get(transfer_id)
        if transfer is None or self.name not in (transfer.order.payer, transfer.order.payee):
            self._transfers.anomalies.append(f"{self.name} was notified of {transfer_id}, which is not its own")
            return None
        return transfer
