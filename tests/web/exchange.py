"""Both surfaces of a hub in memory, over real HTTP, and the callbacks to DFSPs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiohttp.test_utils import TestClient

from tests.fakes import Emitted, FakeHealth, fields_of
from tests.in_memory_hub import InMemoryHub
from tests.web.admin_world import Operator, an_operator
from tests.web.fspiop_client import (
    CONTENT_TYPE,
    ERROR,
    FULFIL,
    NOW_MS,
    TRANSFER_ID,
    Answer,
    Dfsp,
    HubServer,
)

PAYER, PAYEE, STRANGER = "payerfsp", "payeefsp", "otherfsp"
AFTER_EXPIRY_MS = 4 * 3_600_000
OF_PAYEE = {"FSPIOP-Source": PAYEE, "FSPIOP-Destination": PAYER, "Content-Type": CONTENT_TYPE}


class Callback(NamedTuple):
    """A callback to a DFSP, as it was sent."""

    receiver: str
    source: str
    method: str
    path: str
    body: Any


@dataclass
class Exchange:
    """A hub with a payer, a payee and a third DFSP."""

    dfsp: Dfsp
    operator: Operator
    hub: InMemoryHub

    async def post(self, source: str = PAYER, **changes: Any) -> Answer:
        """POST /transfers with a good body but for `changes`."""
        return await self.dfsp.post({"FSPIOP-Source": source}, **changes)

    async def put(self, headers: dict[str, str] | None = None, **changes: Any) -> Answer:
        """PUT /transfers/{ID} by the payee; a change of None leaves the field out."""
        body = {name: value for name, value in {**FULFIL, **changes}.items() if value is not None}
        path = f"/transfers/{TRANSFER_ID}"
        return await self.dfsp.send("PUT", path, {**OF_PAYEE, **(headers or {})}, json.dumps(body).encode())

    async def put_error(self, code: str = "5100", description: str = "Payee rejected") -> Answer:
        """PUT /transfers/{ID}/error by the payee."""
        body = {"errorInformation": {**ERROR["errorInformation"], "errorCode": code, "errorDescription": description}}
        return await self.dfsp.send("PUT", f"/transfers/{TRANSFER_ID}/error", OF_PAYEE, json.dumps(body).encode())

    async def get(self, source: str = PAYER, transfer_id: str = TRANSFER_ID) -> Answer:
        """Send GET /transfers/{ID} as `source`."""
        return await self.dfsp.send("GET", f"/transfers/{transfer_id}", {"FSPIOP-Source": source})

    def callbacks(self) -> list[Callback]:
        """Return the callbacks since the last call."""
        return [callback_of(one) for one in self.hub.new_records("notification")]

    def notifications(self) -> list[dict[str, Any]]:
        """Return the notifications since the last call, with all their fields."""
        return [one.header for one in self.hub.new_records("notification")]

    def expire(self) -> None:
        """Move the clock past the transfer's expiry; no punctuator has run."""
        self.hub.now_ms += AFTER_EXPIRY_MS

    async def positions(self) -> tuple[Any, Any]:
        """Return the positions of the payer and of the payee."""
        payer, payee = [await self.operator.account("POSITION", name) for name in (PAYER, PAYEE)]
        return payer["value"], payee["value"]


def callback_of(notification: Emitted) -> Callback:
    """Return a record of topic `notification` as its receiver sees it."""
    line, body = fields_of(notification.value)
    return Callback(line["receiver"], line["source"], line["method"], line["path"], json.loads(body) if body else None)


def error_callback(receiver: str, code: str, description: str, extensions: Any = None) -> Callback:
    """Return the hub's own PUT /transfers/{ID}/error."""
    information = {"errorCode": code, "errorDescription": description}
    if extensions is not None:
        information["extensionList"] = extensions
    return Callback(receiver, "Hub", "PUT", f"/transfers/{TRANSFER_ID}/error", {"errorInformation": information})


def state_callback(receiver: str, method: str = "PUT", **body: Any) -> Callback:
    """Return the hub's own PUT or PATCH /transfers/{ID}."""
    return Callback(receiver, "Hub", method, f"/transfers/{TRANSFER_ID}", body)


@asynccontextmanager
async def an_exchange(**settings: Any) -> AsyncIterator[Exchange]:
    """Yield an exchange whose DFSPs each have a cap and funds of 1000; the clock of its FSPIOP surface is stopped."""
    async with an_operator(**settings) as operator:
        await operator.currency()
        for number, name in enumerate((PAYER, PAYEE, STRANGER)):
            await operator.dfsp(name)
            await fund(operator, name, 1000, f"b51ec534-ee48-4575-b6a9-ead2955b807{number}")
        hub = operator.hub
        hub.records.clear()
        hub.written.clear()
        async with TestClient(HubServer(hub.fspiop_app(now_ms=lambda: NOW_MS))) as http:
            yield Exchange(Dfsp(http, hub, FakeHealth(), hub.participants), operator, hub)


async def fund(operator: Operator, name: str, amount: int, transfer_id: str, action: str = "recordFundsIn") -> None:
    """Record funds in, or by `action` out."""
    account = await operator.account("SETTLEMENT", name)
    body = {
        "transferId": transfer_id,
        "externalReference": "bank",
        "action": action,
        "reason": "test",
        "amount": {"amount": amount, "currency": "USD"},
    }
    answer = await operator.post(f"/participants/{name}/accounts/{account['id']}", body)
    assert 202 == answer.status, answer.text
