"""What the fake hub forwards before transfers: lookups, quotes, requests to pay, authorizations."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from aiohttp import ClientSession
from aiohttp.web import Application, Request, Response

from tests.integration.fake_hub_admin import HUB, Dfsp

BASES = {
    "quotes": "QUOTES",
    "bulkQuotes": "BULK_QUOTES",
    "transactionRequests": "TRX_REQ_SERVICE",
    "authorizations": "AUTHORIZATIONS",
}


class FakeRelay:
    """`parties` has the DFSP of each party by its path; with `refuses_parties` no party is found."""

    def __init__(self, dfsps: Mapping[str, Dfsp], *, rewrites_answers: bool) -> None:
        self.parties: dict[str, str] = {}
        self.refuses_parties = False
        self._dfsps = dfsps
        self._rewrites_answers = rewrites_answers
        self._tasks: set[asyncio.Task[None]] = set()

    def add_routes(self, application: Application, session: ClientSession) -> None:
        self._session = session
        application.router.add_post("/participants", self._on_batch)
        application.router.add_route("*", "/parties/{path:.+}", self._on_party)
        application.router.add_route("*", f"/{{resource:{'|'.join(BASES)}}}{{rest:(/.*)?}}", self._on_agreement)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _on_batch(self, request: Request) -> Response:
        if self.refuses_parties:
            return Response(status=400)
        body, source = await request.json(), request.headers["FSPIOP-Source"]
        for one in body["partyList"]:
            names = ("partyIdType", "partyIdentifier", "partySubIdOrType")
            self.parties["/".join(one[name] for name in names if name in one)] = one["fspId"]
        results = {"partyList": [{"partyId": one} for one in body["partyList"]]}
        url = self._dfsps[source].endpoints["FSPIOP_CALLBACK_URL_PARTICIPANT_BATCH_PUT"]
        headers = {"FSPIOP-Source": HUB, "FSPIOP-Destination": source}
        self._send("PUT", url.replace("{{requestId}}", body["requestId"]), json.dumps(results).encode(), headers)
        return Response(status=202)

    async def _on_party(self, request: Request) -> Response:
        if self.refuses_parties:
            return Response(status=400)
        path, raw = request.match_info["path"], await request.read()
        if request.method == "GET":
            owner, kind = self.parties.get(path), "GET"
            if owner is None:
                source = request.headers["FSPIOP-Source"]
                error = {"errorInformation": {"errorCode": "3204", "errorDescription": "Party not found"}}
                headers = {"FSPIOP-Source": HUB, "FSPIOP-Destination": source}
                self._send("PUT", f"{self._base(source, 'GET')}/{path}/error", json.dumps(error).encode(), headers)
                return Response(status=202)
        else:
            owner, kind = request.headers["FSPIOP-Destination"], "PUT"
        self._send(request.method, f"{self._base(owner, kind)}/{path}", raw, _passed_on(request, owner))
        return Response(status=202 if kind == "GET" else 200)

    def _base(self, fsp: str, kind: str) -> str:
        return self._dfsps[fsp].endpoints[f"FSPIOP_CALLBACK_URL_PARTIES_{kind}"].partition("/{{")[0]

    async def _on_agreement(self, request: Request) -> Response:
        raw, destination = await request.read(), request.headers["FSPIOP-Destination"]
        if self._rewrites_answers and request.method == "PUT":
            raw = json.dumps(json.loads(raw)).encode()
        base = self._dfsps[destination].endpoints[f"FSPIOP_CALLBACK_URL_{BASES[request.match_info['resource']]}"]
        self._send(request.method, base + request.path_qs, raw, _passed_on(request, destination))
        return Response(status=200 if request.method == "PUT" else 202)

    def _send(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        task = asyncio.create_task(self._deliver(method, url, body, headers))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        async with self._session.request(method, url, data=body or None, headers=headers):
            pass


def _passed_on(request: Request, destination: str) -> dict[str, Any]:
    """Return the sender's headers with the destination set."""
    names = ("Content-Type", "Accept", "Date", "FSPIOP-Source")
    kept = {name: request.headers[name] for name in names if name in request.headers}
    return {**kept, "FSPIOP-Destination": destination}
