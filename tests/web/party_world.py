"""Common parts of the tests of /parties and /participants: an exchange, and good requests with changes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.web.exchange import PAYEE, PAYER, STRANGER, Callback, Exchange, an_exchange
from tests.web.fspiop_client import DATE, Answer

ID = "/MSISDN/27710101999"
SUB = f"{ID}/100"
PARTY = {"party": {"partyIdInfo": {"partyIdType": "MSISDN", "partyIdentifier": "27710101999", "fspId": PAYEE}}}
ERROR = {"errorInformation": {"errorCode": "3204", "errorDescription": "Party not found"}}
REQUEST_ID = "b51ec534-ee48-4575-b6a9-ead2955b8069"
NOT_FOUND = ("3204", "Party not found")
NO_PROXY = ("3204", "Party not found - No proxy found to start inter-scheme discovery flow")
UNREQUESTED = ("3100", "Generic validation error - FSPIOP-Destination has not asked FSPIOP-Source for this")
NO_DESTINATION = ("3201", "Destination FSP Error - Destination FSP not found")


def media(resource: str, version: str = "1.1") -> str:
    """Return the media type of a resource."""
    return f"application/vnd.interoperability.{resource}+json;version={version}"


class PartyDfsps:
    """The DFSPs of an exchange and their requests about parties."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    async def send(
        self,
        method: str,
        path: str,
        source: str = PAYER,
        body: Any = None,
        headers: dict[str, str | None] | None = None,
    ) -> Answer:
        """Send a request; a header of None is left out."""
        resource = path.split("/")[1].partition("?")[0]
        usual: dict[str, str | None] = {
            "Accept": media(resource, "1") if method != "PUT" else None,
            "Content-Type": media(resource),
            "Date": DATE,
            "FSPIOP-Source": source,
            "FSPIOP-Destination": None,
        }
        data = None if body is None else json.dumps(body).encode()
        return await self.exchange.dfsp.send(method, path, {**usual, **(headers or {})}, data)

    async def callbacks_of(
        self, method: str, path: str, source: str = PAYER, body: Any = None, **headers: str
    ) -> list[Callback]:
        """Send a request that is accepted, and return the callbacks that follow."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await self.send(method, path, source, body, dict(named))
        assert (200 if method == "PUT" else 202, b"") == (answer.status, answer.body), answer.body
        return self.exchange.callbacks()

    async def register(self, path: str = ID, fsp: str = PAYEE, currency: str | None = None) -> list[Callback]:
        """POST /participants..., by the FSP itself."""
        body = {"fspId": fsp} | ({} if currency is None else {"currency": currency})
        return await self.callbacks_of("POST", f"/participants{path}", fsp, body)

    async def oracle(self, id_type: str = "MSISDN", currency: str | None = None, *, is_default: bool = False) -> None:
        """Register an external oracle by the admin API."""
        endpoint = {"value": "http://oracle:80/", "endpointType": "URL"}
        body: dict[str, Any] = {"oracleIdType": id_type, "endpoint": endpoint}
        body |= {"isDefault": is_default} | ({} if currency is None else {"currency": currency})
        answer = await self.exchange.operator.post("/oracles", body)
        assert (201, "") == (answer.status, answer.text)


def error_of(path: str, code: str, description: str, receiver: str = PAYER) -> list[Callback]:
    """Return the single callback with which the hub reports an error."""
    information = {"errorCode": code, "errorDescription": description}
    return [Callback(receiver, "Hub", "PUT", f"{path}/error", {"errorInformation": information})]


def hub_put(path: str, body: Any, receiver: str = PAYER) -> list[Callback]:
    """Return the single callback with which the hub reports a success."""
    return [Callback(receiver, "Hub", "PUT", path, body)]


@asynccontextmanager
async def party_dfsps(**settings: Any) -> AsyncIterator[PartyDfsps]:
    """Yield a payer, a payee and a third DFSP at a hub."""
    async with an_exchange(**settings) as exchange:
        yield PartyDfsps(exchange)


__all__ = ["ERROR", "ID", "PARTY", "PAYEE", "PAYER", "STRANGER", "SUB"]
