"""The rule of each table: by which name Kafka's partitioner finds the partition of a row."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import pyarrow.compute as pc

from clearinghub.copies import CopyError
from clearinghub.copies.folder import CopyContent
from clearinghub.copies.row_store import StoredRow
from clearinghub.domain.transfers.transfer import Transfer
from clearinghub.engine.partitioner import Partitioner
from tables.batches import split_batch_key
from tables.bulks import BULKS
from tables.claims import CLAIMS, home_of
from tables.questions import topic_key_of
from tables.transfers import TRANSFERS

NameOf = Callable[[str, bytes], str]

# Of every partition its own: made anew for another number of partitions (settlement.py).
PER_PARTITION: Final = frozenset({"counters", "windows", "nets", "settlement"})
# Never restored: inputs and outputs begin anew.
NOT_RESTORED: Final = frozenset({"offsets"})
_REFUSED, _WITH_MONEY, _OPEN = range(3)
_ANY: Final = "any"  # the partitioner needs a topic; all of the group have the same number of partitions


def _first_part(key: str, _value: bytes) -> str:
    return key.partition("/")[0]


def _second_part(key: str, _value: bytes) -> str:
    return key.partition("/")[2]


RULES: Final[Mapping[str, NameOf]] = {
    "transfers": lambda _key, value: TRANSFERS.decode(value).payer,
    "bulks": lambda _key, value: BULKS.decode(value).payer,
    "positions": _first_part,  # participant/currency/account type
    "participants": lambda key, _value: key,
    "quotes": _second_part,  # resource/id; the topic's key is the id
    "parties": lambda key, _value: key,  # type/identifier
    "questions": lambda key, _value: topic_key_of(key),  # window/resource/requester/sub-id/subject
    "batches": lambda key, _value: split_batch_key(key)[0],
}
# Claims of transfers and bulks are on their id's home, which no name finds; those of funds are with their payer.
CLAIMS_OF_PAYERS: Final = "funds/"


class Places:
    """Finds the partition of each row and name."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self._partition_of = Partitioner({_ANY: partitions})

    def of_name(self, name: str) -> int:
        """Return the partition of a participant, an id or any other key."""
        return self._partition_of(_ANY, name)

    def of_row(self, row: StoredRow) -> int:
        """Return the partition of a row of a table with a rule.

        Raises:
            CopyError: the table has no rule, or the row cannot be read.
        """
        if row.table == CLAIMS.name:
            return self._of_claim(row)
        rule = RULES.get(row.table)
        if rule is None:
            raise CopyError(
                f"table {row.table} is not known to this release: restore the copy with the release that made it"
            )
        try:
            return self.of_name(rule(row.key.decode(), row.value))
        except (msgspec.MsgspecError, ValueError) as error:
            raise CopyError(f"row {row.key.decode()} of table {row.table} cannot be read: {error}") from error

    def _of_claim(self, row: StoredRow) -> int:
        key = row.key.decode()
        if key.startswith(CLAIMS_OF_PAYERS):
            return self.of_name(CLAIMS.decode(row.value).payer)
        return home_of(key.partition("/")[2], self.partitions)


class RowOfPartition(NamedTuple):
    """A row, and the partition of the copy that has it."""

    partition: int
    row: StoredRow


def rows_left_out(copy: CopyContent, places: Places) -> set[tuple[int, str, bytes]]:
    """Return which rows are dropped for another of the same key, by partition, table and key.

    Two partitions may know one id: each had a request with it. Where both rows come to one partition, one can stay:
    that which is open, else that which has moved money. What is left out is answered to nobody any more; its money is
    in the accounts.

    Raises:
        CopyError: two rows under one id are open.
    """
    suspects = {table: _keys_known_twice(copy, table) for table in ("transfers", "bulks")}
    if not any(suspects.values()):
        return set()
    found: defaultdict[tuple[int, str, bytes], list[RowOfPartition]] = defaultdict(list)
    for one in copy.manifest.partitions:
        for row in copy.rows(one.partition):
            if row.key in suspects.get(row.table, ()):
                found[places.of_row(row), row.table, row.key].append(RowOfPartition(one.partition, row))
    left_out = set()
    for (_place, table, key), rows in found.items():
        kept = the_one_to_keep(rows)
        left_out |= {(one.partition, table, key) for one in rows if one is not kept}
    return left_out


def _keys_known_twice(copy: CopyContent, table: str) -> frozenset[bytes]:
    counts = pc.value_counts(copy.keys(table))
    twice = counts.filter(pc.greater(counts.field("counts"), 1)) if len(counts) else counts
    return frozenset(twice.field("values").to_pylist()) if len(twice) else frozenset()


def the_one_to_keep(rows: Sequence[RowOfPartition]) -> RowOfPartition:
    """Return the row that stays of several under one id on one partition.

    Raises:
        CopyError: two of them are open, and have money reserved.
    """
    opened = [one for one in rows if _weight(one.row) == _OPEN]
    if len(opened) > 1:
        first, second = opened[:2]
        raise CopyError(
            f"{first.row.key.decode()} of table {first.row.table} is open on partitions {first.partition} and "
            f"{second.partition}, and one partition cannot have both. Wait until one has ended, and copy again; or "
            "restore to the copy's own number of partitions"
        )
    return max(rows, key=lambda one: _weight(one.row))


def _weight(row: StoredRow) -> int:
    """Return how much depends on a row: none, what has moved money, what still holds it."""
    if row.table == BULKS.name:
        bulk = BULKS.decode(row.value)
        if bulk.finished_at_ms is None:
            return _OPEN
        return _WITH_MONEY if bulk.tally.committed or bulk.tally.aborted or bulk.tally.expired else _REFUSED
    transfer: Transfer = TRANSFERS.decode(row.value)
    if not transfer.state.is_final:
        return _OPEN
    return _WITH_MONEY if transfer.was_reserved else _REFUSED


def check_own_partition(copy: CopyContent, partition: int, rows: Iterator[StoredRow]) -> Iterator[StoredRow]:
    """Yield rows, each of which must be on the partition where the rule of its table puts it.

    Raises:
        CopyError: one is not: a restore by the same rule would lose it from sight.
    """
    places = Places(len(copy.manifest.partitions))
    for row in rows:
        if row.table in RULES.keys() | {CLAIMS.name} and places.of_row(row) != partition:
            raise CopyError(
                f"row {row.key.decode()} of table {row.table} is on partition {partition} of the copy, and belongs on "
                f"{places.of_row(row)}: it can be restored to the same number of partitions only"
            )
        yield row


def counted(rows: Iterator[StoredRow], counts: Counter[str]) -> Iterator[StoredRow]:
    """Yield rows, and count them by table."""
    for row in rows:
        counts[row.table] += 1
        yield row
