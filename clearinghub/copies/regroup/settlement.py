"""Counters, windows and nets on another number of partitions: what each new partition begins with.

Nets belong to their accounts and go with these. Ids and final states go on after the highest of all partitions. All
partitions begin in the latest window. A window that was being closed is closed anew: every new partition waits for the
markers of all, and gets the order to close before anything else (agents/settlement/closing.py).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec.structs import replace

from clearinghub.copies import CopyError
from clearinghub.copies.balance import UNCLOSED
from clearinghub.copies.regroup.rows import Places
from clearinghub.copies.row_store import StoredRow
from clearinghub.domain.settlement.window import Window, WindowState
from tables.counters import COUNTERS, FINAL, IDS, REPORTED, STORED
from tables.nets import MARKERS, WindowMarkers, markers_key
from tables.scheme import KEY as SCHEME_KEY
from tables.scheme import SCHEME
from tables.settlements import SETTLEMENT_WINDOWS
from tables.transfers import TRANSFERS
from tables.windows import FIRST_WINDOW, OPEN, WINDOWS

Rows = Mapping[str, bytes]  # of one table, by key
_REPORTED_AGAIN: Final = frozenset({WindowState.PROCESSING, WindowState.FAILED})
_LATEST_WINDOW: Final = "window"  # counter of the coordinator
# Rows of the coordinator about a window that is being closed, which the partitions will report again.
_REPORTED: Final = frozenset({"entry", "publication", "report", "sums"})


class PerPartitionRows:
    """Collects the rows of which every partition has its own, and makes those of the new partitions."""

    def __init__(self, partitions: int, places: Places, hub_name: str) -> None:
        """`partitions` is the number that the copy has; `places` are those of the new partitions."""
        self._old_partitions = partitions
        self._places = places
        self._coordinator = places.of_name(hub_name)
        self._rows: defaultdict[tuple[str, int], dict[str, bytes]] = defaultdict(dict)
        self._renumbered: Counter[int] = Counter()

    def take(self, partition: int, row: StoredRow) -> None:
        """Take a row of an old partition."""
        self._rows[row.table, partition][row.key.decode()] = row.value

    def take_counters(self, partition: int, rows: Iterable[StoredRow]) -> None:
        """Take the counters of an old partition; those of all are needed before the first transfer."""
        for row in rows:
            self.take(partition, row)

    def renumbered(self, partition: int, place: int, row: StoredRow) -> StoredRow:
        """Return a row for its new partition: a transfer whose id is not reported yet gets the next number there.

        All numbers up to the highest count as reported on every new partition (agents/claims.py).
        """
        if row.table != TRANSFERS.name:
            return row
        transfer = TRANSFERS.decode(row.value)
        if transfer.number is None or transfer.number <= self._counter(partition, REPORTED):
            return row
        self._renumbered[place] += 1
        number = self._highest(STORED) + self._renumbered[place]
        return row._replace(value=TRANSFERS.encode(replace(transfer, number=number)))

    def _counter(self, partition: int, name: str) -> int:
        value = self._rows.get((COUNTERS.name, partition), {}).get(name)
        return 0 if value is None else COUNTERS.decode(value)

    def _highest(self, name: str) -> int:
        return max(self._counter(number, name) for number in range(self._old_partitions))

    def processing_windows(self) -> list[int]:
        """Return the windows that were being closed at the cut."""
        return sorted(number for number, one in self._windows().items() if one.state is WindowState.PROCESSING)

    def rows(self) -> Iterator[tuple[int, StoredRow]]:
        """Yield the rows of the new partitions, each with the partition."""
        yield from self._counters()
        yield from self._open_windows()
        yield from self._nets()
        yield from self._settlement()

    def _of(self, table: str) -> Iterator[tuple[int, Rows]]:
        for number in range(self._old_partitions):
            yield number, self._rows.get((table, number), {})

    def _windows(self) -> dict[int, Window]:
        rows = (item for _, rows in self._of("settlement") for item in rows.items())
        windows = (SETTLEMENT_WINDOWS.decode(value) for key, value in rows if key.startswith("window/"))
        return {one.window_id: one for one in windows}

    def _counters(self) -> Iterator[tuple[int, StoredRow]]:
        highest_id = 0
        last_final, stored = self._highest(FINAL), self._highest(STORED)
        others: dict[str, bytes] = {}
        for number, rows in self._of(COUNTERS.name):
            count = COUNTERS.decode(rows[IDS]) if IDS in rows else 0
            # As `next_id` counts: the last id of a partition is (count - 1) * partitions + partition + 1.
            highest_id = max(highest_id, (count - 1) * self._old_partitions + number + 1 if count else 0)
            for name in rows.keys() - {IDS, FINAL, STORED, REPORTED}:
                if name in others:
                    raise CopyError(f"counter {name} is on two partitions: this release does not know how to join them")
                others[name] = rows[name]
        used = -(-highest_id // self._places.partitions)  # so many ids of each new partition are not above it
        for number in range(self._places.partitions):
            yield number, _row(COUNTERS.name, IDS, COUNTERS.encode(used))
            yield number, _row(COUNTERS.name, FINAL, COUNTERS.encode(last_final))
            yield number, _row(COUNTERS.name, STORED, COUNTERS.encode(stored + self._renumbered[number]))
            yield number, _row(COUNTERS.name, REPORTED, COUNTERS.encode(stored))
        for name, value in others.items():
            yield self._coordinator, _row(COUNTERS.name, name, value)

    def _open_windows(self) -> Iterator[tuple[int, StoredRow]]:
        latest = FIRST_WINDOW
        for _, rows in self._of(COUNTERS.name):
            if _LATEST_WINDOW in rows:
                latest = COUNTERS.decode(rows[_LATEST_WINDOW])
        for number in range(self._places.partitions):
            yield number, _row(WINDOWS.name, OPEN, WINDOWS.encode(latest))

    def _nets(self) -> Iterator[tuple[int, StoredRow]]:
        windows = self._windows()
        unclosed = {number for number, one in windows.items() if one.state in UNCLOSED} or {FIRST_WINDOW}
        seen: Counter[str] = Counter()
        scheme: bytes | None = None
        for _, rows in self._of("nets"):
            for key, value in rows.items():
                kind, _, rest = key.partition("/")
                if kind == SCHEME_KEY:
                    scheme = value if scheme is None else _newer_scheme(scheme, value)
                elif kind == "net" and int(rest.partition("/")[0]) in unclosed:
                    seen[key] += 1
                    yield self._places.of_name(_participant_of_net(key)), _row("nets", key, value)
        twice = [key for key, count in seen.items() if count > 1]
        if twice:
            raise CopyError(
                f"net {twice[0]} is on two partitions of the copy; a participant's nets are on its own only"
            )
        for number in range(self._places.partitions):
            if scheme is not None:
                yield number, _row("nets", SCHEME_KEY, scheme)
            for window in sorted(unclosed):
                if window in windows and windows[window].state is not WindowState.OPEN:
                    yield number, _row("nets", markers_key(window), MARKERS.encode(WindowMarkers()))

    def _settlement(self) -> Iterator[tuple[int, StoredRow]]:
        windows = self._windows()
        processing = self.processing_windows()
        again = {str(number) for number, one in windows.items() if one.state in _REPORTED_AGAIN}
        for _, rows in self._of("settlement"):
            for key, value in rows.items():
                kind, number = key.split("/")[:2]
                if kind in _REPORTED and number in again:
                    continue
                row = value
                if key.startswith("window/") and SETTLEMENT_WINDOWS.decode(value).window_id in processing:
                    row = SETTLEMENT_WINDOWS.encode(replace(SETTLEMENT_WINDOWS.decode(value), reported=(), contents=()))
                yield self._coordinator, _row("settlement", key, row)


def _participant_of_net(key: str) -> str:
    """Return the participant in the key of a net: net/window/currency/account type/granularity/participant/other."""
    return key.split("/")[5]


def _newer_scheme(one: bytes, other: bytes) -> bytes:
    return max(one, other, key=lambda value: SCHEME.decode(value).hub_version)


def _row(table: str, key: str, value: bytes) -> StoredRow:
    return StoredRow(table, key.encode(), value)
