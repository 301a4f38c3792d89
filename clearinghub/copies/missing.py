"""Tells what a copy does not have: transfers that were finished after its cut, from the archive or the old topics.

Each partition numbers its final states without a gap, and the copy knows the last number; so what has a higher one came
after it, and no clock is needed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow.dataset as ds
from aiokafka import AIOKafkaConsumer, TopicPartition

from clearinghub.config import Settings
from clearinghub.copies import CopyError
from clearinghub.copies.folder import Manifest
from clearinghub.kafka.access import kafka_access
from clearinghub.messages.published import TransferRecord

FETCH_TIMEOUT_MS: Final = 200
UNITS: Final = 10_000  # of an amount in one currency unit
_RECORD: Final = msgspec.json.Decoder(TransferRecord)
_COLUMNS: Final = (
    "kafka_partition",
    "sequence",
    "transfer_id",
    "kind",
    "payer",
    "payee",
    "amount",
    "currency",
    "state",
    "finished_at",
)


class FinishedAfter(NamedTuple):
    """A transfer, or funds in or out, that was finished after the cut; `amount` in 1/10,000 of the currency unit."""

    partition: int
    sequence: int
    transfer_id: str
    kind: str
    payer: str
    payee: str
    amount: int
    currency: str
    state: str
    finished_at: str


def finished_in_archive(manifest: Manifest, archive: Path) -> Iterator[FinishedAfter]:
    """Yield what the archive has of the time after the cut, by partition in order.

    Raises:
        CopyError: the folder has no archived transfers.
    """
    folder = archive / "transfers"
    if not folder.is_dir():
        raise CopyError(f"{folder} does not exist: --archive needs the folder that `clearinghub archive` writes")
    files = ds.dataset(folder, format="parquet", partitioning="hive")
    for one in manifest.partitions:
        is_later = (ds.field("kafka_partition") == one.partition) & (ds.field("sequence") > one.last_final_state)
        found = files.to_table(columns=list(_COLUMNS), filter=is_later).sort_by("sequence")
        yield from map(_from_archive, found.to_pylist())


async def finished_on_topic(manifest: Manifest, settings: Settings) -> AsyncIterator[FinishedAfter]:
    """Yield what topic `transfers` of the old hub has of the time after the cut, by partition in order.

    `settings` have the old hub's broker.

    Raises:
        KafkaError: the broker cannot be read.
        CopyError: the topic has dropped records of the time after the cut.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap,
        isolation_level="read_committed",
        auto_offset_reset="none",
        fetch_max_wait_ms=FETCH_TIMEOUT_MS,
        **kafka_access(settings),
    )
    await consumer.start()
    try:
        for one in manifest.partitions:
            place = TopicPartition(f"{manifest.topic_prefix}transfers", one.partition)
            next_number = one.last_final_state + 1
            async for record in _records(consumer, place):
                if record.sequence < next_number:
                    continue
                if record.sequence > next_number:
                    raise CopyError(
                        f"{place.topic}-{place.partition} has no final states {next_number} to {record.sequence - 1} "
                        "any more: look into the archive (--archive)"
                    )
                next_number += 1
                yield _from_topic(one.partition, record)
    finally:
        await consumer.stop()


async def _records(consumer: AIOKafkaConsumer, place: TopicPartition) -> AsyncIterator[TransferRecord]:
    consumer.assign([place])
    end = (await consumer.end_offsets([place]))[place]
    first = (await consumer.beginning_offsets([place]))[place]
    consumer.seek(place, first)
    while await consumer.position(place) < end:
        fetched = await consumer.getmany(timeout_ms=FETCH_TIMEOUT_MS)
        for record in fetched.get(place, ()):
            yield _RECORD.decode(record.value)


def _from_topic(partition: int, record: TransferRecord) -> FinishedAfter:
    return FinishedAfter(
        partition,
        record.sequence,
        record.transfer_id,
        record.kind,
        record.payer,
        record.payee,
        record.amount,
        record.currency,
        record.state,
        record.finished_at,
    )


def _from_archive(row: dict[str, Any]) -> FinishedAfter:
    row["amount"] = int(row["amount"] * UNITS)
    row["finished_at"] = row["finished_at"].isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return FinishedAfter(*(row[name] for name in _COLUMNS))
