"""Reports of a real hub, checked against the books, and one of a hub with a forged record."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from decimal import Decimal
from pathlib import Path

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from clearinghub.tools.client.settlement import SettlementOperations
from sandbox.dfsp.messages import Callback
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp
from sandbox.scheme import Scheme
from tests.commands import Ended, run_aside
from tests.integration.hub_under_test import CURRENCY, HubUnderTest, eventually, running_hub, scheme_of

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]
UNIT = 10_000
NAMES = ("alpha", "beta", "gamma")
WITHIN_S = 90


async def reported(hub: HubUnderTest, *arguments: str) -> Ended:
    """Run the command with the hub's environment."""
    return await run_aside(hub.environment, "report", *arguments, within_s=WITHIN_S)


def _committed(callback: Callback) -> bool:
    return callback.label == "PUT COMMITTED"


async def pay(payer: SimulatedDfsp, payee: SimulatedDfsp, units: int) -> None:
    order = payer.order(payee, units, CURRENCY)
    await payer.post_transfer(order)
    await payer.wait_for(order.transfer_id, _committed, timeout_s=20)


async def a_settled_day(scheme: Scheme, dfsps: list[SimulatedDfsp]) -> None:
    """Make 12 payments between three DFSPs in window 1, close and settle it, and one payment in window 2."""
    await asyncio.gather(*(pay(dfsps[n % 3], dfsps[(n + 1) % 3], (n + 1) * UNIT + n) for n in range(12)))
    settlement = SettlementOperations(scheme.admin, "/v2")
    await settlement.close_window(1, "test")
    async with asyncio.timeout(30):
        while (await settlement.window(1)).state != "CLOSED":
            await asyncio.sleep(0.1)
    await settlement.create(f"DEFERREDNET{CURRENCY}", [1], "day 1")
    for _step in range(4):
        await settlement.advance(1, "r")
    await pay(dfsps[0], dfsps[1], 7)
    await eventually(scheme, {"alpha": 7, "beta": -7, "gamma": 0})


async def test_reports_of_a_day(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    async with (
        running_hub(kafka_bootstrap, topic_prefix, tmp_path) as hub,
        scheme_of(hub, *NAMES, cap_units=1_000 * UNIT, funds_units=5_000 * UNIT) as (scheme, dfsps),
    ):
        await a_settled_day(scheme, dfsps)

        for arguments in (
            ("window", "1"),
            ("settlement", "1", "--format", "csv"),
            ("transfers", "1", "--format", "html"),
            ("statement", "alpha", CURRENCY, "--from", "2020-01-01"),
            ("statement", "Hub", CURRENCY, "--type", "HUB_MULTILATERAL_SETTLEMENT", "--format", "json"),
        ):
            code, out, err = await reported(hub, *arguments, "--verify")
            assert 0 == code, (arguments, err)
            assert "verified: what the audit counts in" in err
            assert out
        await figures_are_right(hub)
        await tampering_is_found(hub, kafka_bootstrap, topic_prefix)


async def figures_are_right(hub: HubUnderTest) -> None:
    """Return the nets of the payments that this test has sent."""
    _code, out, _err = await reported(hub, "transfers", "1", "--format", "csv")
    amounts = sorted(Decimal(row["amount"]) for row in csv.DictReader(io.StringIO(out, newline="")))
    assert [n + 1 + Decimal(n) / UNIT for n in range(12)] == amounts
    _code, out, _err = await reported(hub, "settlement", "1", "--format", "json")
    (section,) = json.loads(out)["sections"]
    nets = {one["participant"]: Decimal(one["netAmount"]) for one in section["participants"]}
    sent = dict.fromkeys(NAMES, Decimal(0))
    for n in range(12):
        sent[NAMES[n % 3]] += n + 1 + Decimal(n) / UNIT
        sent[NAMES[(n + 1) % 3]] -= n + 1 + Decimal(n) / UNIT
    assert sent == nets


async def tampering_is_found(hub: HubUnderTest, bootstrap: str, prefix: str) -> None:
    """Write a transfer in a closed window that the ledger has not made."""
    row = {
        "v": 1,
        "sequence": 1,
        "transferId": "forged",
        "kind": "transfer",
        "payer": "alpha",
        "payee": "beta",
        "amount": 3 * UNIT,
        "currency": CURRENCY,
        "state": "COMMITTED",
        "window": 1,
        "interchangeFee": 0,
        "errorCode": None,
        "errorDescription": None,
        "preparedAt": "2026-01-01T00:00:00.000Z",
        "finishedAt": "2026-01-01T00:00:00.001Z",
    }
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.send_and_wait(f"{prefix}transfers", orjson.dumps(row), b"forged", 0)

    for arguments, fault in (
        (("window", "1"), f"not what the audit counts: {CURRENCY} POSITION NET of alpha: reported"),
        (("settlement", "1"), f"not what the audit counts: {CURRENCY} POSITION NET of beta: reported"),
        (("transfers", "1"), f"the report does not add up: {CURRENCY} POSITION of beta: the window holds"),
        (("statement", "alpha", CURRENCY), "the books are not right"),
    ):
        code, _out, err = await reported(hub, *arguments, "--verify", "--settle-s", "1")
        assert (1, True) == (code, fault in err), err
