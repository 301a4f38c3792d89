"""A dead letter of a ledger's topic goes back to its topic, once, with who decided it and why."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from clearinghub.config import Settings
from clearinghub.engine.dead_letter import poison_record_letter
from clearinghub.engine.record import Record
from clearinghub.engine.stopped_inputs import input_stop
from clearinghub.kafka.recorder import KafkaRecorder
from clearinghub.kafka.topology import ensure_topics, load_topology
from clearinghub.tools.requeue import dead_letters
from tests.apart import environment_of, settings_apart
from tests.commands import run_process
from tests.topics import records_of

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]
PATIENCE_MS = 30_000  # leaders of topics that were just created may take their time
VALUE = b'{"v":1,"kind":"prepare"}\nbody'


def requeue(settings: Settings, *arguments: str) -> tuple[int, str]:
    """Run the command as an operator does; return its exit code and its output."""
    environment = environment_of(settings, record_timeout_ms=settings.record_timeout_ms) | {"COLUMNS": "200"}
    ended = run_process(environment, "requeue", *arguments)
    return ended.code, ended.out + ended.said


async def values(settings: Settings, partition: int) -> list[tuple[bytes, bytes]]:
    """Return what is on a partition of topic `prepare`."""
    records = await records_of(settings.kafka_bootstrap, settings.topic("prepare"), settings.partitions)
    return [(one.key, one.value) for one in records if one.partition == partition]


async def test_a_letter_is_requeued_once_unless_forced(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    settings = settings_apart(
        kafka_bootstrap,
        topic_prefix,
        partitions=3,
        data_dir=tmp_path,
        record_timeout_ms=PATIENCE_MS,
    )
    await ensure_topics(settings, load_topology())
    recorder = KafkaRecorder(settings)
    await recorder.start()
    for topic in ("prepare", "credit"):
        letter = poison_record_letter(Record(topic, 2, 7, 1, b"payer", VALUE), TypeError("odd"))
        await recorder.record_in_partition("dead-letter", 2, "payer", letter)
    record = Record("credit", 2, 8, 1, b"payer", VALUE)
    decided = poison_record_letter(record, TypeError("odd"), input_stop(record, TypeError("odd")))
    await recorder.record_in_partition("dead-letter", 2, "payer", decided)
    await recorder.stop()

    listed = await asyncio.to_thread(requeue, settings)
    without_reason = await asyncio.to_thread(requeue, settings, "prepare/2/7")
    first = await asyncio.to_thread(requeue, settings, "prepare/2/7", "--reason", "mended", "--by", "alice")
    second = await asyncio.to_thread(requeue, settings, "prepare/2/7", "--reason", "again")
    stranger = await asyncio.to_thread(requeue, settings, "credit/2/7", "--reason", "why not")

    assert "prepare/2/7" in listed[1]
    assert "credit/2/7" not in listed[1], "the ledger's own records become dead letters by a decision alone"
    assert "credit/2/8" in listed[1]
    assert [2, 0, 1, 1] == [one[0] for one in (without_reason, first, second, stranger)]
    assert "requeued before, by alice: mended" in second[1]
    assert [(b"payer", VALUE)] == await values(settings, 2), "on its own partition, with its key and bytes"
    note = (await dead_letters(settings)).requeued["prepare/2/7"]
    assert ("alice", "mended") == (note.by, note.reason)

    forced = await asyncio.to_thread(requeue, settings, "prepare/2/7", "--reason", "again", "--force")

    assert 0 == forced[0]
    assert 2 == len(await values(settings, 2))
