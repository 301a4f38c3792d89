"""Lookups end to end on real HTTP, Kafka and tables: beside slow and dead receivers, quotes, and imported files."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from clearinghub.tools.client.admin import AdminClient
from sandbox.scheme import Scheme
from tests.commands import run_aside
from tests.integration.hub_under_test import CURRENCY, HubUnderTest, running_hub
from tests.integration.lookup_dfsp import LookupDfsp, SlowOracle, shown, side_by_side

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]
CAP = 10_000_000
ORACLE_TIMEOUT_MS = 1_500
PARTIES = 60
MORE_S_MAX = 1.0  # what other work of the machine may add; a lookup that waits for a slow one takes longer


class Discovery:
    """A running hub with DFSPs that have parties, and one external oracle."""

    def __init__(self, hub: HubUnderTest, dfsps: list[LookupDfsp], oracle: SlowOracle) -> None:
        self.hub = hub
        self.payer, self.payee, self.dead = dfsps
        self.oracle = oracle

    async def run(self, *arguments: str) -> tuple[int, str]:
        """Run `clearinghub parties`; return its exit code and output."""
        ended = await run_aside(self.hub.environment, "parties", *arguments)
        return ended.code, ended.out + ended.said


@pytest.fixture
async def discovery(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Discovery]:
    async with AsyncExitStack() as stack:
        settings = {"oracle_timeout_ms": ORACLE_TIMEOUT_MS, "oracle_breaker_failures": 1_000}
        hub = await stack.enter_async_context(running_hub(kafka_bootstrap, topic_prefix, tmp_path, **settings))
        admin = await stack.enter_async_context(AdminClient(hub.urls.admin))
        scheme = Scheme(admin, "Hub", CURRENCY)
        await scheme.ensure_currency()
        dfsps = []
        for name in ("payer1", "payee1", "dead1"):
            dfsp = await stack.enter_async_context(LookupDfsp(name, hub.urls.fspiop))
            await scheme.ensure_dfsp(name, CAP, dfsp.endpoints)
            dfsps.append(dfsp)
        oracle = await stack.enter_async_context(SlowOracle(0.0, lambda: {"partyList": [{"fspId": "payee1"}]}))
        body = {"oracleIdType": "BUSINESS", "endpoint": {"value": oracle.url, "endpointType": "URL"}}
        reply = await admin.post("/oracles", body)
        assert reply.ok, reply.text
        yield Discovery(hub, dfsps, oracle)


async def test_discovery(discovery: Discovery, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All cases share one hub: starting one takes longer than each of them."""
    await registrations(discovery)
    await an_external_oracle(discovery)
    await slow_and_dead_ones_delay_nobody_else(discovery, capsys)
    await files(discovery, tmp_path)
    await a_new_table(discovery, tmp_path)


async def registrations(discovery: Discovery) -> None:
    payee = discovery.payee
    assert {"fspId": "payee1"} == await payee.ask("POST", "/participants/MSISDN/1000", {"fspId": "payee1"})
    listed = [
        {"partyIdType": "MSISDN", "partyIdentifier": str(1000 + number), "fspId": "payee1"} for number in range(PARTIES)
    ]
    batch = {"requestId": str(uuid.uuid4()), "partyList": listed}
    assert [{"partyId": one} for one in listed] == (await payee.ask("POST", "/participants", batch))["partyList"]
    await discovery.dead.ask("POST", "/participants/MSISDN/666", {"fspId": "dead1"})

    assert {"fspId": "payee1"} == await discovery.payer.ask("GET", "/participants/MSISDN/1007")
    await discovery.payer.look_up("1007")
    unknown = await discovery.payer.ask("GET", "/parties/MSISDN/999")
    assert "3204" == unknown["errorInformation"]["errorCode"]


async def an_external_oracle(discovery: Discovery) -> None:
    await discovery.payer.look_up("shop-1", "BUSINESS")
    requests_before = discovery.oracle.requests_received
    await discovery.payer.look_up("shop-1", "BUSINESS")
    assert requests_before == discovery.oracle.requests_received  # stored for a moment


async def slow_and_dead_ones_delay_nobody_else(discovery: Discovery, capsys: pytest.CaptureFixture[str]) -> None:
    payer = discovery.payer

    async def look_up(number: int) -> float:
        return await payer.look_up(str(1000 + number % PARTIES))

    async def quote(_number: int) -> float:
        return await payer.quote("payee1", CURRENCY)

    async def both(count: int) -> list[list[float]]:
        return list(await asyncio.gather(side_by_side(look_up, count, 4), side_by_side(quote, count, 4)))

    await both(40)
    alone = await both(120)
    discovery.oracle.delay_s = 60.0
    discovery.dead.answers.clear()
    slow: list[asyncio.Task[dict[str, object]]] = []
    measured = asyncio.Event()

    async def pester() -> None:
        while not measured.is_set():
            path = f"/parties/BUSINESS/slow-{len(slow)}"
            slow.append(asyncio.create_task(payer.ask("GET", path)))
            assert 202 == await payer.send("GET", "/parties/MSISDN/666")
            assert 202 == await payer.send("POST", "/quotes", payer.quote_of("dead1", CURRENCY), "dead1")
            await asyncio.sleep(0.05)

    pestering = asyncio.create_task(pester())
    try:
        beside = await both(120)
    finally:
        measured.set()
    waiting = [task for task in slow if not task.done()]
    await pestering
    answers = await asyncio.gather(*slow)
    discovery.dead.answers.set()
    discovery.oracle.delay_s = 0.0

    with capsys.disabled():
        for what, before, after in zip(("lookups", "quotes"), alone, beside, strict=True):
            print(f"\n{what} alone: {shown(before)}; beside a slow oracle and a dead DFSP: {shown(after)}")
    assert waiting
    assert discovery.dead.requests_received
    assert {"1001"} == {answer["errorInformation"]["errorCode"] for answer in answers}  # type: ignore[index]
    for before, after in zip(alone, beside, strict=True):
        assert after[len(after) // 2] < before[len(before) // 2] + MORE_S_MAX


async def files(discovery: Discovery, folder: Path) -> None:
    path, exported = folder / "parties.csv", folder / "exported.csv"
    lines = [f"MSISDN,{200_000 + number},,{CURRENCY},payee1" for number in range(2_000)]
    header = "partyIdType,partyIdentifier,partySubIdOrType,currency,fspId"
    path.write_text("\n".join([header, *lines, "MSISDN,+1x,,,payee1", "IBAN,DE44500105175407324931,,ZZZ,payee1"]))
    code, output = await discovery.run("import", str(path))
    assert (1, True) == (code, "line 2002: Invalid MSISDN" in output), output
    assert "line 2003: currency is unknown" in output

    more = ["ALIAS,a-b/é,1,,payee1", "MSISDN,666,,,payee1", "ALIAS,x,,,nobody"]
    path.write_text("\n".join([header, *lines, *more]))
    code, output = await discovery.run("import", str(path))
    assert (1, True) == (code, "2,001 parties added, 0 were there, 2 refused by the hub" in output), output
    assert "line 2003: Add Party information error - Party is registered by another FSP" in output
    assert "line 2004: Generic ID not found - FSP not found" in output

    path.write_text("\n".join([header, *lines]))
    code, output = await discovery.run("import", str(path))
    assert (0, True) == (code, "0 parties added, 2,000 were there, 0 refused" in output), output
    await discovery.payer.look_up("201999")

    code, output = await discovery.run("export", str(exported))
    found = exported.read_text().splitlines()
    assert (0, header, 2_001 + PARTIES + 1) == (code, found[0], len(found) - 1), output
    assert {*lines, "ALIAS,a-b/é,1,,payee1", "MSISDN,666,,,dead1"} <= set(found)
    assert (2, 1) == ((await discovery.run("import"))[0], (await discovery.run("import", str(folder / "none")))[0])


async def a_new_table(discovery: Discovery, folder: Path) -> None:
    """The built-in oracle survives the loss of a worker and its disk: its changelog has all rows."""
    hub = discovery.hub
    hub.kill("ledger")
    hub.start("ledger", data_dir=folder / "elsewhere")
    await hub.healthy()

    await discovery.payer.look_up("201998")
    exported = folder / "again.csv"
    assert 0 == (await discovery.run("export", str(exported)))[0]
    assert (folder / "exported.csv").read_text() == exported.read_text()
