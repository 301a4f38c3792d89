"""Compares the rows in the changelogs with the books."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tests.model.journal import Breach

if TYPE_CHECKING:
    from tests.model.books import PartitionBooks


def check_rows(books: PartitionBooks, rows: Mapping[tuple[str, str], Any], touched: Iterable[tuple[str, str]]) -> None:
    """Compare the rows, by table and key, that a round must have changed.

    Raises:
        Breach: a row is missing or wrong.
    """
    for table, key in touched:
        row = rows.get((table, key))
        if row is None:
            raise Breach(f"partition {books.partition}: no row {key} of table {table}")
        if table == "bulks":
            books.bulks.check_row(key, row)
        elif table == "settlement":
            books.coordinator.check_row(row)
        elif table == "positions":
            _check_position(books, key, row)
        elif (case := books.auditor.cases.get(key)) is not None and _shown(row[8][-1][0]) != case.fate:
            raise Breach(f"partition {books.partition}: row {key} is {row[8][-1][0]}, and must be {case.fate}")


def _check_position(books: PartitionBooks, key: str, row: Any) -> None:
    participant, _currency, account_type = key.split("/")
    expected: list[int | None] = [books.value(participant, account_type)]
    if account_type == "POSITION":
        expected.append(books.auditor.caps[participant])
    if [row[5], row[7]][: len(expected)] != expected:
        raise Breach(f"partition {books.partition}: row {key} holds {row}, and must {expected}")


def _shown(label: str) -> str:
    return {"RESERVED": "held", "COMMITTED": "paid", "SETTLED": "paid"}.get(label, "void")
