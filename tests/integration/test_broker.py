"""The local broker on this machine's JVM: it starts, keeps its data, is found again, stops, and reports errors."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import TopicPartition

from clearinghub.config import Settings
from clearinghub.kafka.broker import BrokerUnavailableError, LocalBroker, find_or_start_broker, find_running_broker
from clearinghub.kafka.broker.find import local_broker
from clearinghub.kafka.broker.probe import addresses, broker_answers

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("java") is None, reason="no JVM on this machine"),
]
TOPIC = "kept"
PARTITION = TopicPartition(TOPIC, 0)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalBroker]:
    broker = LocalBroker(tmp_path / "data", pid_file=tmp_path / "kafka.pid")
    broker.start()
    yield broker
    broker.stop(timeout_s=5)


def pid_of(broker_folder: Path) -> int:
    return int((broker_folder / "kafka.pid").read_text())


async def write(bootstrap: str, values: list[bytes]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id="test")
    async with producer, producer.transaction():
        for value in values:
            await producer.send_and_wait(TOPIC, value)


async def read(bootstrap: str, count: int) -> list[bytes | None]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    await consumer.start()
    try:
        consumer.assign([PARTITION])
        return [(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()


async def test_transactions_survive_a_restart(broker: LocalBroker, tmp_path: Path) -> None:
    await write(broker.bootstrap, [b"1", b"2", b"3"])
    broker.stop()

    with LocalBroker(tmp_path / "data", pid_file=tmp_path / "kafka.pid") as again:
        kept = await read(again.bootstrap, 3)

    assert [b"1", b"2", b"3"] == kept


def test_a_running_broker_is_found_and_left_running(broker: LocalBroker, tmp_path: Path) -> None:
    second = LocalBroker(tmp_path / "data", pid_file=tmp_path / "kafka.pid")

    assert broker.bootstrap == second.start()
    second.stop()

    assert (True, False) == (broker.started, second.started)
    assert broker_answers(broker.bootstrap)


def test_stopping_takes_bounded_time_and_leaves_no_process(broker: LocalBroker, tmp_path: Path) -> None:
    pid, bootstrap = pid_of(tmp_path), broker.bootstrap
    os.kill(pid, signal.SIGSTOP)  # stopped, so that SIGTERM does not reach it

    began_s = time.monotonic()
    broker.stop(timeout_s=1)

    assert time.monotonic() - began_s < 5
    assert not broker_answers(bootstrap)
    assert not (tmp_path / "kafka.pid").exists()


async def test_a_broker_that_died_starts_again_on_its_port_with_its_data(broker: LocalBroker, tmp_path: Path) -> None:
    await write(broker.bootstrap, [b"1"])
    bootstrap = broker.bootstrap
    os.kill(pid_of(tmp_path), signal.SIGKILL)
    while not broker.ended:
        await asyncio.sleep(0.01)

    assert bootstrap == broker.start()

    assert [b"1"] == await read(bootstrap, 1)


def test_a_broker_that_did_not_restart_is_started_again(broker: LocalBroker, tmp_path: Path) -> None:
    bootstrap, jars = broker.bootstrap, broker._jars
    os.kill(pid_of(tmp_path), signal.SIGKILL)
    while not broker.ended:
        time.sleep(0.01)
    broker._jars = tmp_path / "none"
    with pytest.raises(BrokerUnavailableError, match="ended with code 1"):
        broker.start()

    assert broker.ended, "or nobody would start it again"
    broker._jars = jars
    assert bootstrap == broker.start()
    assert not broker.ended


def test_the_hub_finds_its_own_broker(broker: LocalBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAFKA_BOOTSTRAP", "CLEARINGHUB_KAFKA_BOOTSTRAP"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "hub"
    settings = Settings(data_dir=folder / "data", run_dir=folder / "run")
    before = local_broker(settings).find_running()
    own = LocalBroker(folder / "data" / "kafka", pid_file=folder / "run" / "kafka.pid")

    with own:
        found = find_running_broker(settings)

    assert before is None
    assert own.bootstrap == found


def test_a_configured_broker_is_used_and_not_stopped(broker: LocalBroker) -> None:
    found = find_or_start_broker(Settings(kafka_bootstrap=broker.bootstrap))
    found.stop()

    assert (broker.bootstrap, False) == (found.bootstrap, found.started)
    assert broker_answers(broker.bootstrap)


def test_the_error_has_the_output_of_a_jvm_that_cannot_start(tmp_path: Path) -> None:
    (tmp_path / "jars").mkdir()
    broker = LocalBroker(tmp_path / "data", pid_file=tmp_path / "kafka.pid", jars=tmp_path / "jars")

    with pytest.raises(BrokerUnavailableError, match=r"kafka\.tools\.StorageTool"):
        broker.start()

    assert not (tmp_path / "kafka.pid").exists()


def test_another_programs_port_is_not_mistaken_for_its_own(broker: LocalBroker, tmp_path: Path) -> None:
    port = addresses(broker.bootstrap)[0][1]
    second = LocalBroker(tmp_path / "other", pid_file=tmp_path / "other.pid", port=port)

    with pytest.raises(BrokerUnavailableError, match=f"{broker.bootstrap} is taken"):
        second.start()

    assert not (tmp_path / "other.pid").exists()
