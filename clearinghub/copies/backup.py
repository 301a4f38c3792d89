"""Makes a copy of a hub that works: reads the changelogs to a consistent cut, writes rows and messages to a folder."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition

from clearinghub import __version__
from clearinghub.config import Settings
from clearinghub.copies import CopyError
from clearinghub.copies.balance import BooksOfRows
from clearinghub.copies.changelogs import ChangelogsReader, check_partitions
from clearinghub.copies.cut import Round
from clearinghub.copies.folder import FORMAT, CopiedPartition, CopyWriter, Manifest
from clearinghub.copies.history import PartitionHistory
from clearinghub.copies.in_flight import MessageInFlight, messages_in_flight
from clearinghub.copies.row_store import DiskRowStore, StoredRow
from clearinghub.kafka.access import kafka_access
from clearinghub.kafka.topology import load_topology
from clearinghub.rows import ROW_FORMAT
from tables.counters import COUNTERS, FINAL
from tables.scheme import KEY as SCHEME_KEY
from tables.scheme import SCHEME

PUBLISHED = ("transfers", "positions", "settlement-windows", "settlements", "events", "notification")
Step = Callable[[str, int, int], None]  # what is done, how much of it, how much in all


@dataclass(slots=True)
class _PartitionCopy:
    """What the manifest will say of one partition, beside its files."""

    last_final_state: int = 0
    feature_level: int = 0

    def watch(self, rows: Iterator[StoredRow]) -> Iterator[StoredRow]:
        """Yield rows, and note what the manifest needs of them."""
        for row in rows:
            if row.table == COUNTERS.name and row.key == FINAL.encode():
                self.last_final_state = COUNTERS.decode(row.value)
            elif row.table == SCHEME.name and row.key == SCHEME_KEY.encode():
                self.feature_level = getattr(SCHEME.decode(row.value), "feature_level", 0)
            yield row


async def back_up(settings: Settings, folder: Path, on_step: Step) -> Manifest:
    """Copy all partitions of the running hub into `folder`, and return the manifest.

    Raises:
        CopyError: no copy was made; what was written is deleted again.
        KafkaError: the broker was lost; likewise.
    """
    await check_partitions(settings)
    writer = CopyWriter(folder)
    try:
        with _histories(settings, folder) as (histories, stores):
            cut = await _read_to_cut(settings, histories, on_step)
            messages = await messages_in_flight(settings, cut)
            outputs = await _output_ends(settings)
            manifest = await asyncio.to_thread(_write, settings, writer, cut, stores, messages, outputs, on_step)
        writer.finish(manifest)
    except BaseException:
        writer.discard()
        raise
    return manifest


@contextmanager
def _histories(
    settings: Settings, folder: Path
) -> Iterator[tuple[dict[int, PartitionHistory], dict[int, DiskRowStore]]]:
    """Yield an empty history of each partition, and the stores that they fold rows into."""
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    stores = {number: DiskRowStore(work / str(number)) for number in range(settings.partitions)}
    try:
        yield {number: PartitionHistory(number, store) for number, store in stores.items()}, stores
    finally:
        for store in stores.values():
            store.close()
        shutil.rmtree(work, ignore_errors=True)


async def _read_to_cut(
    settings: Settings, histories: Mapping[int, PartitionHistory], on_step: Step
) -> dict[int, Round]:
    reader = ChangelogsReader(settings, tuple(load_topology().tables), histories)
    try:
        await reader.start()
        await reader.read_all(lambda done, total: on_step("reading the tables", done, total))
        cut = await reader.choose_cut()
    finally:
        await reader.stop()
    for number, history in histories.items():
        history.fold_to(cut[number])
    return cut


async def _output_ends(settings: Settings) -> dict[tuple[str, int], int]:
    places = {
        TopicPartition(settings.topic(topic), number): (topic, number)
        for topic in PUBLISHED
        for number in range(settings.partitions)
    }
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap, isolation_level="read_committed", **kafka_access(settings)
    )
    await consumer.start()
    try:
        return {places[place]: end for place, end in (await consumer.end_offsets(list(places))).items()}
    finally:
        await consumer.stop()


def _write(
    settings: Settings,
    writer: CopyWriter,
    cut: Mapping[int, Round],
    stores: Mapping[int, DiskRowStore],
    messages: list[MessageInFlight],
    outputs: Mapping[tuple[str, int], int],
    on_step: Step,
) -> Manifest:
    books = BooksOfRows()
    partitions, levels = [], {0}
    for done, (number, round_) in enumerate(cut.items()):
        on_step("writing partitions", done, len(cut))
        copied = _PartitionCopy()
        rows_file, counts = writer.write_rows(number, books.add_all(copied.watch(stores[number].rows())))
        own = [one for one in messages if one.receiver == number]
        for one in own:
            books.add_message(one.value)
        messages_file = writer.write_messages(number, own)
        levels.add(copied.feature_level)
        partitions.append(
            CopiedPartition(
                partition=number,
                cut_at=_text(round_.at_ms),
                rows=dict(counts),
                messages=len(own),
                decided=dict(round_.decided),
                outputs={topic: outputs[topic, number] for topic in PUBLISHED},
                last_final_state=copied.last_final_state,
                files=(rows_file, messages_file),
            )
        )
    on_step("writing partitions", len(cut), len(cut))
    if faults := books.faults():
        raise CopyError(
            f"the books do not add up at the cut: {'; '.join(faults[:3])}. Nothing was copied; run `clearinghub audit`"
        )
    return Manifest(
        format=FORMAT,
        release=__version__,
        row_format=ROW_FORMAT,
        feature_level=max(levels),
        hub_name=settings.hub_name,
        application_id=settings.application_id,
        topic_prefix=settings.topic_prefix,
        made_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        balances=books.balances(),
        partitions=tuple(partitions),
    )


def _text(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
