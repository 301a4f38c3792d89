"""Every transaction has an epoch of its own, so that the marker of another one cannot end it; on a real broker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer

from clearinghub.engine.errors import PartitionLostError
from clearinghub.engine.producer_epoch import FENCED, InitProducerId
from clearinghub.engine.transaction import NO_HEADERS, Outgoing, PartitionProducer
from tests.engine.harness import create_toy_topics
from tests.engine.markers import Leader
from tests.engine.toy import toy_config

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(60)]

ROUNDS = 5
EPOCH_MAX = 32_766
NOT_KNOWN = -1
TAKEOVERS = 10
TIMEOUT_MS = 10_000
FETCH_MS = 1_000


@contextlib.asynccontextmanager
async def owning(bootstrap: str, prefix: str, data_dir: Path) -> AsyncIterator[PartitionProducer]:
    """Yield a producer that owns partition 0."""
    producer = PartitionProducer(toy_config(bootstrap, prefix, data_dir), 0)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


def a_round(prefix: str, number: int) -> list[Outgoing]:
    """Return a record for each of two topics."""
    return [(prefix + topic, 0, b"round", b"%d" % number, NO_HEADERS) for topic in ("in", "out")]


async def committed(bootstrap: str, prefix: str) -> dict[str, list[bytes]]:
    """Return all committed values of both topics, by the topic's name without its prefix."""
    topics = [prefix + topic for topic in ("in", "out")]
    consumer = AIOKafkaConsumer(
        *topics, bootstrap_servers=bootstrap, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    values: dict[str, list[bytes]] = {"in": [], "out": []}
    async with consumer:
        while fetched := await consumer.getmany(timeout_ms=FETCH_MS):
            for records in fetched.values():
                for record in records:
                    values[record.topic.removeprefix(prefix)].append(record.value)
    return values


async def test_a_late_marker_ends_no_other_transaction(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """With one epoch for all transactions the marker commits the open one in one of its two partitions."""
    await create_toy_topics(kafka_bootstrap, topic_prefix)
    async with Leader.of(kafka_bootstrap) as leader, owning(kafka_bootstrap, topic_prefix, tmp_path) as owner:
        await owner.commit(a_round(topic_prefix, 1))
        ended = await leader.ended(topic_prefix + "out")
        client = owner._producer
        await client.begin_transaction()
        for topic, partition, key, value, _headers in a_round(topic_prefix, 2):
            await client.send_and_wait(topic, value, key, partition)

        code = await leader.late_marker(ended, topic_prefix + "out")

        assert {"in": [b"1"], "out": [b"1"]} == await committed(kafka_bootstrap, topic_prefix)
        assert code in FENCED
        await client.commit_transaction()
        assert {"in": [b"1", b"2"], "out": [b"1", b"2"]} == await committed(kafka_bootstrap, topic_prefix)


async def test_each_transaction_has_its_own_epoch(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    await create_toy_topics(kafka_bootstrap, topic_prefix)
    states = []
    async with Leader.of(kafka_bootstrap) as leader, owning(kafka_bootstrap, topic_prefix, tmp_path) as owner:
        for number in range(ROUNDS):
            await owner.commit(a_round(topic_prefix, number))
            states.append(await leader.ended(topic_prefix + "out"))

    first = states[0].epoch
    assert list(range(first, first + ROUNDS)) == [state.epoch for state in states]
    assert 1 == len({state.producer_id for state in states})
    assert {0} == {state.last_sequence for state in states}


@pytest.mark.slow
async def test_exhausted_epochs_lead_to_a_new_producer_id(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """At 20 rounds a second a producer id is exhausted after half an hour."""
    await create_toy_topics(kafka_bootstrap, topic_prefix)
    transactional_id = toy_config(kafka_bootstrap, topic_prefix, tmp_path).transactional_id(0)
    async with Leader.of(kafka_bootstrap) as leader:
        given = await leader.ask(InitProducerId(transactional_id, TIMEOUT_MS, NOT_KNOWN, NOT_KNOWN))
        for epoch in range(EPOCH_MAX - ROUNDS):
            assert (given.error_code, given.producer_epoch) == (0, epoch)
            given = await leader.ask(InitProducerId(transactional_id, TIMEOUT_MS, given.producer_id, epoch))
        ids = []
        async with owning(kafka_bootstrap, topic_prefix, tmp_path) as owner:
            for number in range(2 * ROUNDS):
                await owner.commit(a_round(topic_prefix, number))
                ids.append((await leader.ended(topic_prefix + "out")).producer_id)
            async with owning(kafka_bootstrap, topic_prefix, tmp_path):
                with pytest.raises(PartitionLostError):
                    await owner.commit(a_round(topic_prefix, 2 * ROUNDS))

    assert 2 == len(set(ids))
    numbers = [b"%d" % number for number in range(2 * ROUNDS)]
    assert {"in": numbers, "out": numbers} == await committed(kafka_bootstrap, topic_prefix)


async def test_a_fenced_owner_gets_no_epoch(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """An owner that asks for its next epoch after a takeover is refused, and its successor goes on."""
    await create_toy_topics(kafka_bootstrap, topic_prefix)
    config = toy_config(kafka_bootstrap, topic_prefix, tmp_path)
    async with Leader.of(kafka_bootstrap) as leader, owning(kafka_bootstrap, topic_prefix, tmp_path) as owner:
        await owner.commit(a_round(topic_prefix, 1))
        past = await leader.ended(topic_prefix + "out")
        async with owning(kafka_bootstrap, topic_prefix, tmp_path) as successor:
            request = InitProducerId(config.transactional_id(0), TIMEOUT_MS, past.producer_id, past.epoch)
            assert (await leader.ask(request)).error_code in FENCED
            with pytest.raises(PartitionLostError):
                await owner.commit(a_round(topic_prefix, 2))
            await successor.commit(a_round(topic_prefix, 3))

    assert {"in": [b"1", b"3"], "out": [b"1", b"3"]} == await committed(kafka_bootstrap, topic_prefix)


async def test_a_takeover_at_any_moment_fences(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """A takeover while the owner commits, or gets its next epoch: the owner ends as lost, with whole rounds written."""
    await create_toy_topics(kafka_bootstrap, topic_prefix)
    confirmed: list[bytes] = []
    for number in range(TAKEOVERS):
        async with (
            owning(kafka_bootstrap, topic_prefix, tmp_path) as owner,
            asyncio.timeout(10),
            asyncio.TaskGroup() as group,
        ):
            lost = group.create_task(_commit_until_lost(owner, topic_prefix, number * 1_000, confirmed))
            await asyncio.sleep(0.02 + number * 0.003)
            async with owning(kafka_bootstrap, topic_prefix, tmp_path):
                await lost

    values = await committed(kafka_bootstrap, topic_prefix)
    assert values["in"] == values["out"]
    assert set(confirmed) <= set(values["in"])
    assert len(values["in"]) == len(set(values["in"])) <= len(confirmed) + TAKEOVERS


async def _commit_until_lost(owner: PartitionProducer, prefix: str, first: int, confirmed: list[bytes]) -> None:
    with contextlib.suppress(PartitionLostError):
        for number in range(first, first + 1_000):
            await owner.commit(a_round(prefix, number))
            confirmed.append(b"%d" % number)
