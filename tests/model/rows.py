"""Rows: the changelogs must hold what the books hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from tests.model.journal import Breach

if TYPE_CHECKING:
    from tests.model.books import PartitionBooks

_FATES: Final = {"RESERVED": "held", "COMMITTED": "paid", "SETTLED": "paid"}


def check_rows(books: PartitionBooks, rows: Mapping[tuple[str, str], Any], touched: set[tuple[str, str]]) -> None:
    """Look at the rows that a round must have left as they are; all by table and key.

    Raises:
        Breach: one is not there, or another than it must be.
    """
    for table, key in touched:
        row = rows.get((table, key))
        if row is None:
            raise Breach(f"partition {books.partition}: no row {key} of table {table}")
        if table == "settlement":
            books.coordinator.check_row(row)
        elif table == "bulks":
            books.bulks.check_row(key, row)
        elif table == "positions":
            participant, _currency, account_type = key.split("/")
            expected: list[int | None] = [books.value(participant, account_type)]
            if account_type == "POSITION":
                expected.append(books.auditor.caps[participant])
            if [row[5], row[7]][: len(expected)] != expected:
                raise Breach(f"partition {books.partition}: row {key} holds {row}, and must {expected}")
        elif (case := books.auditor.cases.get(key)) is not None:
            label = row[8][-1][0]
            if _FATES.get(label, "void") != case.fate:
                raise Breach(f"partition {books.partition}: row {key} is {label}, and must be {case.fate}")
