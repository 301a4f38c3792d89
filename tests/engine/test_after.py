"""An input may wait for others: a record is decided only after all that their logs had when it was read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from clearinghub.engine.config import Input
from clearinghub.engine.record import Record, View
from tests.engine.bench import OnePartition


class Logs:
    """The ends of the logs, which a test moves; `is_away` is a broker that does not answer."""

    def __init__(self, **ends: int) -> None:
        self.end_of = ends
        self.is_away = False
        self.requests = 0

    async def ends(self, _number: int, topics: tuple[str, ...]) -> Mapping[str, int]:
        self.requests += 1
        if self.is_away:
            raise ConnectionError("no broker")
        await asyncio.sleep(0)
        return {topic: self.end_of[topic] for topic in topics}

    def is_read(self, _number: int, topic: str, decided: int, offset: int) -> bool:
        """Return whether only markers are left: in these tests, from the last record to the end."""
        return self.markers_from.get(topic) == decided and offset <= self.end_of[topic]

    @property
    def markers_from(self) -> dict[str, int]:
        return {topic: end - 1 for topic, end in self.end_of.items() if topic == "lookup"}


def emit(record: Record, view: View) -> None:
    view.emit_to_partition("out", view.partition, f"{record.topic}-{record.offset}", b"")


def a_partition(folder: Path, logs: Logs) -> OnePartition:
    inputs = [Input("fulfil", emit), Input("timeout", emit, after=("fulfil", "lookup")), Input("lookup", emit)]
    return OnePartition(folder, inputs, logs=logs, round_interval_ms=0, punctuators=(lambda _view, _now_ms: None,))


async def test_what_was_written_before_a_reminder_is_decided_before_it(tmp_path: Path) -> None:
    """After an outage: the log of fulfils has five records, and the fetch has returned two of them and the reminder."""
    logs = Logs(fulfil=5, lookup=0)
    partition = a_partition(tmp_path, logs)
    partition.put("fulfil", [b"", b""])
    partition.put("timeout", [b""])

    await partition.run_until({"fulfil": 2})
    await partition.settle()
    held = partition.decided()
    partition.put("fulfil", [b"", b"", b""])
    await partition.until({"timeout": 1})

    assert 0 == held["timeout"]
    assert [b"fulfil-4", b"timeout-0"] == partition.producer.sent("t-out")[-2:]


async def test_a_quiet_topic_holds_nothing_back(tmp_path: Path) -> None:
    partition = a_partition(tmp_path, Logs(fulfil=0, lookup=0))
    partition.put("timeout", [b"", b""])

    await partition.run_until({"timeout": 2})


async def test_a_busy_topic_holds_nothing_back_for_ever(tmp_path: Path) -> None:
    """The end that counts is that of the moment, not one that runs away."""
    logs = Logs(fulfil=3, lookup=0)
    partition = a_partition(tmp_path, logs)
    partition.put("timeout", [b""])
    partition.partition.start()
    await partition.settle(0.05)
    logs.end_of["fulfil"] = 1_000_000

    partition.put("fulfil", [b""] * 3)

    await partition.until({"timeout": 1})


async def test_a_reminder_that_came_later_waits_for_what_was_written_before_it_too(tmp_path: Path) -> None:
    logs = Logs(fulfil=0, lookup=0)
    partition = a_partition(tmp_path, logs)
    partition.put("timeout", [b""])
    await partition.run_until({"timeout": 1})
    logs.end_of["fulfil"] = 1

    partition.put("timeout", [b""])
    await partition.settle()
    held = partition.decided()
    partition.put("fulfil", [b""])
    await partition.until({"timeout": 2})

    assert 1 == held["timeout"]


async def test_markers_at_the_end_of_a_topic_hold_nothing_back(tmp_path: Path) -> None:
    partition = a_partition(tmp_path, Logs(fulfil=0, lookup=1))
    partition.put("timeout", [b""])

    await partition.run_until({"timeout": 1})


async def test_without_an_answer_of_the_broker_nothing_expires_and_the_rest_goes_on(tmp_path: Path) -> None:
    logs = Logs(fulfil=0, lookup=0)
    logs.is_away = True
    partition = a_partition(tmp_path, logs)
    partition.put("timeout", [b""])
    partition.put("lookup", [b""])
    await partition.run_until({"lookup": 1})
    await partition.settle()
    held, requests = partition.decided(), logs.requests
    logs.is_away, logs.end_of["lookup"] = False, 1

    await partition.until({"timeout": 1})

    assert 0 == held["timeout"]
    assert requests < 3, "it does not knock without a pause"
    assert partition.partition.waiting_since_ms is None
