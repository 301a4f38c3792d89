"""A small hub in memory, for tests of the simulated DFSPs, the sandbox and the demo.

It has positions, limits and transfers' states as the protocol describes them (protocol 3), so that a run against it can
be right; with a `defect` it is wrong in one way, which the demo must notice.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from aiohttp import ClientSession
from aiohttp.web import (
    Application,
    AppRunner,
    Request,
    Response,
    TCPSite,
    json_response,
)

from clearinghub.tools.client.money import units
from sandbox.dfsp.ilp import is_fulfilled
from tests.integration.fake_hub_admin import HUB, Dfsp, FakeAdmin
from tests.integration.fake_hub_bulk import FakeBulks
from tests.integration.fake_hub_relay import FakeRelay

CONTENT_TYPE = "application/vnd.interoperability.transfers+json;version=1.1"


class Defect(Enum):
    CREDITS_TOO_LITTLE = "credits-too-little"
    FORGETS_CONFIRMATION = "forgets-confirmation"
    IGNORES_CAP = "ignores-cap"
    REWRITES_BODY = "rewrites-body"
    REWRITES_QUOTE = "rewrites-quote"
    FORGETS_BULK_LINE = "forgets-bulk-line"
    MOVES_ON_US = "moves-on-us"


@dataclass
class Kept:
    body: dict[str, Any]
    raw: bytes
    state: str = "RESERVED"
    cause: str = ""
    fulfilment: str | None = None

    @property
    def amount(self) -> int:
        return units(self.body["amount"]["amount"])


class FakeHub:
    """Start the hub, which then listens on `fspiop_port` and `admin_port`."""

    def __init__(self, defect: Defect | None = None, *, on_us: bool = False) -> None:
        self.defect = defect
        self.on_us = on_us or defect is Defect.MOVES_ON_US
        self.admin = FakeAdmin()
        self.transfers: dict[str, Kept] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.relay = FakeRelay(self.dfsps, rewrites_answers=defect is Defect.REWRITES_QUOTE)
        self.bulks = FakeBulks(self.dfsps, forgets_a_line=defect is Defect.FORGETS_BULK_LINE)
        self.down: list[str] = []  # the services that /health reports
        self.fspiop_port = 0
        self.admin_port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._runners: list[AppRunner] = []

    async def start(self) -> None:
        self._session = ClientSession(skip_auto_headers=("Accept",))
        fspiop = Application()
        self.relay.add_routes(fspiop, self._session)
        self.bulks.add_routes(fspiop, self._session)
        fspiop.router.add_get("/health", self._health)
        fspiop.router.add_post("/transfers", self._on_post)
        fspiop.router.add_get("/transfers/{id}", self._on_get)
        fspiop.router.add_put("/transfers/{id}", self._on_put)
        fspiop.router.add_put("/transfers/{id}/error", self._on_put_error)
        admin = self.admin.application()
        admin.router.add_get("/health", self._health)
        self.fspiop_port = await self._listen(fspiop)
        self.admin_port = await self._listen(admin)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.relay.stop()
        await self.bulks.stop()
        for runner in self._runners:
            await runner.cleanup()
        await self._session.close()

    @property
    def dfsps(self) -> dict[str, Dfsp]:
        return self.admin.dfsps

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.fspiop_port}"

    async def _listen(self, application: Application) -> int:
        runner = AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await TCPSite(runner, "127.0.0.1", 0).start()
        self._runners.append(runner)
        port: int = runner.addresses[0][1]
        return port

    def _later(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _health(self, request: Request) -> Response:
        services = [{"name": name, "status": "DOWN"} for name in self.down]
        state = "DOWN" if self.down else "OK"
        return json_response({"status": state, "services": services}, status=502 if self.down else 200)

    # FSPIOP

    def _note(self, request: Request) -> None:
        self.requests.append((request.method, request.path, {k.lower(): v for k, v in request.headers.items()}))

    async def _on_post(self, request: Request) -> Response:
        self._note(request)
        raw = await request.read()
        self._later(self._prepare(json.loads(raw), raw, dict(request.headers)))
        return Response(status=202)

    async def _on_get(self, request: Request) -> Response:
        self._note(request)
        self._later(self._lookup(request.match_info["id"], request.headers["FSPIOP-Source"]))
        return Response(status=202)

    async def _on_put(self, request: Request) -> Response:
        self._note(request)
        raw = await request.read()
        self._later(self._fulfil(request.match_info["id"], json.loads(raw), raw))
        return Response(status=200)

    async def _on_put_error(self, request: Request) -> Response:
        self._note(request)
        raw = await request.read()
        code = json.loads(raw)["errorInformation"]["errorCode"]
        transfer_id = request.match_info["id"]
        kept = self.transfers[transfer_id]
        self._unwind(kept, code)
        self._later(self._send(kept.body["payeeFsp"], kept.body["payerFsp"], "PUT", f"{transfer_id}/error", raw))
        self._later(self._send(HUB, kept.body["payeeFsp"], "PUT", f"{transfer_id}/error", raw))
        return Response(status=200)

    async def _prepare(self, body: dict[str, Any], raw: bytes, headers: dict[str, str]) -> None:
        transfer_id, payer, payee = body["transferId"], body["payerFsp"], body["payeeFsp"]
        known = self.transfers.get(transfer_id)
        if known is not None:
            if known.raw != raw:
                await self._send_error(payer, transfer_id, "3106", "Modified request")
            else:
                await self._send_state(payer, transfer_id, known)
            return
        kept = self.transfers[transfer_id] = Kept(body, raw)
        if payer == payee and not self.on_us:
            kept.state, kept.cause = "ABORTED", "3100"
            await self._send_error(payer, transfer_id, "3100", "Payer FSP and Payee FSP should be different")
            return
        currency = body["amount"]["currency"]
        dfsp = self.dfsps[payer]
        position = dfsp.accounts[currency, "POSITION"]
        if -dfsp.accounts[currency, "SETTLEMENT"] - position < kept.amount:
            kept.state, kept.cause = "ABORTED", "4001"
        elif dfsp.caps[currency] - position < kept.amount and self.defect is not Defect.IGNORES_CAP:
            kept.state, kept.cause = "ABORTED", "4200"
        if kept.cause:
            await self._send_error(payer, transfer_id, kept.cause, "refused")
            return
        dfsp.accounts[currency, "POSITION"] += kept.amount
        forwarded = json.dumps(body).encode() if self.defect is Defect.REWRITES_BODY else raw
        await self._send(payer, payee, "POST", "", forwarded)
        expires = datetime.fromisoformat(body["expiration"])
        await asyncio.sleep(max(0.0, (expires - datetime.now(UTC)).total_seconds()))
        if kept.state == "RESERVED":
            self._unwind(kept, "3303")
            await self._send_error(payer, transfer_id, "3303", "Transfer expired")
            await self._send_error(payee, transfer_id, "3303", "Transfer expired")

    async def _fulfil(self, transfer_id: str, content: dict[str, Any], raw: bytes) -> None:
        kept = self.transfers[transfer_id]
        payer, payee = kept.body["payerFsp"], kept.body["payeeFsp"]
        if not is_fulfilled(kept.body["condition"], content["fulfilment"]):
            self._unwind(kept, "3100")
            await self._send_error(payer, transfer_id, "3100", "invalid fulfilment")
            await self._send_error(payee, transfer_id, "3100", "invalid fulfilment")
            return
        kept.state, kept.fulfilment = "COMMITTED", content["fulfilment"]
        lost = 1 if self.defect is Defect.CREDITS_TOO_LITTLE else 0
        self.dfsps[payee].accounts[kept.body["amount"]["currency"], "POSITION"] -= kept.amount - lost
        state = json.dumps({"transferState": "COMMITTED", "completedTimestamp": content["completedTimestamp"]}).encode()
        if content["transferState"] == "RESERVED":
            await self._send_state(payer, transfer_id, kept)
            await self._send(HUB, payee, "PATCH", transfer_id, state)
            return
        await self._send(payee, payer, "PUT", transfer_id, raw)
        if self.defect is not Defect.FORGETS_CONFIRMATION and payer != payee:
            await self._send_state(payee, transfer_id, kept)

    async def _lookup(self, transfer_id: str, requester: str) -> None:
        kept = self.transfers.get(transfer_id)
        if kept is None:
            await self._send_error(requester, transfer_id, "3208", "Transfer ID not found")
        elif requester not in (kept.body["payerFsp"], kept.body["payeeFsp"]):
            await self._send_error(requester, transfer_id, "3000", "Generic client error")
        else:
            await self._send_state(requester, transfer_id, kept)

    def _unwind(self, kept: Kept, cause: str) -> None:
        kept.state, kept.cause = "ABORTED", cause
        self.dfsps[kept.body["payerFsp"]].accounts[kept.body["amount"]["currency"], "POSITION"] -= kept.amount

    async def _send_state(self, to: str, transfer_id: str, kept: Kept) -> None:
        content: dict[str, Any] = {"transferState": kept.state}
        if kept.fulfilment:
            content["fulfilment"] = kept.fulfilment
        if kept.cause:
            content["extensionList"] = {"extension": [{"key": "cause", "value": f"{kept.cause}: some text"}]}
        await self._send(HUB, to, "PUT", transfer_id, json.dumps(content).encode())

    async def _send_error(self, to: str, transfer_id: str, code: str, text: str) -> None:
        body = {"errorInformation": {"errorCode": code, "errorDescription": text}}
        await self._send(HUB, to, "PUT", f"{transfer_id}/error", json.dumps(body).encode())

    async def _send(self, source: str, to: str, method: str, tail: str, body: bytes) -> None:
        endpoints = self.dfsps[to].endpoints
        kind = "POST" if method == "POST" else "ERROR" if tail.endswith("/error") else "PUT"
        template = endpoints[f"FSPIOP_CALLBACK_URL_TRANSFER_{kind}"]
        url = template.replace("{{transferId}}", tail.partition("/")[0])
        headers = {"Content-Type": CONTENT_TYPE, "FSPIOP-Source": source, "FSPIOP-Destination": to}
        async with self._session.request(method, url, data=body, headers=headers):
            pass
