"""The audit of a real hub after payments and funds of all kinds, and of one with forged records."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp.test_utils import TestServer
from aiohttp.web import Application, Request, Response
from aiokafka import AIOKafkaProducer

from clearinghub.tools.audit.rules import Rule
from sandbox.dfsp.behaviour import Behaviour
from sandbox.dfsp.messages import Callback
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp
from sandbox.scheme import Scheme
from tests.commands import run_aside
from tests.integration.hub_under_test import (
    CURRENCY,
    HubUnderTest,
    request,
    running_hub,
    scheme_of,
)

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]
UNIT = 10_000
AUDIT_WITHIN_S = 60
NOTHING_SETTLED = {Rule.WINDOW_NETS.label, Rule.SETTLEMENT.label}
MIX = (
    (Behaviour.COMMIT, "PUT COMMITTED"),
    (Behaviour.RESERVE, "PUT COMMITTED"),
    (Behaviour.REJECT, "ERROR 5105"),
    (Behaviour.WRONG_FULFILMENT, "ERROR 3100"),
    (Behaviour.SILENT, "ERROR 3303"),
)


async def audited(hub: HubUnderTest, *options: str) -> tuple[int, str]:
    """Run the command; return its exit code and stdout."""
    ended = await run_aside(hub.environment, "audit", *options, within_s=AUDIT_WITHIN_S)
    assert not ended.said, ended.said
    return ended.code, ended.out


async def report(hub: HubUnderTest, *options: str) -> tuple[int, Any]:
    code, out = await audited(hub, "--json", *options)
    return code, json.loads(out)


def broken(document: Any) -> dict[str, list[str]]:
    """Return the broken rules, each with those who break it."""
    return {rule["name"]: [one["subject"] for one in rule["shown"]] for rule in document["rules"] if rule["violations"]}


def _is(label: str, callback: Callback) -> bool:
    return callback.label == label


async def play(payer: SimulatedDfsp, payee: SimulatedDfsp) -> None:
    """Send one transfer of each kind in both directions, and wait for the ends."""
    waits = []
    for source, target in ((payer, payee), (payee, payer)):
        for behaviour, label in MIX:
            lifetime_s = 2 if behaviour is Behaviour.SILENT else 30
            order = source.order(target, 3 * UNIT, CURRENCY, behaviour=behaviour, lifetime_s=lifetime_s)
            await source.post_transfer(order)
            if behaviour is Behaviour.COMMIT:
                await source.post_transfer(order)  # again
            waits.append(source.wait_for(order.transfer_id, partial(_is, label), timeout_s=15))
    refused = payer.order(payee, 10_000_000 * UNIT, CURRENCY)
    await payer.post_transfer(refused)
    waits.append(payer.wait_for(refused.transfer_id, lambda one: one.label.startswith("ERROR 4"), timeout_s=15))
    await asyncio.gather(*waits)


async def move_funds(hub: HubUnderTest, scheme: Scheme, name: str) -> None:
    """Record funds in, and funds out: committed, aborted, still reserved, and more than there is."""
    account = await scheme.admin.account(name, CURRENCY, "SETTLEMENT")
    assert account is not None
    path = f"{hub.urls.admin}/participants/{name}/accounts/{account.account_id}"

    async def send(method: str, url: str, body: dict[str, Any]) -> None:
        status, answer = await request(method, url, orjson.dumps(body), {"Content-Type": "application/json"})
        assert 202 == status, answer

    async def ask(action: str, amount: int) -> str:
        transfer_id = str(uuid.uuid4())
        await send(
            "POST",
            path,
            {
                "transferId": transfer_id,
                "externalReference": "r",
                "action": action,
                "reason": "test",
                "amount": {"amount": amount, "currency": CURRENCY},
            },
        )
        return transfer_id

    await ask("recordFundsIn", 50)
    for completion in ("recordFundsOutCommit", "recordFundsOutAbort"):
        transfer_id = await ask("recordFundsOutPrepareReserve", 7)
        await send("PUT", f"{path}/transfers/{transfer_id}", {"action": completion, "reason": "test"})
    await ask("recordFundsOutPrepareReserve", 11)
    await ask("recordFundsOutPrepareReserve", 10**12)


@asynccontextmanager
async def alarm_receiver() -> AsyncIterator[tuple[str, asyncio.Queue[tuple[str, Any]]]]:
    """Yield a URL and a list of what is posted to it: content type and body."""
    received: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    async def take(got: Request) -> Response:
        await received.put((got.content_type, await got.json()))
        return Response(status=204)

    app = Application()
    app.router.add_post("/alarms/{name}", take)
    async with TestServer(app) as server:
        yield str(server.make_url("/alarms")), received


async def test_the_books_of_a_hub(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    async with (
        running_hub(kafka_bootstrap, topic_prefix, tmp_path) as hub,
        scheme_of(hub, "payer1", "payee1", cap_units=1_000 * UNIT, funds_units=5_000 * UNIT) as (scheme, dfsps),
        alarm_receiver() as (alarm_url, alarms),
    ):
        payer, payee = dfsps
        await payer_alarm(hub, alarm_url)
        await play(payer, payee)
        await move_funds(hub, scheme, "payer1")
        held = payer.order(payee, 150 * UNIT, CURRENCY, behaviour=Behaviour.SILENT, lifetime_s=120)
        await payer.post_transfer(held)
        await payee.wait_for(held.transfer_id, lambda one: one.label == "POST", timeout_s=10)

        code, document = await report(hub)
        assert (0, True, {}) == (code, document["ok"], broken(document)), document
        assert {"finished": 17, "inFlight": 2, "undecided": 0, "unjudged": 0, "pending": []} == document["transfers"]
        assert [("positions-balance", "150", "150"), ("reconciliation-balance", "11", "11")] == [
            (one["rule"], one["total"], one["inFlight"]) for one in document["balances"]
        ]
        assert all(rule["leftOut"] is None for rule in document["rules"]), document
        assert NOTHING_SETTLED == {rule["name"] for rule in document["rules"] if not rule["checked"]}
        code, out = await audited(hub)
        assert (0, True) == (code, "The books are right." in out)

        await alarm_is_heard(alarms, held.transfer_id)
        await statements_agree(hub, scheme)
        await tampering_is_found(hub, kafka_bootstrap, topic_prefix, held.transfer_id)


async def payer_alarm(hub: HubUnderTest, alarm_url: str) -> None:
    """Reach the alarm at 15 per cent of 1,000, which earlier payments do not reach."""
    headers = {"Content-Type": "application/json"}
    limit = {"currency": CURRENCY, "limit": {"type": "NET_DEBIT_CAP", "value": 1_000, "alarmPercentage": 15}}
    endpoint = {"type": "ALARM_NOTIFICATION_URL", "value": f"{alarm_url}/payer1"}
    path = f"{hub.urls.admin}/participants/payer1"
    assert 200 == (await request("PUT", f"{path}/limits", orjson.dumps(limit), headers))[0]
    assert 201 == (await request("POST", f"{path}/endpoints", orjson.dumps(endpoint), headers))[0]


async def alarm_is_heard(alarms: asyncio.Queue[tuple[str, Any]], transfer_id: str) -> None:
    content_type, alarm = await asyncio.wait_for(alarms.get(), 10)
    assert ("application/json", "position-threshold-breach", "payer1", 150, 1000, 15, transfer_id) == (
        content_type,
        alarm["event"],
        alarm["participant"],
        alarm["position"],
        alarm["limit"],
        alarm["percent"],
        alarm["transferId"],
    )
    assert alarms.empty()


async def statements_agree(hub: HubUnderTest, scheme: Scheme) -> None:
    """Assert that a statement of all time opens at zero and closes at the account's value."""
    for name, account_type in (("payer1", "POSITION"), ("payer1", "SETTLEMENT"), ("Hub", "HUB_RECONCILIATION")):
        account = await scheme.admin.account(name, CURRENCY, account_type)
        assert account is not None
        path = f"{hub.urls.admin}/participants/{name}/accounts/{account.account_id}/statement"
        status, answer = await request("GET", f"{path}?from=2020-01-01T00:00:00Z", None, {})
        statement = json.loads(answer)
        assert (200, 0) == (status, statement["openingBalance"])
        assert account.value_units == round(statement["closingBalance"] * UNIT)
        numbers = [line["changeNumber"] for line in statement["lines"]]
        assert list(range(1, len(numbers) + 1)) == numbers
        assert numbers


async def tampering_is_found(hub: HubUnderTest, bootstrap: str, prefix: str, transfer_id: str) -> None:
    """Write a movement that the ledger has not made: of a transfer in flight, with a wrong running value."""
    row = {
        "v": 1,
        "participant": "payee1",
        "accountId": 1,
        "accountType": "POSITION",
        "currency": CURRENCY,
        "change": -150 * UNIT,
        "value": -150 * UNIT,
        "reserved": 0,
        "changeNumber": 1,
        "transferId": transfer_id,
        "entryType": "PRINCIPLE_VALUE",
        "atMs": 0,
    }
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.send_and_wait(f"{prefix}positions", orjson.dumps(row), b"payee1", 0)
    await asyncio.sleep(1.5)

    code, document = await report(hub, "--settle-s", "1")
    assert (1, False) == (code, document["ok"])
    found = broken(document)
    assert [transfer_id] == found["in-flight"]
    assert [f"payee1/{CURRENCY}/POSITION"] == found["running-balance"]
    assert [CURRENCY] == found["positions-balance"]
    code, out = await audited(hub, "--settle-s", "1")
    assert 1 == code
    assert f"in-flight: {transfer_id}: too much payee1/{CURRENCY}/POSITION -150" in out.replace("\n", " ")
