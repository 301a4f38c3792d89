"""The queries of docs/analysts.md, run on an archive for which the answers are known."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.unit.tools.archive.known_days import ALPHA, BETA, GAMMA, make_archive

PAGE = Path(__file__).parents[4] / "docs/analysts.md"
SECTION = re.compile(r"^## (\d+)\. (.+?)$\n(.*?)```sql\n(.*?)```", re.MULTILINE | re.DOTALL)
SETUP = re.compile(r"```sql\n(CREATE VIEW.*?)```", re.DOTALL)

FIRST, SECOND = date(2026, 3, 3), date(2026, 3, 4)


def money(text: str) -> Decimal:
    return Decimal(text)


ANSWERS: dict[int, list[tuple[Any, ...]]] = {
    1: [
        (FIRST, "EUR", 1, money("10")),
        (FIRST, "USD", 3, money("180.2501")),
        (SECOND, "USD", 2, money("85")),
    ],
    2: [
        (ALPHA, BETA, 2, money("150.25")),
        (ALPHA, GAMMA, 1, money("70")),
        (BETA, ALPHA, 1, money("30.0001")),
        (GAMMA, BETA, 1, money("15")),
    ],
    3: [
        (FIRST, None, "COMMITTED", 3, 50.0),
        (FIRST, "4001", "ABORTED_REJECTED", 1, 16.7),
        (FIRST, "3303", "EXPIRED_RESERVED", 1, 16.7),
        (FIRST, None, "SETTLED", 1, 16.7),
        (SECOND, None, "COMMITTED", 2, 100.0),
    ],
    4: [(BETA, 3, 250, 400), (ALPHA, 1, 150, 150), (GAMMA, 2, 100, 300)],
    5: [
        (FIRST, ALPHA, "EUR", money("0")),
        (FIRST, ALPHA, "USD", money("120.2499")),
        (FIRST, BETA, "USD", money("-120.2499")),
        (FIRST, GAMMA, "EUR", money("0")),
        (SECOND, ALPHA, "USD", money("190.2499")),
        (SECOND, BETA, "USD", money("-135.2499")),
        (SECOND, GAMMA, "USD", money("-55")),
    ],
    6: [
        (ALPHA, "EUR", money("10"), datetime.fromisoformat("2026-03-03T09:03:00.001")),
        (ALPHA, "USD", money("190.2499"), datetime.fromisoformat("2026-03-04T10:00:00.001")),
    ],
    7: [
        (1, "USD", ALPHA, money("120.2499"), money("0")),
        (1, "USD", BETA, money("-120.2499"), money("0")),
        (2, "USD", ALPHA, money("70"), money("0")),
        (2, "USD", GAMMA, money("-70"), money("0")),
    ],
    8: [(ALPHA, BETA, "USD", 2, money("0.6")), (BETA, ALPHA, "USD", 1, money("0.25"))],
    9: [
        (1, "SETTLED", 40, money("120.2499"), [ALPHA, BETA]),
        (2, "PENDING_SETTLEMENT", 0, money("70"), [ALPHA, GAMMA]),
    ],
    10: [],
}


def questions() -> dict[int, tuple[str, str]]:
    """By number: the question, and the SQL."""
    return {int(number): (question, sql) for number, question, _answer, sql in SECTION.findall(PAGE.read_text())}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("analyst")
    make_archive(folder / "archive")
    return folder


@pytest.fixture
def archive(folder: Path, monkeypatch: pytest.MonkeyPatch) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection in the archive's folder, with the page's views."""
    monkeypatch.chdir(folder)
    connection = duckdb.connect()
    (views,) = SETUP.findall(PAGE.read_text())
    connection.execute(views)
    return connection


def test_the_page_names_the_version_that_it_is_tested_with() -> None:
    assert f"pip install duckdb=={duckdb.__version__}\n" in PAGE.read_text()


def test_there_are_ten_questions() -> None:
    assert list(range(1, 11)) == list(questions()) == list(ANSWERS)
    assert 11 == PAGE.read_text().count("```sql")


@pytest.mark.parametrize("number", ANSWERS)
def test_the_answer(archive: duckdb.DuckDBPyConnection, number: int) -> None:
    _question, sql = questions()[number]

    assert ANSWERS[number] == archive.execute(sql).fetchall()


def test_what_is_missing_or_there_twice_is_found(archive: duckdb.DuckDBPyConnection) -> None:
    _question, sql = questions()[10]
    archive.execute("CREATE OR REPLACE VIEW whole AS FROM transfers")
    rows = archive.execute("SELECT transfer_id, sequence, kafka_partition FROM transfers WHERE kafka_partition = 0")
    assert ("t2", 2, 0) in rows.fetchall()

    for spoiled in ("FROM all_of_it WHERE transfer_id <> 't2'", "FROM all_of_it UNION ALL FROM all_of_it"):
        archive.execute("CREATE OR REPLACE TABLE all_of_it AS FROM read_parquet('archive/transfers/*/*/*.parquet')")
        archive.execute(f"CREATE OR REPLACE VIEW transfers AS {spoiled}")
        assert {"transfers"} == {row[0] for row in archive.execute(sql).fetchall()}


def test_nets_that_do_not_agree_are_found(archive: duckdb.DuckDBPyConnection) -> None:
    _question, sql = questions()[7]
    archive.execute("CREATE TABLE all_of_it AS FROM transfers")
    archive.execute("CREATE OR REPLACE VIEW transfers AS FROM all_of_it WHERE transfer_id <> 't5'")

    differences = {row[2]: row[4] for row in archive.execute(sql).fetchall() if row[4]}
    assert {ALPHA: money("-30.0001"), BETA: money("30.0001")} == differences
