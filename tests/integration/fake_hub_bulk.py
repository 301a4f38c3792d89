"""Bulk transfers in the fake hub: an item moves money when the payee fulfils it; nothing is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from aiohttp import ClientSession
from aiohttp.web import Application, Request, Response

from clearinghub.tools.client.money import units
from tests.integration.fake_hub_admin import HUB, Dfsp

CONTENT_TYPE = "application/vnd.interoperability.bulkTransfers+json;version=1.1"


class FakeBulks:
    def __init__(self, dfsps: Mapping[str, Dfsp], *, forgets_a_line: bool) -> None:
        self._dfsps = dfsps
        self._forgets_a_line = forgets_a_line
        self._bulks: dict[str, dict[str, Any]] = {}
        self._results: dict[str, dict[str, Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def add_routes(self, application: Application, session: ClientSession) -> None:
        self._session = session
        application.router.add_post("/bulkTransfers", self._on_post)
        application.router.add_put("/bulkTransfers/{id}", self._on_put)
        application.router.add_get("/bulkTransfers/{id}", self._on_get)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _on_post(self, request: Request) -> Response:
        bulk = await request.json()
        self._bulks[bulk["bulkTransferId"]] = bulk
        self._tell(bulk["payeeFsp"], "POST", "", bulk)
        return Response(status=202)

    async def _on_put(self, request: Request) -> Response:
        bulk_id, answer = request.match_info["id"], await request.json()
        bulk = self._bulks[bulk_id]
        amounts = {line["transferId"]: line["transferAmount"] for line in bulk["individualTransfers"]}
        results = answer["individualTransferResults"][1 if self._forgets_a_line else 0 :]
        for result in results:
            amount = amounts[result["transferId"]]
            moved = units(amount["amount"])
            self._dfsps[bulk["payerFsp"]].accounts[amount["currency"], "POSITION"] += moved
            self._dfsps[bulk["payeeFsp"]].accounts[amount["currency"], "POSITION"] -= moved
        self._results[bulk_id] = {"bulkTransferState": "COMPLETED", "individualTransferResults": results}
        for fsp in (bulk["payerFsp"], bulk["payeeFsp"]):
            self._tell(fsp, "PUT", bulk_id, self._results[bulk_id])
        return Response(status=200)

    async def _on_get(self, request: Request) -> Response:
        bulk_id = request.match_info["id"]
        self._tell(request.headers["FSPIOP-Source"], "PUT", bulk_id, self._results[bulk_id])
        return Response(status=202)

    def _tell(self, fsp: str, method: str, bulk_id: str, content: Mapping[str, Any]) -> None:
        template = self._dfsps[fsp].endpoints[f"FSPIOP_CALLBACK_URL_BULK_TRANSFER_{method}"]
        task = asyncio.create_task(self._deliver(fsp, method, template.replace("{{id}}", bulk_id), content))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, fsp: str, method: str, url: str, content: Mapping[str, Any]) -> None:
        headers = {"Content-Type": CONTENT_TYPE, "FSPIOP-Source": HUB, "FSPIOP-Destination": fsp}
        body = json.dumps(content).encode()
        async with self._session.request(method, url, data=body, headers=headers):
            pass
