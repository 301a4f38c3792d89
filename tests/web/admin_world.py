"""The admin surface of a hub in memory, over real HTTP, and the operators who use it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from clearinghub.config import Settings
from clearinghub.features import HIGHEST_LEVEL
from tests.in_memory_hub import PARTITIONS, START_MS, InMemoryHub
from tests.in_memory_ports import InMemoryPorts, admin_app

NOW_MS = START_MS
MODEL = {
    "name": "DEFERREDNETUSD",
    "settlementGranularity": "NET",
    "settlementInterchange": "MULTILATERAL",
    "settlementDelay": "DEFERRED",
    "currency": "USD",
    "requireLiquidityCheck": True,
    "ledgerAccountType": "POSITION",
    "settlementAccountType": "SETTLEMENT",
    "autoPositionReset": True,
}
LIMIT = {"currency": "USD", "limit": {"type": "NET_DEBIT_CAP", "value": 1000}, "initialPosition": 0}
FUNDS_ID = "b51ec534-ee48-4575-b6a9-ead2955b8069"


@dataclass(frozen=True)
class Answer:
    """An answer of the admin API; fractions in its JSON are Decimals."""

    status: int
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text, parse_float=Decimal)

    @property
    def error(self) -> tuple[int, str, str]:
        information = self.json["errorInformation"]
        return self.status, information["errorCode"], information["errorDescription"]


class Operator:
    """An operator at the admin API, with short cuts for the set-up of tests."""

    def __init__(self, client: TestClient[Any, Any], hub: InMemoryHub, ports: InMemoryPorts) -> None:
        self.client = client
        self.hub = hub
        self.ports = ports

    async def send(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        if body is not None:
            options["json"] = body
        async with self.client.request(method, path, **options) as response:
            return Answer(response.status, await response.text())

    async def get(self, path: str) -> Answer:
        return await self.send("GET", path)

    async def post(self, path: str, body: Any) -> Answer:
        return await self.send("POST", path, body)

    async def put(self, path: str, body: Any) -> Answer:
        return await self.send("PUT", path, body)

    def events(self) -> list[dict[str, Any]]:
        """Return all records of topic `events`."""
        return [json.loads(one.value) for one in self.hub.written["events"]]

    async def hub_accounts(self, currency: str = "USD") -> None:
        for kind in ("HUB_MULTILATERAL_SETTLEMENT", "HUB_RECONCILIATION"):
            answer = await self.post("/participants/Hub/accounts", {"currency": currency, "type": kind})
            assert 201 == answer.status, answer.text

    async def currency(self) -> None:
        """Open the hub's accounts and add a settlement model for USD."""
        await self.hub_accounts()
        answer = await self.post("/settlementModels", MODEL)
        assert (201, "") == (answer.status, answer.text)

    async def dfsp(self, name: str = "dfsp", *, limit: bool = True) -> None:
        """Register a DFSP with USD and, with `limit`, a net debit cap of 1000."""
        answer = await self.post("/participants", {"name": name, "currency": "USD"})
        assert 201 == answer.status, answer.text
        if limit:
            answer = await self.post(f"/participants/{name}/initialPositionAndLimits", LIMIT)
            assert (201, "") == (answer.status, answer.text)

    async def account(self, kind: str, name: str = "dfsp", currency: str = "USD") -> dict[str, Any]:
        accounts = (await self.get(f"/participants/{name}/accounts")).json
        (found,) = (one for one in accounts if (one["ledgerAccountType"], one["currency"]) == (kind, currency))
        result: dict[str, Any] = found
        return result

    async def funds(self, action: str, amount: Any, transfer_id: str = FUNDS_ID, changes: Any = None) -> Answer:
        """Record funds on the SETTLEMENT account of `dfsp`."""
        account_id = (await self.account("SETTLEMENT"))["id"]
        return await self.post(
            f"/participants/dfsp/accounts/{account_id}", funds(action, amount, transfer_id) | (changes or {})
        )

    async def balances(self) -> tuple[Any, Any]:
        """Return the values of the DFSP's SETTLEMENT account and of the hub's reconciliation account."""
        settlement = await self.account("SETTLEMENT")
        return settlement["value"], (await self.account("HUB_RECONCILIATION", "Hub"))["value"]


def funds(action: str, amount: Any, transfer_id: str = FUNDS_ID) -> dict[str, Any]:
    """Return the body that records funds."""
    return {
        "transferId": transfer_id,
        "externalReference": "bank-7",
        "action": action,
        "reason": "test",
        "amount": {"amount": amount, "currency": "USD"},
        "extensionList": {"extension": [{"key": "k", "value": "v"}]},
    }


@asynccontextmanager
async def an_operator(*, highest_level: int = HIGHEST_LEVEL, **settings: Any) -> AsyncIterator[Operator]:
    """Yield an operator at a hub that is not set up."""
    hub = InMemoryHub(Settings(**{"partitions": PARTITIONS, **settings}), highest_level=highest_level)
    ports = InMemoryPorts(hub)
    async with TestClient(TestServer(admin_app(hub, ports))) as client:
        yield Operator(client, hub, ports)
