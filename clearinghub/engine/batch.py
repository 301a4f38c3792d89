"""Batches: many records of one partition as one Faust event, growing while they wait."""

from __future__ import annotations

from typing import Any

import faust
from aiokafka import ConsumerRecord
from faust.types import AppT, Message


class Batch:
    """Records of one topic partition that a partition's round will take.

    `begin` is where it starts and `end` where the next one will: the consumer's positions, which also step over the
    markers of transactions. `epoch` counts assignments: a batch of an earlier one is void. While nobody has taken the
    batch, what is fetched next for the partition joins it; without this, each fetch would be a transaction of its own.
    """

    __slots__ = ("begin", "end", "epoch", "partition", "records", "taken", "topic")

    def __init__(
        self, topic: str, partition: int, epoch: int, begin: int, end: int, records: list[ConsumerRecord[bytes, bytes]]
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.epoch = epoch
        self.begin = begin
        self.end = end
        self.records = records
        self.taken = False

    def join(self, begin: int, end: int, records: list[ConsumerRecord[bytes, bytes]]) -> bool:
        """Add what was fetched right behind; False when the batch was taken and cannot grow."""
        if self.taken or begin != self.end:
            return False
        self.records.extend(records)
        self.end = end
        return True

    def split(self, count: int) -> Batch:
        """Take the first `count` records out; the rest stays here."""
        head = Batch(self.topic, self.partition, self.epoch, self.begin, 0, self.records[:count])
        self.records = self.records[count:]
        head.end = self.begin = head.records[-1].offset + 1
        return head


class BatchSchema(faust.Schema):  # type: ignore[misc]
    """Passes a batch through untouched: its records are decoded by their handlers."""

    def loads_key(self, _app: AppT, _message: Message, **_kwargs: Any) -> None:
        """A batch has no key of its own."""

    def loads_value(self, _app: AppT, message: Message, **_kwargs: Any) -> Any:
        """The batch itself."""
        return message.value
