"""Bulks as DFSPs send them: bodies, headers, and the hub's callbacks (protocol 8)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tables.bulks import BULKS
from tables.transfers import TRANSFERS
from tests.web.exchange import PAYEE, PAYER, Callback, Exchange
from tests.web.fspiop_client import FULFIL, PREPARE, Answer, Dfsp

BULK_ID = "0fbee2c2-0f9e-4c3b-8a12-3a3c52e2d6d1"
PATH = f"/bulkTransfers/{BULK_ID}"
CONTENT_TYPE = "application/vnd.interoperability.bulkTransfers+json;version=1.1"
ACCEPT = "application/vnd.interoperability.bulkTransfers+json;version=1"
FULFILMENT = FULFIL["fulfilment"]
WRONG_FULFILMENT = "A" * 43
OF_PAYER = {"FSPIOP-Source": PAYER, "FSPIOP-Destination": PAYEE, "Content-Type": CONTENT_TYPE, "Accept": ACCEPT}
OF_PAYEE = {"FSPIOP-Source": PAYEE, "FSPIOP-Destination": "Hub", "Content-Type": CONTENT_TYPE}

Headers = Mapping[str, str | None]


def item_id(number: int) -> str:
    """Return the id of an item."""
    return f"b51ec534-ee48-4575-b6a9-{number:012x}"


def item(number: int, amount: str = "10", **changes: Any) -> dict[str, Any]:
    """Return an item of a bulk; a change of None leaves the field out."""
    whole = {
        "transferId": item_id(number),
        "transferAmount": {"currency": "USD", "amount": amount},
        "ilpPacket": PREPARE["ilpPacket"],
        "condition": PREPARE["condition"],
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def bulk(items: Sequence[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    """Return the body of POST /bulkTransfers; a change of None leaves the field out."""
    whole = {
        "bulkTransferId": BULK_ID,
        "bulkQuoteId": item_id(999),
        "payerFsp": PAYER,
        "payeeFsp": PAYEE,
        "individualTransfers": list(items),
        "expiration": PREPARE["expiration"],
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def fulfilled(*numbers: int, fulfilment: str = FULFILMENT) -> list[dict[str, Any]]:
    """Return the payee's results for items that it accepts."""
    return [{"transferId": item_id(number), "fulfilment": fulfilment} for number in numbers]


def failed(number: int, code: str = "5100", description: str = "no") -> dict[str, Any]:
    """Return the payee's result for an item that it refuses, which the hub forwards."""
    return {"transferId": item_id(number), "errorInformation": {"errorCode": code, "errorDescription": description}}


async def send(dfsp: Dfsp, method: str, path: str, headers: Headers, body: Any = None) -> Answer:
    """Send a request about a bulk; a header of None is left out."""
    return await dfsp.send(method, path, headers, None if body is None else json.dumps(body).encode())


async def post(exchange: Exchange, *items: dict[str, Any], headers: Headers | None = None, **changes: Any) -> Answer:
    """POST /bulkTransfers by the payer."""
    return await send(exchange.dfsp, "POST", "/bulkTransfers", {**OF_PAYER, **(headers or {})}, bulk(items, **changes))


async def put(
    exchange: Exchange, results: Sequence[dict[str, Any]], headers: Headers | None = None, **changes: Any
) -> Answer:
    """PUT /bulkTransfers/{ID} by the payee."""
    body = {"bulkTransferState": "COMPLETED", "individualTransferResults": list(results), **changes}
    return await send(exchange.dfsp, "PUT", PATH, {**OF_PAYEE, **(headers or {})}, body)


async def put_error(
    exchange: Exchange, code: str = "5100", description: str = "no", headers: Headers | None = None
) -> Answer:
    """PUT /bulkTransfers/{ID}/error by the payee."""
    body = {"errorInformation": {"errorCode": code, "errorDescription": description}}
    return await send(exchange.dfsp, "PUT", f"{PATH}/error", {**OF_PAYEE, **(headers or {})}, body)


async def get(exchange: Exchange, source: str) -> Answer:
    """Send GET /bulkTransfers/{ID} as `source`."""
    return await send(exchange.dfsp, "GET", PATH, {**OF_PAYER, "FSPIOP-Source": source})


def bulk_callback(receiver: str, state: str, *results: dict[str, Any], completed: str | None = "any") -> Callback:
    """Return the hub's PUT /bulkTransfers/{ID}; with `completed` None it has no completedTimestamp."""
    body: dict[str, Any] = {"bulkTransferState": state, "individualTransferResults": list(results)}
    if completed is not None:
        body["completedTimestamp"] = completed
    return Callback(receiver, "Hub", "PUT", PATH, body)


def bulk_error_callback(receiver: str, code: str, description: str) -> Callback:
    """Return the hub's PUT /bulkTransfers/{ID}/error."""
    information = {"errorCode": code, "errorDescription": description}
    return Callback(receiver, "Hub", "PUT", f"{PATH}/error", {"errorInformation": information})


def callbacks_of(exchange: Exchange) -> list[Callback]:
    """Return the callbacks since the last call, with every completedTimestamp replaced by "any"."""
    callbacks = exchange.callbacks()
    for one in callbacks:
        if "completedTimestamp" in one.body:
            one.body["completedTimestamp"] = "any"
    return callbacks


async def accepted(exchange: Exchange, *numbers: int) -> None:
    """Send a bulk whose items, of 10 each, are all reserved."""
    assert 202 == (await post(exchange, *(item(number) for number in numbers))).status
    expected = bulk([item(number) for number in numbers])
    assert [Callback(PAYEE, "Hub", "POST", "/bulkTransfers", expected)] == callbacks_of(exchange)
    assert (10 * len(numbers), 0) == await exchange.positions()


def states(exchange: Exchange) -> dict[str, str]:
    """Return the items' states by id, from all partitions."""
    rows = [row for view in exchange.hub.views for row in view.rows(TRANSFERS).values()]
    return {row.transfer_id: row.state.value for row in rows if row.kind == "transfer"}


def tally(exchange: Exchange) -> tuple[str, int, int, int, int, int]:
    """Return the bulk's state and counters."""
    (row,) = [row for view in exchange.hub.views for row in view.rows(BULKS).values()]
    counted = row.tally
    return row.state.value, counted.refused, counted.pending, counted.committed, counted.aborted, counted.expired
