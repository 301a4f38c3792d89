"""A record that may not be dead-lettered stops its input when its handler raises, and no other. No broker needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson

from clearinghub.engine.config import Input
from clearinghub.engine.errors import PartitionStoppedError, StoppedInput
from clearinghub.engine.record import Record, View
from tests.engine.bench import OnePartition
from tests.engine.toy import BALANCES


class Release:
    """A release of the code; a bad one cannot decide the credit `odd`."""

    def __init__(self, *, is_bad: bool) -> None:
        self._is_bad = is_bad

    def on_credit(self, record: Record, view: View) -> None:
        view.put(BALANCES, "payee", (view.get(BALANCES, "payee") or 0) + 1)
        view.emit_to_partition("out", view.partition, f"credit-{record.offset}", b"")
        if self._is_bad and record.value == b"odd":
            raise TypeError("an amount of another kind")

    def on_prepare(self, record: Record, view: View) -> None:
        view.emit_to_partition("out", view.partition, f"prepare-{record.offset}", b"")
        if record.value == b"odd":
            raise TypeError("a body of another kind")

    @property
    def inputs(self) -> list[Input]:
        return [
            Input("credit", self.on_credit, may_be_dead_lettered=lambda _record: False),
            Input("prepare", self.on_prepare),
        ]


async def test_a_credit_that_cannot_be_decided_stops_its_input_and_is_not_dead_lettered(tmp_path: Path) -> None:
    partition = OnePartition(tmp_path, Release(is_bad=True).inputs)
    partition.put("credit", [b"", b"odd", b""])
    partition.put("prepare", [b"", b"odd", b""])

    await partition.run_until({"credit": 1, "prepare": 3})
    partition.put("prepare", [b""])
    await partition.until({"prepare": 4})
    await partition.settle()

    assert {"credit": 1, "prepare": 4} == partition.decided()
    assert 1 == len(partition.producer.sent("t-dead")), "the prepare's, and no other"
    assert b"credit-1" not in partition.producer.sent("t-out")
    stopped = partition.partition.stopped_inputs["credit"]
    assert (1, "TypeError('an amount of another kind')") == (stopped.offset, stopped.error)


async def test_the_next_release_decides_the_same_record_and_goes_on_by_itself(tmp_path: Path) -> None:
    before = OnePartition(tmp_path, Release(is_bad=True).inputs)
    before.put("credit", [b"", b"odd", b""])
    await before.run_until({"credit": 1})
    await before.settle()
    await before.partition.close(1)

    after = OnePartition(tmp_path, Release(is_bad=False).inputs, before.stores)
    after.put("credit", [b"odd", b""], first=1)
    await after.run_until({"credit": 3})

    assert {} == after.partition.stopped_inputs
    assert [b"credit-1", b"credit-2"] == after.producer.sent("t-out")
    assert b"3" == after.stores["balances"].rows[b"payee"]
    assert [] == before.producer.sent("t-dead") + after.producer.sent("t-dead")


async def test_a_stopped_input_neither_waits_nor_keeps_the_partition_busy(tmp_path: Path) -> None:
    partition = OnePartition(tmp_path, Release(is_bad=True).inputs)
    partition.put("credit", [b"odd"])
    partition.put("prepare", [b""])
    await partition.run_until({"prepare": 1})

    rounds = len(partition.producer.rounds)
    await partition.settle()

    assert partition.partition.waiting_since_ms is None, "else admission control would refuse all new work"
    assert rounds == len(partition.producer.rounds)


class Decisions:
    """What an operator has decided, by the stops' ids."""

    def __init__(self) -> None:
        self.made: set[str] = set()

    def is_accepted(self, _partition: int, stop: PartitionStoppedError) -> bool:
        return stop.stop_id in self.made


def announce(view: View, inputs: Sequence[StoppedInput]) -> None:
    view.emit_to_partition(
        "out", view.partition, "stopped " + " ".join(f"{one.topic}/{one.offset}" for one in inputs), b""
    )


async def test_an_operator_has_the_record_dead_lettered_and_the_input_goes_on(tmp_path: Path) -> None:
    decisions, notified = Decisions(), list[str]()
    partition = OnePartition(
        tmp_path,
        Release(is_bad=True).inputs,
        is_accepted=decisions.is_accepted,
        on_inputs_stopped=announce,
        on_poison_record=lambda record, _view: notified.append(record.topic),
    )
    partition.put("credit", [b"", b"odd", b"", b"odd"])
    await partition.run_until({"credit": 1})
    await partition.settle()
    stopped = partition.partition.stopped_inputs["credit"]
    assert "credit/0 stops before offset 1, written at 1970-01-01T00:00:00.001+00:00" in stopped.stop.sentence

    decisions.made.add(stopped.stop.stop_id)
    await partition.until({"credit": 3})
    await partition.settle()

    assert [3] == [one.offset for one in partition.partition.stopped_inputs.values()], "it was decided for that record"
    assert [b"stopped credit/1", b"stopped credit/3"] == [
        key for key in partition.producer.sent("t-out") if key.startswith(b"stopped")
    ]
    (letter,) = (
        value for one in partition.producer.rounds for topic, _to, _key, value, _headers in one if topic == "t-dead"
    )
    assert letter is not None
    header, value = letter.split(b"\n", 1)
    assert (stopped.stop.stop_id, 1, b"odd") == (
        orjson.loads(header)["decision"],
        orjson.loads(header)["offset"],
        value,
    )
    assert [] == notified, "the ledger wrote it: nobody waits for an answer"
    assert b"2" == partition.stores["balances"].rows[b"payee"], "what it had changed is rolled back"
