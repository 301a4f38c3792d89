"""What the changelogs of one partition have said: the rows up to some time ago, and the changes after that in order.

Rows are folded into a store until shortly before the present. The changes after that are kept in memory, so that the
partition's rows can be had as of any round of the last seconds.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, Protocol

from clearinghub.copies import CopyError
from clearinghub.copies.cut import Channel, Round
from clearinghub.engine.hops import HOPS
from clearinghub.engine.record import INPUTS, OFFSETS, DecidedOffsets

_INPUTS_KEY: Final = INPUTS.encode()
_HOPS_PREFIX: Final = b"hops/"


class Change(NamedTuple):
    """One record of a changelog; `value` is None for a removed row."""

    offset: int
    key: bytes
    value: bytes | None
    at_ms: int


class RowStore(Protocol):
    """Where the rows of one partition are gathered."""

    def apply(self, table: str, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Set rows; None removes one."""


class PartitionHistory:
    """The rows of one partition, and its last rounds."""

    def __init__(self, partition: int, store: RowStore) -> None:
        self.partition = partition
        self._store = store
        self._tails: defaultdict[str, deque[Change]] = defaultdict(deque)
        self._seen: dict[str, int] = {}  # by table, the offset of the last change that was read
        self._folded: dict[str, int] = {}  # by table, the offset of the last change in the store
        self._engine_rows: dict[bytes, Change] = {}  # those of table `offsets` in the store

    def add(self, table: str, changes: Iterable[Change]) -> None:
        """Add what was read next from a table's changelog, in the order of offsets."""
        tail = self._tails[table]
        tail.extend(changes)
        if tail:
            self._seen[table] = tail[-1].offset

    @property
    def tail_length(self) -> int:
        """How many changes are kept in memory."""
        return sum(map(len, self._tails.values()))

    @property
    def has_worked(self) -> bool:
        """Whether a ledger of this release has ever opened the partition."""
        marks = (*self._engine_rows.values(), *self._tails[OFFSETS.name])
        return any(one.key == _INPUTS_KEY and _changelogs_of(one) for one in marks)

    def fold_before(self, ends: Mapping[str, int]) -> None:
        """Fold each table's changes before an offset into the store; the rounds before cannot be had any more."""
        for table, end in ends.items():
            self._fold(table, end)

    def rounds(self) -> list[Round]:
        """Return the rounds as of which the rows can be had, oldest first.

        The broker ends a transaction in one changelog after the other, so of the last round some may not be read yet.
        """
        rows = dict(self._engine_rows)
        found = []
        if _INPUTS_KEY in rows:
            found.append(self._round(rows))
        waiting: list[Change] = []
        for change in self._tails[OFFSETS.name]:
            waiting.append(change)
            if change.key != _INPUTS_KEY and _INPUTS_KEY not in {one.key for one in waiting}:
                continue
            mark = next(one for one in waiting if one.key == _INPUTS_KEY)
            if change.offset < _changelogs_of(mark)[OFFSETS.name]:
                continue  # more rows of the same round follow
            rows |= {one.key: one for one in waiting}
            waiting.clear()
            found.append(self._round(rows))
        return [one for one in found if self._has(one)]

    def fold_to(self, round_: Round) -> dict[str, int]:
        """Fold everything up to a round into the store, and forget the rest; return the number of changes by table.

        Raises:
            CopyError: a changelog does not have the record that was the round's last one.
        """
        counts = {}
        for table in {*self._tails, *round_.changelogs}:
            last = round_.changelogs.get(table, -1)
            counts[table] = self._fold(table, last + 1)
            self._tails[table].clear()
            if self._folded.get(table, -1) != last:
                raise CopyError(
                    f"partition {self.partition}: the changelog of table {table} has no record {last}, which was the "
                    f"last of a round; it goes to {self._folded.get(table, -1)}. Run the backup again; if that is no "
                    "help, the changelog has lost records: see docs/recovery.md"
                )
        return counts

    def _fold(self, table: str, end: int) -> int:
        tail = self._tails[table]
        changes = []
        while tail and tail[0].offset < end:
            changes.append(tail.popleft())
        if not changes:
            return 0
        if table == OFFSETS.name:
            self._engine_rows |= {change.key: change for change in changes}
        self._store.apply(table, ((change.key, change.value) for change in changes))
        self._folded[table] = changes[-1].offset
        return len(changes)

    def lacking(self) -> str | None:
        """Say which changelog does not have what the last round wrote to it; None if all have it."""
        marks = (*self._engine_rows.values(), *self._tails[OFFSETS.name])
        last = max((one for one in marks if one.key == _INPUTS_KEY), key=lambda one: one.offset, default=None)
        for table, offset in ({} if last is None else _changelogs_of(last)).items():
            if self._seen.get(table, -1) < offset:
                return (
                    f"partition {self.partition}: the changelog of table {table} goes to {self._seen.get(table, -1)}, "
                    f"and the last round wrote it to {offset}"
                )
        return None

    def _has(self, round_: Round) -> bool:
        is_read = all(self._seen.get(table, -1) >= offset for table, offset in round_.changelogs.items())
        return is_read and all(round_.changelogs.get(table, -1) >= offset for table, offset in self._folded.items())

    def _round(self, rows: Mapping[bytes, Change]) -> Round:
        mark = rows[_INPUTS_KEY]
        decided = _decided(mark)
        sent: dict[Channel, int] = {}
        received: dict[Channel, int] = {}
        for key, change in rows.items():
            if key.startswith(_HOPS_PREFIX) and change.value is not None:
                peer, hops = int(key[len(_HOPS_PREFIX) :]), HOPS.decode(change.value)
                sent |= {(peer, topic): one.next - 1 for topic, one in hops.sent.items()}
                received |= {(peer, topic): one.last for topic, one in hops.received.items()}
        return Round(_changelogs_of(mark), dict(decided.next_offsets), sent, received, mark.at_ms)


def _decided(mark: Change) -> DecidedOffsets:
    assert mark.value is not None
    return OFFSETS.decode(mark.value)


def _changelogs_of(mark: Change) -> Mapping[str, int]:
    return _decided(mark).changelog_offsets
