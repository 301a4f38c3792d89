"""What came with a request goes with its answers: its trace, on every callback that follows from it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from clearinghub.callbacks.headers import outbound_headers
from clearinghub.callbacks.notification import Notification
from tests.web.agreement_bodies import ID as QUOTE_ID
from tests.web.agreement_bodies import QUOTE
from tests.web.bulk_exchange import BULK_ID, bulk, item
from tests.web.exchange import AFTER_EXPIRY_MS, OF_PAYEE, PAYEE, PAYER, Exchange, an_exchange
from tests.web.fspiop_client import ERROR, FULFIL, TRANSFER_ID
from tests.web.matrix import media

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
STATE = "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"
TRACE = {"traceparent": PARENT, "tracestate": STATE}
PATH = f"/transfers/{TRANSFER_ID}"
UNKNOWN = "b51ec534-ee48-4575-b6a9-ead2955b8999"


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    async with an_exchange() as one:
        yield one


def traces(exchange: Exchange) -> list[tuple[str, str | None, str | None]]:
    """Return the source and the trace of each callback since the last call, as its receiver gets it."""
    found = []
    for one in exchange.hub.new_records("notification"):
        message = Notification.parse(one.value).message
        headers = outbound_headers(message, hub_name="Hub", content_version="1.1", now_ms=0)
        assert isinstance(headers, dict)
        found.append((message.source, headers.get("traceparent"), headers.get("tracestate")))
    return found


async def send(exchange: Exchange, method: str, path: str, source: str, body: Any = None) -> None:
    resource = path.split("/")[1]
    destination = None if resource == "parties" else PAYEE  # who has a party is not known yet
    headers = {**TRACE, "FSPIOP-Source": source, "FSPIOP-Destination": destination}
    headers |= {"Content-Type": media(resource, "1.1"), "Accept": media(resource, "1")}
    data = None if body is None else json.dumps(body).encode()
    answer = await exchange.dfsp.send(method, path, {**headers, **({"Accept": None} if method == "PUT" else {})}, data)
    assert answer.status in (200, 202), answer.body


async def test_every_callback_of_a_transfer_has_the_trace_of_its_cause(exchange: Exchange) -> None:
    await exchange.dfsp.post(TRACE)
    assert [(PAYER, PARENT, STATE)] == traces(exchange)
    await exchange.dfsp.send("PUT", PATH, {**OF_PAYEE, **TRACE}, json.dumps(FULFIL).encode())
    assert [(PAYEE, PARENT, STATE), ("Hub", PARENT, STATE)] == traces(exchange)
    await exchange.dfsp.post(TRACE)  # again: the hub answers with its state
    assert [("Hub", PARENT, STATE)] == traces(exchange)


async def test_a_refusal_has_the_trace_of_what_is_refused(exchange: Exchange) -> None:
    await exchange.dfsp.post(TRACE, payeeFsp="nobody")
    assert [("Hub", PARENT, STATE)] == traces(exchange)


async def test_expiry_has_the_trace_of_the_prepare(exchange: Exchange) -> None:
    await exchange.dfsp.post(TRACE)
    exchange.callbacks()
    exchange.hub.now_ms += AFTER_EXPIRY_MS
    exchange.hub.punctuate()
    assert [("Hub", PARENT, STATE)] * 2 == traces(exchange)


async def test_a_bulk_and_its_expiry_have_the_trace_of_its_prepare(exchange: Exchange) -> None:
    await send(exchange, "POST", "/bulkTransfers", PAYER, bulk([item(1), item(2)]))
    assert [("Hub", PARENT, STATE)] == traces(exchange)
    exchange.hub.now_ms += AFTER_EXPIRY_MS
    exchange.hub.punctuate()
    assert [("Hub", PARENT, STATE)] * 2 == traces(exchange)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"/transfers/{UNKNOWN}", None),
        ("GET", f"/bulkTransfers/{BULK_ID}", None),
        ("GET", "/parties/MSISDN/27713803912", None),
        ("GET", "/participants/MSISDN/27713803912", None),
        ("POST", "/quotes", QUOTE),
        ("GET", f"/quotes/{QUOTE_ID}", None),
        ("PUT", f"/transfers/{UNKNOWN}/error", ERROR),
        ("PUT", f"/bulkTransfers/{UNKNOWN}/error", ERROR),
    ],
)
async def test_the_hubs_own_answer_has_the_trace_of_the_request(
    exchange: Exchange, method: str, path: str, body: Any
) -> None:
    await send(exchange, method, path, PAYER, body)
    assert [("Hub", PARENT, STATE)] == traces(exchange)


async def test_a_batch_of_parties_has_the_trace_of_its_request(exchange: Exchange) -> None:
    parties = [
        {"partyIdType": "MSISDN", "partyIdentifier": f"2771380391{number}", "fspId": PAYER} for number in range(5)
    ]
    await send(exchange, "POST", "/participants", PAYER, {"requestId": UNKNOWN, "partyList": parties})
    assert [("Hub", PARENT, STATE)] == traces(exchange)
