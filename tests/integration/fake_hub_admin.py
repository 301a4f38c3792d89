"""The admin API of the fake hub: participants, limits, endpoints, accounts and funds in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from aiohttp.typedefs import Handler
from aiohttp.web import Application, Request, Response, StreamResponse, json_response, middleware

from clearinghub.domain.money import format_amount
from clearinghub.tools.client.money import units

HUB = "Hub"


class Fault(Enum):
    """What happens to an admin request while the ledger is not ready."""

    UNAVAILABLE = "unavailable"
    ANSWER_LOST = "answer-lost"


@dataclass
class Dfsp:
    accounts: dict[tuple[str, str], int] = field(default_factory=dict)
    ids: dict[tuple[str, str], int] = field(default_factory=dict)
    caps: dict[str, int] = field(default_factory=dict)
    endpoints: dict[str, str] = field(default_factory=dict)


class FakeAdmin:
    """`writes` are the paths of POST requests; each of the next POSTs fails by the next of `faults`."""

    def __init__(self) -> None:
        self.dfsps: dict[str, Dfsp] = {HUB: Dfsp()}
        self.models: list[dict[str, Any]] = []
        self.writes: list[str] = []
        self.faults: list[Fault] = []
        self.refuses_participants = False

    def application(self) -> Application:
        admin = Application(middlewares=[self._with_faults])
        admin.router.add_post("/participants", self._create)
        admin.router.add_get("/settlementModels", self._get_models)
        admin.router.add_post("/settlementModels", self._create_model)
        admin.router.add_get("/participants/{name}/{what}", self._read)
        admin.router.add_post("/participants/{name}/{what}", self._write)
        admin.router.add_post("/participants/{name}/accounts/{id}", self._funds_in)
        return admin

    @middleware
    async def _with_faults(self, request: Request, handler: Handler) -> StreamResponse:
        fault = self.faults.pop(0) if self.faults and request.method == "POST" else None
        if fault is Fault.UNAVAILABLE:
            return json_response({"errorInformation": {"errorCode": "2003"}}, status=503)
        response = await handler(request)
        if fault is Fault.ANSWER_LOST:
            return json_response({"errorInformation": {"errorCode": "2004"}}, status=504)
        return response

    async def _create(self, request: Request) -> Response:
        body = await request.json()
        self.writes.append(f"participant {body['name']}")
        if self.refuses_participants:
            error = {"errorCode": "6000", "errorDescription": "Unable to find a matching or default, Settlement Model"}
            return json_response({"errorInformation": error}, status=400)
        dfsp = self.dfsps.setdefault(body["name"], Dfsp())
        for account_type in ("POSITION", "SETTLEMENT"):
            self._open(dfsp, body["currency"], account_type)
        return json_response({"name": body["name"]}, status=201)

    def _open(self, dfsp: Dfsp, currency: str, account_type: str) -> None:
        dfsp.accounts[currency, account_type] = 0
        dfsp.ids[currency, account_type] = sum(len(each.ids) for each in self.dfsps.values()) + 1

    async def _get_models(self, request: Request) -> Response:
        return json_response(self.models)

    async def _create_model(self, request: Request) -> Response:
        body = await request.json()
        self.writes.append(f"model {body['name']}")
        self.models.append({**body, "isActive": True})
        return Response(status=201)

    async def _read(self, request: Request) -> Response:
        dfsp = self.dfsps.get(request.match_info["name"])
        if dfsp is None:
            return json_response({"errorInformation": {"errorCode": "3200"}}, status=400)
        match request.match_info["what"]:
            case "accounts":
                text = ",".join(
                    f'{{"id":{dfsp.ids[key]},"currency":"{key[0]}","ledgerAccountType":"{key[1]}",'
                    f'"isActive":1,"value":{format_amount(value)},"reservedValue":0,'
                    f'"changedDate":"2026-01-01T00:00:00.000Z"}}'
                    for key, value in dfsp.accounts.items()
                )
                return Response(text=f"[{text}]", content_type="application/json")
            case "limits":
                cap = dfsp.caps.get(request.query["currency"])
                return json_response([] if cap is None else [{"limit": {"value": cap // 10_000}}])
            case _:
                return json_response([{"type": kind, "value": value} for kind, value in dfsp.endpoints.items()])

    async def _write(self, request: Request) -> Response:
        dfsp = self.dfsps[request.match_info["name"]]
        body = await request.json()
        self.writes.append(f"{request.match_info['what']} {request.match_info['name']} {body.get('type', '')}")
        match request.match_info["what"]:
            case "accounts":
                self._open(dfsp, body["currency"], body["type"])
            case "initialPositionAndLimits":
                dfsp.caps[body["currency"]] = units(body["limit"]["value"])
            case _:
                dfsp.endpoints[body["type"]] = body["value"]
        return Response(status=201)

    async def _funds_in(self, request: Request) -> Response:
        body = await request.json()
        self.writes.append(f"funds {request.match_info['name']}")
        currency, amount = body["amount"]["currency"], units(body["amount"]["amount"])
        self.dfsps[request.match_info["name"]].accounts[currency, "SETTLEMENT"] -= amount
        self.dfsps[HUB].accounts[currency, "HUB_RECONCILIATION"] += amount
        return Response(status=202)
