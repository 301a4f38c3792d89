"""Heavy records are decided in steps, and few in a round. No broker needed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest

from clearinghub.engine.batch import Batch
from clearinghub.engine.config import Input
from clearinghub.engine.environment import Environment
from clearinghub.engine.errors import PartitionStoppedError
from clearinghub.engine.exchange import Outlets
from clearinghub.engine.partition import HEAVY_ROUND_BYTES, Partition
from clearinghub.engine.record import OFFSETS, Punctuator, PunctuatorView, Record, TableSpec, View
from clearinghub.engine.relay import Relay
from clearinghub.engine.store import TableChanges
from clearinghub.engine.transaction import Outgoing
from tests.engine.bench import offsets_at
from tests.engine.toy import BALANCES, toy_config

EPOCH = 1
# A row that the encoder refuses, and one that the broker would refuse.
UNWRITABLE: dict[bytes, Any] = {b"no text": "\ud800", b"no number": 2**64, b"too long": "x" * 8 * 1024 * 1024}


class ComplaintError(Exception):
    """Raised by a handler; its repr is its text, whatever that is."""

    def __repr__(self) -> str:
        return str(self)


class Consumed(NamedTuple):
    """A record as the consumer returns it."""

    offset: int
    timestamp: int
    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass
class MemoryProducer:
    rounds: list[list[Outgoing]] = field(default_factory=list)

    async def commit(self, outgoing: Iterable[Outgoing], _foreseen: object) -> dict[tuple[str, int], int]:
        self.rounds.append(list(outgoing))
        return {(topic, partition): 0 for topic, partition, *_rest in self.rounds[-1]}

    async def stop(self) -> None: ...

    def emitted(self) -> list[list[bytes]]:
        """Return the keys of the records of topic `out`, round by round."""
        return [[key for topic, _partition, key, *_rest in one if topic == "t-out"] for one in self.rounds]


@dataclass
class MemoryStore:
    rows: dict[bytes, bytes | None] = field(default_factory=dict)

    def row(self, _partition: int, key: bytes) -> bytes | None:
        return self.rows.get(key)

    def apply(self, _spec: TableSpec[Any], _partition: int, changes: TableChanges, _offset: int) -> None:
        self.rows |= changes.rows


@dataclass
class Bench:
    """One partition with inputs `light` and `heavy`."""

    folder: Path
    heavy_bytes: int = 0
    complaint: str = "in the middle"
    empty: set[int] = field(default_factory=set)
    producer: MemoryProducer = field(default_factory=MemoryProducer)
    stores: dict[str, MemoryStore] = field(
        default_factory=lambda: {one: MemoryStore() for one in ("balances", "offsets")}
    )
    failures: list[BaseException] = field(default_factory=list)
    turns: int = 0  # that other tasks had on the event loop
    punctuators: tuple[Punctuator, ...] = ()
    steady_s: Callable[[], float] = time.monotonic

    def dead_letters(self) -> list[bytes]:
        sent = (one for outgoing in self.producer.rounds for one in outgoing)
        return [value or b"" for topic, _partition, _key, value, _headers in sent if topic == "t-dead"]

    def decided(self) -> dict[str, int]:
        """Return how far the inputs are decided."""
        data = self.stores["offsets"].rows.get(b"inputs")
        return {} if data is None else OFFSETS.decode(data).next_offsets

    def on_light(self, record: Record, view: View) -> None:
        view.emit_to_partition("out", view.partition, f"light-{record.offset}", b"")

    def on_heavy(self, record: Record, view: View) -> Iterator[None]:
        for step in range(3):
            view.put(BALANCES, f"row-{record.offset}", step)
            view.emit_to_partition("out", view.partition, f"heavy-{record.offset}", b"x" * (self.heavy_bytes // 3))
            yield
            if record.value == b"read":
                view.get(BALANCES, "unreadable")
            if record.value == b"stop":
                raise PartitionStoppedError("unknown-message", "in/0 at 1", "")
            if (record.value.startswith(b"poison") or record.offset in self.empty) and step == 1:
                raise ComplaintError(self.complaint)
            if record.value in UNWRITABLE:
                view.put(BALANCES, f"row-{record.offset}", UNWRITABLE[record.value])

    async def run(self, light: int, heavy: Sequence[bytes | None]) -> None:
        """Put records into the partition's inbox, and run it until all are decided."""
        self.empty = {offset for offset, value in enumerate(heavy) if value is None}
        config = replace(
            toy_config("none", "t-", self.folder),
            tables=(BALANCES,),
            inputs=(Input("light", self.on_light), Input("heavy", self.on_heavy, is_heavy=True)),
            punctuators=self.punctuators,
            environment=Environment(steady_s=self.steady_s),
        )
        partition = Partition(
            config,
            0,
            EPOCH,
            Outlets(self.producer, Relay(config)),  # type: ignore[arg-type]
            self.stores,  # type: ignore[arg-type]
            offsets_at({"light": 0, "heavy": 0}),
            self.failures.append,
        )
        now_ms = time.time_ns() // 1_000_000
        for topic, values in (("light", [b""] * light), ("heavy", heavy)):
            records: list[Any] = [Consumed(offset, now_ms, b"key", value) for offset, value in enumerate(values)]
            if records:
                partition.accept(topic, Batch(topic, 0, EPOCH, 0, len(records), records))
        partition.start()
        decided = {"light": light, "heavy": len(heavy)}
        while not self.failures and self.decided() != decided:
            self.turns += 1
            await asyncio.sleep(0)
        await partition.close(1)
        if self.failures:
            raise self.failures[0]


async def test_others_have_their_turn_at_every_step(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    await bench.run(0, [b""])

    assert [[b"heavy-0"] * 3] == bench.producer.emitted(), "one round all the same"
    assert bench.turns >= 3


async def test_what_raises_in_the_middle_leaves_nothing_but_its_dead_letter(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    await bench.run(1, [b"", b"poison", b""])

    keys = [key for one in bench.producer.emitted() for key in one]
    assert [b"light-0", *[b"heavy-0"] * 3, *[b"heavy-2"] * 3] == keys
    assert {b"row-0", b"row-2"} == bench.stores["balances"].rows.keys()
    assert 1 == len(bench.dead_letters())
    assert b"in the middle" in bench.dead_letters()[0]


@pytest.mark.parametrize("value", UNWRITABLE)
async def test_a_row_that_cannot_be_written_takes_no_other_with_it(tmp_path: Path, value: bytes) -> None:
    bench = Bench(tmp_path)

    await bench.run(1, [b"", value, b""])

    assert {b"row-0", b"row-2"} == bench.stores["balances"].rows.keys()
    assert 1 == len(bench.dead_letters())
    assert value == bench.dead_letters()[0].partition(b"\n")[2]


async def test_a_record_without_a_value_is_a_dead_letter(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    await bench.run(0, [b"", None, b""])

    assert {b"row-0", b"row-2"} == bench.stores["balances"].rows.keys()
    assert 1 == len(bench.dead_letters())


async def test_a_dead_letter_that_would_be_too_large_is_sent_without_its_record(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    value = b"poison" + b"x" * (7 * 1024 * 1024 - 100)

    await bench.run(1, [value, b""])

    about, _newline, kept = bench.dead_letters()[0].partition(b"\n")
    assert len(value) == orjson.loads(about)["bytesLeftOut"]
    assert b"" == kept
    assert {b"row-1"} == bench.stores["balances"].rows.keys()


async def test_what_an_error_quotes_does_not_stop_its_own_dead_letter(tmp_path: Path) -> None:
    bench = Bench(tmp_path, complaint="\ud800")

    await bench.run(0, [b"poison"])

    assert 1 == len(bench.dead_letters())


async def test_what_the_broker_would_refuse_is_a_dead_letter_and_not_the_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path, heavy_bytes=3 * 8 * 1024 * 1024)

    await bench.run(1, [b""])

    assert [[b"light-0"]] == bench.producer.emitted()
    assert {} == bench.stores["balances"].rows


async def test_a_round_takes_one_that_fills_it_and_many_that_do_not(tmp_path: Path) -> None:
    full, small = Bench(tmp_path, heavy_bytes=HEAVY_ROUND_BYTES + 3), Bench(tmp_path, heavy_bytes=300)

    await full.run(0, [b""] * 3)
    await small.run(0, [b""] * 3)

    assert [1, 1, 1] == [len(set(one)) for one in full.producer.emitted()]
    assert [3] == [len(set(one)) for one in small.producer.emitted()]


async def test_a_crowd_of_others_does_not_keep_a_heavy_record_out(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    await bench.run(1_200, [b""])

    first = bench.producer.emitted()[0]
    assert 500 + 3 == len(first), "a round's worth of the others, and one"
    assert b"heavy-0" in first


async def test_the_first_round_punctuates_before_it_decides_even_when_the_clock_has_just_begun(tmp_path: Path) -> None:
    def punctuate(view: PunctuatorView, _now_ms: int) -> None:
        view.emit_to_partition("out", view.partition, "punctuator", b"")

    bench = Bench(tmp_path, punctuators=(punctuate,), steady_s=lambda: 0.0)
    await bench.run(light=1, heavy=[])

    assert [[b"punctuator", b"light-0"]] == bench.producer.emitted()


async def test_a_handler_that_must_stop_its_partition_dead_letters_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    with pytest.raises(PartitionStoppedError, match="unknown-message"):
        await bench.run(0, [b"", b"stop", b""])
    assert [] == bench.dead_letters()


async def test_nor_does_a_row_that_cannot_be_read(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.stores["balances"].rows[b"unreadable"] = b"[1,"

    with pytest.raises(PartitionStoppedError, match="unreadable-row: partition 0: row 'unreadable' of table balances"):
        await bench.run(0, [b"", b"read", b""])
    assert [] == bench.dead_letters()
