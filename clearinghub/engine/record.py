"""What the engine and its handlers share: records, tables, and the view of a partition's state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from clearinghub.engine.errors import StoredFormatError
from clearinghub.rows import ROW_FORMAT, AnyRow, Row, encode_row, make_row_decoder

RowT = TypeVar("RowT")

# Topics and producers take 8 MiB, which counts a record's key and headers too.
VALUE_BYTES_MAX: Final = 7 * 1024 * 1024

# A removed row leaves a tombstone in the changelog, for this long. A local copy that was not caught up for that time
# may have missed the removal.
TOMBSTONES_KEPT_MS: Final = 24 * 60 * 60 * 1000


class Record(NamedTuple):
    """One record of an input topic. `topic` is its name in topics.yaml, without the deployment's prefix."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes


@dataclass(frozen=True, slots=True)
class TableSpec(Generic[RowT]):
    """The declaration of a table: its name, and how a row becomes bytes.

    `index` returns, for a key and its row, all index entries that the row may ever have had, each with True if the row
    has it now. Entries are scanned in order (`PunctuatorView.scan`). The index is local to the partition: it is written
    to the same store, in the same write as the rows, and rebuilt with them.
    """

    name: str
    encode: Callable[[RowT], bytes]
    decode: Callable[[bytes], RowT]
    index: Callable[[str, RowT], Iterable[tuple[bytes, bool]]] | None = None


def row_table(
    name: str, row_type: type[AnyRow], index: Callable[[str, AnyRow], Iterable[tuple[bytes, bool]]] | None = None
) -> TableSpec[AnyRow]:
    """Return the declaration of a table whose rows are of one type; see `TableSpec` for `index`."""
    return TableSpec(name, encode_row, make_row_decoder(row_type), index)


class Number(Row, frozen=True, array_like=True):
    """A row that is one number."""

    value: int


def number_table(name: str) -> TableSpec[int]:
    """Return the declaration of a table whose rows are single numbers, which handlers read and write as `int`."""
    decode = make_row_decoder(Number)
    return TableSpec(name, lambda number: encode_row(Number(number)), lambda data: decode(data).value)


class View(Protocol):
    """The state of one partition during one round, with all that the round has changed so far.

    Changes take effect when the round's transaction commits. If a handler raises, its changes are rolled back and its
    record goes to the dead-letter topic.
    """

    @property
    def partition(self) -> int:
        """The number of the partition."""

    @property
    def partitions(self) -> int:
        """The number of partitions that the ledger has."""

    def partition_of(self, topic: str, key: str) -> int:
        """Return the partition to which `emit` would write that key."""

    def keys(self, table: TableSpec[RowT], prefix: str, after: str, count_max: int) -> list[str]:
        """Return the keys that begin with `prefix` and come after the key `after`, in order, at most `count_max`.

        They are those of the rows as this round sees them, so that a replay finds the same.
        """

    def get(self, table: TableSpec[RowT], key: str) -> RowT | None:
        """Return the row under `key`, or None."""

    def put(self, table: TableSpec[RowT], key: str, row: RowT) -> None:
        """Set the row under `key`."""

    def delete(self, table: TableSpec[RowT], key: str) -> None:
        """Remove the row under `key`, if there is one."""

    def emit(self, topic: str, key: str, value: bytes) -> None:
        """Write a record to another topic, named as in topics.yaml, if this round commits.

        A record for another partition follows the commit by itself, in order (relay.py). Only inputs have such.
        """

    def emit_to_partition(self, topic: str, partition: int, key: str, value: bytes) -> None:
        """Write a record to a partition that the caller chooses, e.g. the next partition of the ring."""


class PunctuatorView(View, Protocol):
    """The view of a punctuator, which can also scan a table's index. A scan sees only what earlier rounds committed."""

    def scan(self, table: TableSpec[RowT], start: bytes, end: bytes, count_max: int) -> list[str]:
        """Return the keys of rows with an index entry in [start, end), in the entries' order, at most `count_max`."""


# Decides one record. A handler with much to do is a generator: after each `yield` other work gets the event loop, while
# the record stays one decision in one transaction.
Handler = Callable[[Record, View], Iterator[None] | None]
# Runs at an interval, whether records come or not; the second argument is the worker's time in milliseconds since 1970.
Punctuator = Callable[[PunctuatorView, int], None]


class LastRecord(msgspec.Struct, frozen=True, array_like=True):
    """A record by which an input's log is known again: its offset, its time, the CRC-32 of its key and value."""

    offset: int
    timestamp_ms: int
    crc: int


class DecidedOffsets(Row, frozen=True, array_like=True):
    """How far a partition has decided its inputs, and what the broker must still have of it (ADR 28).

    `next_offsets` has, by topic, the offset of the first record not decided yet; `last_records` the last record that
    was decided. `changelog_offsets` has, by table, the offset of the last record of its changelog, this round's
    included. The row is written in the transaction of every round that changes a table. `row_format` is the format of
    all rows of the partition's tables.
    """

    row_format: int
    next_offsets: dict[str, int]
    last_records: dict[str, LastRecord] = msgspec.field(default_factory=dict)
    changelog_offsets: dict[str, int] = msgspec.field(default_factory=dict)
    committed_ms: int = 0  # the worker's time of the round


OFFSETS: Final = row_table("offsets", DecidedOffsets)
INPUTS: Final = "inputs"  # the key of the table's only row


def read_decided_offsets(partition: int, data: bytes) -> DecidedOffsets:
    """Return the row of a partition's decided offsets.

    Raises:
        StoredFormatError: it is not such a row, or its tables hold rows of another format.
    """
    try:
        decided = OFFSETS.decode(data)
    except (msgspec.MsgspecError, ValueError) as error:
        raise StoredFormatError(f"partition {partition}: its row of offsets cannot be read: {error}") from error
    if decided.row_format != ROW_FORMAT:
        raise StoredFormatError(f"partition {partition}: rows of format {decided.row_format}, not {ROW_FORMAT}")
    return decided
