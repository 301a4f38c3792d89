"""The rows of a partition as of one of its last rounds, from the records of its changelogs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import pytest

from clearinghub.copies import CopyError
from clearinghub.copies.history import Change, PartitionHistory
from clearinghub.engine.hops import HOPS, HopsRow, Received, Sent
from clearinghub.engine.record import INPUTS, OFFSETS, DecidedOffsets
from clearinghub.rows import ROW_FORMAT


class Store:
    """A `RowStore` in memory: the rows of one partition by table."""

    def __init__(self) -> None:
        self.rows: defaultdict[str, dict[bytes, bytes]] = defaultdict(dict)

    def apply(self, table: str, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        for key, value in changes:
            if value is None:
                self.rows[table].pop(key, None)
            else:
                self.rows[table][key] = value


class Lived:
    """A partition whose rounds are written as the engine writes them."""

    def __init__(self) -> None:
        self.store = Store()
        self.history = PartitionHistory(0, self.store)
        self._ends: defaultdict[str, int] = defaultdict(int)
        self._lasts: dict[str, int] = {}

    def round(self, *, sent: int = 0, received: int = 0, **rows: bytes | None) -> None:
        """Commit a round: rows of table `positions`, messages to and from partition 1."""
        by_table: dict[str, list[tuple[bytes, bytes | None]]] = {}
        if rows:
            by_table["positions"] = [(key.encode(), value) for key, value in rows.items()]
        engine: list[tuple[bytes, bytes | None]] = []
        if sent or received:
            row = HopsRow(sent={"credit": Sent(sent + 1, "", 0, 0)}, received={"credit": Received(received, [])})
            engine.append((b"hops/1", HOPS.encode(row)))
        by_table[OFFSETS.name] = [*engine, (INPUTS.encode(), None)]
        for table, changes in by_table.items():
            self._lasts[table] = self._ends[table] + len(changes) - 1
        mark = DecidedOffsets(row_format=ROW_FORMAT, next_offsets={"prepare": 7}, changelog_offsets=dict(self._lasts))
        by_table[OFFSETS.name] = [*engine, (INPUTS.encode(), OFFSETS.encode(mark))]
        for table, changes in by_table.items():
            first = self._ends[table]
            self.history.add(table, (Change(first + n, key, value, 5) for n, (key, value) in enumerate(changes)))
            self._ends[table] += len(changes) + 1  # and the transaction's marker

    def fold(self) -> None:
        self.history.fold_before(dict(self._ends))


def test_rows_as_of_a_round_do_not_have_what_came_later() -> None:
    lived = Lived()
    lived.round(a=b"1", b=b"1")
    lived.round(a=b"2", b=None)
    lived.round(a=b"3", c=b"3")
    rounds = lived.history.rounds()
    lived.history.fold_to(rounds[1])

    assert 3 == len(rounds)
    assert {b"a": b"2"} == lived.store.rows["positions"]


def test_a_round_has_the_numbers_of_its_own_messages() -> None:
    lived = Lived()
    lived.round(sent=1)
    lived.round(sent=4, received=2)
    lived.round(a=b"1")
    numbers = [(one.sent, one.received, one.decided) for one in lived.history.rounds()]

    assert [
        ({(1, "credit"): 1}, {(1, "credit"): 0}, {"prepare": 7}),
        ({(1, "credit"): 4}, {(1, "credit"): 2}, {"prepare": 7}),
        ({(1, "credit"): 4}, {(1, "credit"): 2}, {"prepare": 7}),
    ] == numbers


def test_rounds_before_what_is_folded_cannot_be_had() -> None:
    lived = Lived()
    lived.round(sent=1, a=b"1")
    lived.round(sent=2, a=b"2")
    lived.fold()
    lived.round(sent=3, a=b"3")
    rounds = lived.history.rounds()

    assert [2, 3] == [one.sent[1, "credit"] for one in rounds]
    lived.history.fold_to(rounds[0])
    assert {b"a": b"2"} == lived.store.rows["positions"]


def test_a_round_of_which_a_part_is_not_read_yet_does_not_count() -> None:
    lived = Lived()
    lived.round(a=b"1")
    mark = DecidedOffsets(row_format=ROW_FORMAT, next_offsets={}, changelog_offsets={"positions": 9, "offsets": 3})
    lived.history.add("offsets", [Change(2, INPUTS.encode(), OFFSETS.encode(mark), 5)])

    assert 1 == len(lived.history.rounds())


def test_a_round_of_which_a_changelog_lacks_the_end_does_not_count_yet() -> None:
    """The broker ends a transaction in one log after the other."""
    lived = Lived()
    lived.round(a=b"1")
    mark = DecidedOffsets(row_format=ROW_FORMAT, next_offsets={}, changelog_offsets={"positions": 2, "offsets": 2})
    lived.history.add("offsets", [Change(2, INPUTS.encode(), OFFSETS.encode(mark), 5)])

    assert 1 == len(lived.history.rounds())
    assert "the changelog of table positions goes to 0, and the last round wrote it to 2" in (
        lived.history.lacking() or ""
    )
    lived.history.add("positions", [Change(2, b"a", b"2", 5)])
    assert 2 == len(lived.history.rounds())
    assert lived.history.lacking() is None


def test_a_changelog_without_the_rounds_last_record_is_no_copy() -> None:
    """Its record is gone, and a later one was read."""
    lived = Lived()
    lived.round(a=b"1")
    mark = DecidedOffsets(row_format=ROW_FORMAT, next_offsets={}, changelog_offsets={"positions": 2, "offsets": 2})
    lived.history.add("offsets", [Change(2, INPUTS.encode(), OFFSETS.encode(mark), 5)])
    lived.history.add("positions", [Change(3, b"a", b"3", 5)])

    with pytest.raises(CopyError, match="table positions has no record 2"):
        lived.history.fold_to(lived.history.rounds()[-1])
