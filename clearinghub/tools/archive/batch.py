"""A batch of records of one partition on its way to files: small enough for the memory, written as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow as pa

from clearinghub.messages import VERSION
from clearinghub.tools.archive import LostRecordsError, UnreadableRecordError
from clearinghub.tools.archive.datasets import DATASETS, Row, rows_of
from clearinghub.tools.archive.files import Span

ROWS_MAX: Final = 50_000
BYTES_MAX: Final = 16 * 1024 * 1024  # of the records' values

_MALFORMED: Final = (KeyError, TypeError, ValueError, OverflowError, msgspec.MsgspecError, pa.ArrowException)


class Part(NamedTuple):
    """The rows of a batch that belong to one folder; `currency` is None for rows without one."""

    dataset: str
    day: str
    currency: str | None
    table: pa.Table


class Batch:
    """Collects the rows of records, by the folder that they belong to."""

    def __init__(self, topic: str, partition: int, begin: int, last_sequence: int | None) -> None:
        """`last_sequence` is the number of the final state before `begin` on topic `transfers`; None if not known."""
        self.records = 0
        self.last_sequence = last_sequence
        self._topic = topic
        self._partition = partition
        self._begin = begin
        self._next = begin
        self._rows = 0
        self._bytes = 0
        self._columns: dict[tuple[str, str, str | None], dict[str, list[Any]]] = {}

    def add(self, offset: int, value: bytes | None) -> None:
        """Add the next record.

        Raises:
            UnreadableRecordError: it is not as its topic's schema says.
            LostRecordsError: on topic `transfers`, it does not follow the record before.
        """
        try:
            record = msgspec.json.decode(value or b"")
            if not isinstance(record, dict) or record.get("v") != VERSION:
                raise ValueError("it is not of this version")
            rows = list(rows_of(self._topic, record))
        except _MALFORMED as error:
            place = f"{self._topic}-{self._partition} at offset {offset}"
            raise UnreadableRecordError(f"{place} cannot be read by this version: {error!r}") from error
        if self._topic == "transfers":
            self._check_sequence(record["sequence"], offset)
        for row in rows:
            columns = self._columns_of(row)
            for name, cell in row.values.items():
                columns[name].append(cell)
            columns["kafka_partition"].append(self._partition)
            columns["kafka_offset"].append(offset)
        self._rows += len(rows)
        self.records += 1
        self._bytes += len(value or b"")
        self._next = offset + 1

    @property
    def is_full(self) -> bool:
        """Whether the batch must be written before more is added."""
        return self._rows >= ROWS_MAX or self._bytes >= BYTES_MAX

    def span(self, end: int | None = None) -> Span:
        """Return the offsets that the batch has completely; up to `end` if there is nothing to read before that."""
        return Span(self._topic, self._partition, self._begin, self._next if end is None else end)

    def parts(self) -> Iterator[Part]:
        """Yield the rows by folder.

        Raises:
            UnreadableRecordError: a number is too large for its column.
        """
        for (dataset, day, currency), columns in sorted(self._columns.items(), key=str):
            try:
                yield Part(dataset, day, currency, pa.Table.from_pydict(columns, schema=DATASETS[dataset]))
            except _MALFORMED as error:
                place = f"{self._topic}-{self._partition} from offset {self._begin}"
                raise UnreadableRecordError(f"{place} cannot be written: {error!r}") from error

    def _columns_of(self, row: Row) -> dict[str, list[Any]]:
        place = row.dataset, row.day, row.currency
        columns = self._columns.get(place)
        if columns is None:
            columns = self._columns[place] = {name: [] for name in DATASETS[row.dataset].names}
        return columns

    def _check_sequence(self, sequence: int, offset: int) -> None:
        before = self.last_sequence
        if before is not None and sequence != before + 1:
            raise LostRecordsError(
                f"transfers-{self._partition} at offset {offset} has final state {sequence}, and {before + 1} is next: "
                "this is not the topic that was archived so far"
            )
        self.last_sequence = sequence
