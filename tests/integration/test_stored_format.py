"""Data of a release whose rows were written otherwise: every start ends with one sentence, and nothing is changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from clearinghub.config import Settings
from clearinghub.engine.hops import HOPS, HopsRow, Sent
from clearinghub.engine.record import INPUTS, OFFSETS, DecidedOffsets
from clearinghub.kafka.topology import changelog_name, ensure_topics, load_topology
from clearinghub.rows import ROW_FORMAT
from tests.apart import environment_of, settings_apart
from tests.commands import Ended, run_process

pytestmark = pytest.mark.kafka
ROOT = Path(__file__).resolve().parents[2]
# A row of `offsets` and a row of `positions`, as releases before rows had a format wrote them.
OLD_OFFSETS = b'{"credit":2,"settlement":1,"fulfil":7,"timeout":0,"command":9,"prepare":12}'
OLD_POSITION = b'[1,"payerfsp","USD","POSITION",7,1,0,0,null,0,1700000000000,10]'


@pytest.fixture
async def settings(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Settings:
    settings = settings_apart(
        kafka_bootstrap,
        topic_prefix,
        partitions=2,
        data_dir=tmp_path / "data",
        run_dir=tmp_path / "run",
    )
    await ensure_topics(settings, load_topology())
    return settings


async def write(settings: Settings, table: str, key: bytes, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap)
    await producer.start()
    await producer.send_and_wait(changelog_name(settings.application_id, table), value, key=key, partition=1)
    await producer.stop()


async def end_of(settings: Settings, table: str) -> int:
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap)
    await consumer.start()
    place = TopicPartition(changelog_name(settings.application_id, table), 1)
    end: int = (await consumer.end_offsets([place]))[place]
    await consumer.stop()
    return end


def start(settings: Settings, role: str) -> Ended:
    ports = {f"{name}_port": 0 for name in ("fspiop", "admin", "ledger", "callbacks")}
    return run_process(environment_of(settings, **ports), role, within_s=60)


def sentences(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if "data of an earlier release" in line]


@pytest.mark.parametrize("role", ["ledger", "ingress", "admin-api", "callbacks", "all"])
async def test_a_start_on_old_rows_ends_with_a_sentence(settings: Settings, role: str) -> None:
    await write(settings, "offsets", b"inputs", OLD_OFFSETS)
    await write(settings, "positions", b"payerfsp/USD/POSITION", OLD_POSITION)

    ended = start(settings, role)

    assert 1 == ended.code, ended.said
    assert 1 == len(sentences(ended.said)), ended.said
    assert "make clean-data" in sentences(ended.said)[0]
    assert 1 == await end_of(settings, "offsets")


async def test_rows_of_this_format_are_no_obstacle(settings: Settings) -> None:
    row = DecidedOffsets(row_format=ROW_FORMAT, next_offsets={"prepare": 0})
    hops = HopsRow(sent={"credit": Sent(2, "00ff", 1, 0)}, received={})
    await write(settings, "offsets", b"hops/1", HOPS.encode(hops))  # compaction may leave it the first row
    await write(settings, "offsets", INPUTS.encode(), OFFSETS.encode(row))

    assert [] == await ensure_topics(settings, load_topology())
