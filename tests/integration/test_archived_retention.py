"""A hub with an archive: finished transfers can be queried until they are archived, and then leave the table."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sandbox.dfsp.messages import CallbackKind
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp
from tests.archived import rows_in
from tests.integration.archived_topics import Topics
from tests.integration.hub_under_test import CURRENCY, PARTITIONS, running_hub, scheme_of
from tests.integration.short_retention import RETENTION_S

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(600)]

LIFETIME_S = 8  # transfers are kept until they have expired, and then for the retention
OVERDUE_S = 3
UNIT = 10_000
COUNT = 5


async def known(payer: SimulatedDfsp, ids: list[str]) -> set[str]:
    """Return the transfers whose state the ledger still reports."""
    before = {one: len(payer.callbacks_of(one)) for one in ids}
    for one in ids:
        assert 202 == (await payer.get_transfer(one)).status
    async with asyncio.timeout(60):
        while any(len(payer.callbacks_of(one)) == before[one] for one in ids):
            await asyncio.sleep(0.05)
    return {one for one in ids if payer.callbacks_of(one)[-1].kind is not CallbackKind.ERROR}


async def test_finished_transfers_leave_the_table_once_they_are_archived(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    topics = Topics(kafka_bootstrap, topic_prefix, tmp_path)
    settings = {"archiving": "true", "partitions": PARTITIONS}
    modules = {"ledger": "tests.integration.short_retention"}
    async with (
        running_hub(kafka_bootstrap, topic_prefix, tmp_path / "hub", modules, **settings) as hub,
        scheme_of(hub, "payer1", "payee1", cap_units=1_000 * UNIT, funds_units=1_000 * UNIT) as (_scheme, dfsps),
    ):
        payer, payee = dfsps
        orders = [payer.order(payee, UNIT, CURRENCY, lifetime_s=LIFETIME_S) for _ in range(COUNT)]
        ids = [order.transfer_id for order in orders]
        for order in orders:
            assert 202 == (await payer.post_transfer(order)).status
        async with asyncio.timeout(60):
            while not all(payer.callbacks_of(one) for one in ids):
                await asyncio.sleep(0.05)
        await asyncio.sleep(LIFETIME_S + RETENTION_S + OVERDUE_S)
        assert set(ids) == await known(payer, ids), "not archived: they stay"

        code, said = await topics.archive()
        assert 0 == code, said
        async with asyncio.timeout(60):
            while await known(payer, ids):
                await asyncio.sleep(1)
        rows = {row["transfer_id"]: row["state"] for row in rows_in(topics.root, "transfers")}
        assert {"COMMITTED"} == {rows[one] for one in ids}

        late = payer.order(payee, UNIT, CURRENCY)
        assert 202 == (await payer.post_transfer(late)).status
        async with asyncio.timeout(60):
            while not payer.callbacks_of(late.transfer_id):
                await asyncio.sleep(0.05)
        assert {late.transfer_id} == await known(payer, [late.transfer_id])
