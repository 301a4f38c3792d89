"""A record that may not be dead-lettered stops its input when its handler raises, and no other. No broker needed."""

from __future__ import annotations

from pathlib import Path

from clearinghub.engine.config import Input
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
