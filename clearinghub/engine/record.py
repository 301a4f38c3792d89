"""What the engine hands to a handler: a record of Kafka, and the view that the handler reads and changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

import orjson

from clearinghub.rows import AnyRow, encode_row, make_row_decoder

Row = TypeVar("Row")


class Record(NamedTuple):
    """One record of an input topic. `topic` is its name in topics.yaml, without the deployment's prefix."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes


@dataclass(frozen=True, slots=True)
class TableSpec(Generic[Row]):
    """A table's declaration: its name and how a row becomes bytes.

    `index` gives, for a key and its row, entries under which the row can be found in order, each with whether it is to
    be there at all. Whatever the row's history, its entries must be among those that its last row gives. The index is
    local to the partition, in the same store and the same write as the rows, and rebuilt with them.
    """

    name: str
    encode: Callable[[Row], bytes]
    decode: Callable[[bytes], Row]
    index: Callable[[str, Row], Iterable[tuple[bytes, bool]]] | None = None


def row_table(
    name: str, row_type: type[AnyRow], index: Callable[[str, AnyRow], Iterable[tuple[bytes, bool]]] | None = None
) -> TableSpec[AnyRow]:
    """Return the declaration of a table whose rows are of one type; see `TableSpec` for `index`."""
    return TableSpec(name, encode_row, make_row_decoder(row_type), index)


class View(Protocol):
    """One partition's state during one round, with all that the round has changed so far.

    Nothing that a handler does here is kept unless the round's transaction commits; if the handler raises, all it did
    for that record is forgotten and the record goes to the dead letter.
    """

    @property
    def partition(self) -> int:
        """The partition's number."""

    @property
    def partitions(self) -> int:
        """How many partitions the ledger has."""

    def partition_of(self, topic: str, key: str) -> int:
        """The partition to which `emit` would write that key."""

    def get(self, table: TableSpec[Row], key: str) -> Row | None:
        """The row under `key`, or None."""

    def put(self, table: TableSpec[Row], key: str, row: Row) -> None:
        """Set the row under `key`."""

    def delete(self, table: TableSpec[Row], key: str) -> None:
        """Remove the row under `key`, if there is one."""

    def emit(self, topic: str, key: str, value: bytes) -> None:
        """Write a record to another topic (named as in topics.yaml) in this round's transaction."""

    def emit_to_partition(self, topic: str, partition: int, key: str, value: bytes) -> None:
        """Like `emit`, to a partition chosen here: the next stop of the ring."""


class PunctuatorView(View, Protocol):
    """The view of a punctuator: it also finds rows in the order of an index, as committed before this round."""

    def scan(self, table: TableSpec[Row], start: bytes, end: bytes, count_max: int) -> list[str]:
        """Keys of rows with an index entry in [start, end), in order, at most `count_max`."""


VALUE_BYTES_MAX: Final = 7 * 1024 * 1024  # topics and producers take 8 MiB, keys and headers included

# How long a changelog tells of a row that was removed; a copy that was not level with it for as long may not know.
TOMBSTONES_KEPT_MS: Final = 24 * 60 * 60 * 1000

# How far each input of a partition was decided, written in the round's own transaction as a row like any other.
OFFSETS: Final[TableSpec[dict[str, int]]] = TableSpec("offsets", orjson.dumps, orjson.loads)
INPUTS: Final = "inputs"

# A handler with much to do returns an iterator (it is a generator): at each step of it others get their turn on the
# event loop, while the record stays one decision in one transaction.
Handler = Callable[[Record, View], Iterator[None] | None]
Punctuator = Callable[[PunctuatorView, int], None]  # the second argument is the time in milliseconds
