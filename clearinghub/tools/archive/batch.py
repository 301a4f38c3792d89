"""A run of records of one partition on its way to files: few enough for the memory, and at once or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import orjson
import pyarrow as pa

from clearinghub.messages import VERSION
from clearinghub.tools.archive.errors import LostRecordsError, UnreadableRecordError
from clearinghub.tools.archive.files import Span
from clearinghub.tools.archive.schemas import DATASETS, Row, rows_of

ROWS_MAX: Final = 50_000
BYTES_MAX: Final = 16 * 1024 * 1024  # of records as they came

_MALFORMED: Final = (KeyError, TypeError, ValueError, OverflowError, pa.ArrowException)


class Part(NamedTuple):
    """What a batch has for one folder; `currency` None for rows of none."""

    dataset: str
    day: str
    currency: str | None
    table: pa.Table


class Batch:
    """Collects rows by the folder that they belong to."""

    def __init__(self, topic: str, partition: int, begin: int, last_sequence: int | None) -> None:
        """`last_sequence` is that of the record before `begin` on topic `transfers`; None if it is not known."""
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
        """Take the next record.

        Raises:
            UnreadableRecordError: it is not as its topic's page says.
            LostRecordsError: on topic `transfers`, it does not follow the one before.
        """
        try:
            record = orjson.loads(value or b"")
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
            for name, told in row.values.items():
                columns[name].append(told)
            columns["kafka_partition"].append(self._partition)
            columns["kafka_offset"].append(offset)
        self._rows += len(rows)
        self.records += 1
        self._bytes += len(value or b"")
        self._next = offset + 1

    @property
    def is_full(self) -> bool:
        """Whether it is to be written before more is taken."""
        return self._rows >= ROWS_MAX or self._bytes >= BYTES_MAX

    def span(self, end: int | None = None) -> Span:
        """The offsets that it has all of; up to `end` if nothing is left to read before."""
        return Span(self._topic, self._partition, self._begin, self._next if end is None else end)

    def parts(self) -> Iterator[Part]:
        """All that it has, one for each folder.

        Raises:
            UnreadableRecordError: a number is none that a record can hold.
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
