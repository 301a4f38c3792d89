"""A hub under load is copied while a worker dies, and restored to more partitions; what the copy lacks is known."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from clearinghub.copies.folder import MANIFEST, Copy
from tests.commands import run_aside
from tests.integration.hub_under_test import PARTITIONS, HubUnderTest
from tests.integration.ledger_load import LedgerLoad
from tests.integration.test_settlement_windows import (
    NAMES,
    PATIENCE,
    all_closed,
    close_open_window,
    reported_nets,
    set_up,
)

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]

RATE_PER_S = 40
FEW = 40
MORE_PARTITIONS = 6


@asynccontextmanager
async def hub_of(bootstrap: str, prefix: str, folder: Path, **settings: object) -> AsyncIterator[HubUnderTest]:
    """Yield a healthy hub without the role `callbacks`: the load reads the notifications itself."""
    hub = HubUnderTest(bootstrap, prefix, folder, **{**PATIENCE, **settings})
    try:
        hub.start("ledger")
        hub.start("admin-api")
        hub.start("ingress")
        await hub.healthy()
        yield hub
    finally:
        hub.close()


def environment_of(hub: HubUnderTest, prefix: str, partitions: int) -> Mapping[str, str]:
    """Return the environment of a new hub on the same broker."""
    return {
        **hub.environment,
        "CLEARINGHUB_APPLICATION_ID": f"{prefix}hub",
        "CLEARINGHUB_TOPIC_PREFIX": prefix,
        "CLEARINGHUB_PARTITIONS": str(partitions),
    }


async def test_a_hub_is_copied_under_load_and_grows(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    copy, grown = tmp_path / "copy", f"{topic_prefix}grown-"
    async with (
        hub_of(kafka_bootstrap, topic_prefix, tmp_path / "hub") as hub,
        LedgerLoad.of(kafka_bootstrap, topic_prefix, NAMES, seed=1) as load,
    ):
        await set_up(hub)
        load.start(RATE_PER_S)
        await asyncio.sleep(1)
        copying = asyncio.create_task(run_aside(hub.environment, "backup", copy))
        await asyncio.sleep(1.5)
        hub.kill("ledger")
        hub.start("ledger")
        code, _out, said = await copying
        assert 0 == code, said
        await load.stop()
        await load.all_end(within_s=120)
        await check_missing(hub, copy, load)
    await check_grown(hub, kafka_bootstrap, grown, copy, tmp_path)


async def check_missing(hub: HubUnderTest, copy: Path, load: LedgerLoad) -> None:
    """What the copy has, and what `--missing` tells, is together all that was committed, and nothing twice."""
    code, out, said = await run_aside(hub.environment, "restore", "--missing", copy)
    assert 0 == code, said
    after = [row["transfer"] for row in csv.DictReader(io.StringIO(out)) if row["state"] == "COMMITTED"]
    opened = Copy.open(copy)
    known = {
        row.key.decode()
        for number in range(PARTITIONS)
        for row in opened.rows(number)
        if row.table == "transfers" and b'"COMMITTED"' in row.value
    }
    assert len(after) == len(set(after))
    assert not known & set(after)
    assert set(load.committed) <= known | set(after)


async def check_grown(hub: HubUnderTest, bootstrap: str, prefix: str, copy: Path, folder: Path) -> None:
    """The copy becomes a hub of more partitions, which goes on working; it is restored to empty topics only."""
    environment = environment_of(hub, prefix, MORE_PARTITIONS)
    code, _out, said = await run_aside(environment, "restore", copy)
    assert 0 == code, said
    assert "the books add up" in said
    code, _out, said = await run_aside(environment, "restore", copy)
    assert (1, True) == (code, "is not empty" in said), said
    settings = {"partitions": MORE_PARTITIONS, "application_id": f"{prefix}hub"}
    async with (
        hub_of(bootstrap, prefix, folder / "grown", **settings) as grown,
        LedgerLoad.of(bootstrap, prefix, NAMES, seed=2) as load,
    ):
        await load.send(FEW)
        await load.all_end(within_s=60)
        assert FEW == len(load.committed)
        number = await close_open_window(grown)
        assert number in [one["settlementWindowId"] for one in await all_closed(grown, within_s=30)]
        nets, _debits = await reported_nets(grown, number)
        assert 0 == nets.total()
        code, out, _said = await run_aside(grown.environment, "audit")
        assert 0 == code, out


async def test_a_copy_that_cannot_be_finished_leaves_nothing(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """The topics are there, and no ledger has ever worked on them."""
    hub = HubUnderTest(kafka_bootstrap, topic_prefix, tmp_path / "hub")
    code, out, said = await run_aside(hub.environment, "topics")
    assert 0 == code, out + said
    more = {**hub.environment, "CLEARINGHUB_PARTITIONS": "12"}
    code, _out, said = await run_aside(more, "backup", tmp_path / "copy")
    assert (1, True) == (code, "the hub has 4 partitions, and CLEARINGHUB_PARTITIONS is 12" in said), said
    code, _out, said = await run_aside(hub.environment, "backup", tmp_path / "copy")

    assert (1, True) == (code, "have no round that can be copied" in said), said
    assert not (tmp_path / "copy" / MANIFEST).exists()
    assert [] == list((tmp_path / "copy").iterdir())
