"""The simulated store does what the real one does: the same steps on both, with the same results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faust.types import TP

from clearinghub.engine.app import EngineApp
from clearinghub.engine.config import EngineConfig, Input
from clearinghub.engine.record import TableSpec
from clearinghub.engine.store import TableChanges
from tests.simulation.disk import Disk, SimulatedStore, SimulatedTable


def _entries(key: str, row: bytes) -> Iterator[tuple[bytes, bool]]:
    """Index a row by its first byte, unless that is `x`."""
    yield b"by:" + row[:1] + key.encode(), not row.startswith(b"x")


SPEC: TableSpec[bytes] = TableSpec("rows", bytes, bytes, _entries)
CHANGELOG = TP("app-rows-changelog", 0)


def real(folder: Path) -> Any:
    app = EngineApp(
        EngineConfig(
            application_id="app",
            bootstrap="127.0.0.1:1",
            partitions=2,
            inputs=(Input("in", lambda _record, _view: None),),
            tables=(SPEC,),
            output_partitions={},
            dead_letter_topic="dead",
            data_dir=folder,
        )
    )
    app.finalize()
    return app._ledger_tables["rows"]


def simulated(_folder: Path) -> Any:
    return SimulatedTable("rows", SimulatedStore(Disk(), "rows", lambda _point: None))


@pytest.fixture(params=[real, simulated])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    make: Callable[[Path], Any] = request.param
    return make(tmp_path)


def put(table: Any, offset: int, partition: int = 0, **rows: bytes | None) -> None:
    changes = TableChanges({}, [])
    for key, value in rows.items():
        if value is None:
            changes.rows[key.encode()] = None
        else:
            changes.set(SPEC, key, value, value)
    table.data.apply(SPEC, partition, changes, offset)


def found(table: Any, count_max: int = 10) -> list[str]:
    return list(table.data.scan(0, b"by:", b"by;", count_max))


def test_a_new_copy_holds_nothing(table: Any) -> None:
    assert table.data.row(0, b"a") is None
    assert -1 == table.offset(CHANGELOG)
    assert [] == found(table)


def test_rows_their_order_and_the_offset_are_kept(table: Any) -> None:
    put(table, 3, a=b"2", b=b"1")
    put(table, 9, a=b"3")

    assert (b"3", b"1") == (table.data.row(0, b"a"), table.data.row(0, b"b"))
    assert 9 == table.offset(CHANGELOG)
    assert ["b", "a", "a"] == found(table)  # a change removes an entry only if it says so
    assert ["b"] == found(table, 1)


def test_an_index_entry_is_removed_by_the_change_that_removes_it(table: Any) -> None:
    put(table, 1, a=b"1", b=b"2")
    table.data.apply(SPEC, 0, TableChanges({b"a": b"x"}, [(b"by:1a", None)]), 2)

    assert ["b"] == found(table)
    assert b"x" == table.data.row(0, b"a")


def test_a_row_is_removed_with_its_entries(table: Any) -> None:
    put(table, 1, a=b"1", b=b"2")
    put(table, 2, a=None, c=None)

    assert table.data.row(0, b"a") is None
    assert ["b"] == found(table)


def test_rows_are_found_by_their_prefix_in_order(table: Any) -> None:
    put(table, 1, ab=b"2", aa=b"1", b=b"3")

    assert [b"1", b"2"] == list(table.data.rows_with_prefix(0, b"a"))


def test_all_keys_are_those_of_rows(table: Any) -> None:
    """The store's own keys, of its offset, its index and its checkpoint, are none."""
    put(table, 1, b=b"1", a=b"2")
    table.data.write_checkpoint(0, 1_700_000_000_000)

    assert ["a", "b"] == table.data.keys_after(0, b"", b"", 10)
    assert ["b"] == table.data.keys_after(0, b"", b"a", 10)
    assert ["a"] == table.data.keys_after(0, b"a", b"", 10)


def test_partitions_are_separate(table: Any) -> None:
    put(table, 1, partition=0, a=b"1")
    put(table, 2, partition=1, a=b"2")

    assert (b"1", b"2") == (table.data.row(0, b"a"), table.data.row(1, b"a"))
    assert (1, 2) == (table.offset(CHANGELOG), table.offset(TP(CHANGELOG.topic, 1)))


def test_a_wiped_copy_is_empty(table: Any) -> None:
    put(table, 5, a=b"1")
    table.data.wipe(0)

    assert table.data.row(0, b"a") is None
    assert -1 == table.offset(CHANGELOG)
    assert [] == found(table)


def test_a_copy_remembers_when_it_was_caught_up(table: Any) -> None:
    assert table.data.checkpoint_ms(0) is None
    put(table, 5, a=b"1")
    table.data.write_checkpoint(0, 1_700_000_000_000)

    assert 1_700_000_000_000 == table.data.checkpoint_ms(0)
    assert table.data.checkpoint_ms(1) is None
    assert 5 == table.offset(CHANGELOG)
    assert ["a"] == found(table)
    assert [b"1"] == list(table.data.rows_with_prefix(0, b"a"))

    table.data.wipe(0)
    assert table.data.checkpoint_ms(0) is None
