"""What waits at a partition, and what a round takes and sends, is bounded in bytes. No broker needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clearinghub.engine.batch import Batch
from clearinghub.engine.config import ROUND_BYTES_MAX, Input
from clearinghub.engine.record import Record, View
from tests.engine.bench import EPOCH, Consumed, OnePartition
from tests.engine.toy import BALANCES

MIB = 1024 * 1024


def forward(record: Record, view: View) -> None:
    """Send a record on as it is, as a prepare's body is sent on to the payee."""
    view.emit_to_partition("out", view.partition, f"{record.topic}-{record.offset}", record.value)


def one_batch(values: Sequence[bytes], first: int = 0) -> Batch:
    records: list[Any] = [Consumed(first + number, 1, b"key", value) for number, value in enumerate(values)]
    return Batch("prepare", 0, EPOCH, first, first + len(records), records)


def sizes(partition: OnePartition) -> list[int]:
    """Return how many bytes each round has sent."""
    return [
        sum(len(value or b"") for _topic, _partition, _key, value, _headers in one) for one in partition.producer.rounds
    ]


async def test_sixty_large_prepares_are_many_transactions(tmp_path: Path) -> None:
    partition = OnePartition(tmp_path, [Input("prepare", forward)])
    partition.put("prepare", [b"x" * (5 * MIB)] * 60)

    await partition.run_until({"prepare": 60})

    assert max(sizes(partition)) <= ROUND_BYTES_MAX + 2 * 5 * MIB, "a round's bytes and one record's"
    assert [f"prepare-{offset}".encode() for offset in range(60)] == partition.producer.sent("t-out"), "in order"


async def test_a_round_is_bounded_by_what_it_sends_too(tmp_path: Path) -> None:
    def multiply(record: Record, view: View) -> None:
        for _ in range(4):
            view.emit_to_partition("out", view.partition, f"{record.offset}", b"x" * (MIB // 2))

    partition = OnePartition(tmp_path, [Input("party", multiply)])
    partition.put("party", [b"small"] * 40)

    await partition.run_until({"party": 40})

    assert max(sizes(partition)) <= ROUND_BYTES_MAX + 2 * MIB


async def test_a_round_is_bounded_by_the_rows_that_it_writes(tmp_path: Path) -> None:
    def store(record: Record, view: View) -> None:
        view.put(BALANCES, f"row-{record.offset}", "x" * MIB)  # type: ignore[misc]

    partition = OnePartition(tmp_path, [Input("command", store)])
    partition.put("command", [b""] * 40)

    await partition.run_until({"command": 40})

    assert max(sizes(partition)) <= ROUND_BYTES_MAX + 2 * MIB


async def test_small_records_share_a_round_as_before(tmp_path: Path) -> None:
    partition = OnePartition(tmp_path, [Input("prepare", forward)])
    partition.put("prepare", [b"x" * 1_500] * 500)

    await partition.run_until({"prepare": 500})

    assert 1 == len(partition.producer.rounds)


async def test_an_inbox_of_large_records_pauses_its_fetching(tmp_path: Path) -> None:
    partition = OnePartition(tmp_path, [Input("prepare", forward)])
    batch = one_batch([b"x" * (5 * MIB)] * 2)

    assert batch.size >= partition.config.backlog_bytes_max, "two of them are enough"
    head = batch.split(1)
    assert (1, 1) == (len(head.records), len(batch.records))
    assert head.size == batch.size, "what is left is counted anew"


async def test_a_batch_grows_in_bytes_with_what_joins_it() -> None:
    batch = one_batch([b"x" * 100])
    more = one_batch([b"x" * 50], first=1)

    assert batch.join(more.begin, more.end, more.records)
    assert batch.size == 150 + 2 * len(b"key")
