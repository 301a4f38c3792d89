"""Batches: many records of one topic partition as one Faust event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import faust
from aiokafka import ConsumerRecord
from faust.types import AppT, Message


class Batch:
    """Consecutive records of one topic partition, on their way to the partition's next round.

    `begin` is the consumer's position before the records and `end` its position after them. Positions also step over
    the markers of transactions, so `end` may be higher than the last offset plus one. `epoch` counts assignments: a
    batch fetched under an earlier assignment is void.

    A batch grows by what is fetched next, until a round begins with it (`is_closed`). Otherwise each fetch would become
    a round, and each round costs a transaction.

    `size` counts the bytes of the records' keys and values.
    """

    __slots__ = ("begin", "end", "epoch", "is_closed", "partition", "records", "size", "topic")

    def __init__(
        self, topic: str, partition: int, epoch: int, begin: int, end: int, records: list[ConsumerRecord[bytes, bytes]]
    ) -> None:
        assert begin <= records[0].offset <= records[-1].offset < end
        self.topic = topic
        self.partition = partition
        self.epoch = epoch
        self.begin = begin
        self.end = end
        self.records = records
        self.size = _bytes_of(records)
        self.is_closed = False

    def join(self, begin: int, end: int, records: list[ConsumerRecord[bytes, bytes]]) -> bool:
        """Append records fetched next. Return False if the batch is closed, or if records are missing between.

        `begin` and `end` are the positions before and after the records.
        """
        if self.is_closed or begin != self.end:
            return False
        self.records.extend(records)
        self.size += _bytes_of(records)
        self.end = end
        return True

    def split(self, count: int) -> Batch:
        """Return a batch of the first `count` records, and keep the rest in this batch."""
        assert 0 < count < len(self.records)
        head_end = self.records[count - 1].offset + 1
        head = Batch(self.topic, self.partition, self.epoch, self.begin, head_end, self.records[:count])
        self.records = self.records[count:]
        self.size -= head.size
        self.begin = head_end
        return head


def _bytes_of(records: list[ConsumerRecord[bytes, bytes]]) -> int:
    return sum(len(one.key or b"") + len(one.value or b"") for one in records)


class BatchSchema(faust.Schema):  # type: ignore[misc]
    """Hands batches to agents undecoded: the handlers decode their records."""

    def loads_key(self, _app: AppT, _message: Message, **_kwargs: Any) -> None:
        """Return None: a batch has no key."""

    def loads_value(self, _app: AppT, message: Message, **_kwargs: Any) -> Any:
        return message.value


def runs_of(records: list[Any]) -> Iterator[list[Any]]:
    """Yield runs of records with consecutive offsets."""
    start = 0
    if records[-1].offset - records[0].offset == len(records) - 1:
        yield records
        return
    for index in range(1, len(records) + 1):
        if index == len(records) or records[index].offset != records[index - 1].offset + 1:
            yield records[start:index]
            start = index
