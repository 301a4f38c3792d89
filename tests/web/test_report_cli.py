"""`clearinghub report` on a hub's admin API; tests/integration/test_reports.py has `--verify`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from clearinghub.ports import LedgerUnavailableError
from tests.web.cli import Terminal
from tests.web.settlement_steps import a_scheme, close, pay, settlement


@pytest.fixture
async def closed(terminal: Terminal) -> Terminal:
    """A hub whose window 1 has nets of 80, -60 and -20, is closed, and has a settlement."""
    await a_scheme(terminal.operator)
    pay(terminal.operator)
    await close(terminal.operator)
    await settlement(terminal.operator)
    return terminal


async def test_tables_for_people(closed: Terminal) -> None:
    for arguments, cells in (
        (("window", "1"), ("USD POSITION", "alpha", "100", "80", "window 1 is PENDING_SETTLEMENT: the day is over")),
        (("settlement", "1"), ("USD POSITION", "gamma", "-20", "settlement 1 is PENDING_SETTLEMENT: day 1")),
        (("transfers", "1"), ("alpha", "beta", "100", "window 1 is PENDING_SETTLEMENT")),
    ):
        ended = await closed.run("report", *arguments)
        assert (0, "") == (ended.code, ended.err)
        for cell in cells:
            assert cell in ended.out, arguments


async def test_a_statement(closed: Terminal) -> None:
    for period in (("--from", "2023-11-14"), ("--from", "2023-11-14T00:00:00+02:00", "--to", "2030-01-01T00:00:00Z")):
        ended = await closed.run("report", "statement", "alpha", "USD", *period)
        assert (0, "") == (ended.code, ended.err)
        for cell in ("opening balance", "closing balance", "PRINCIPLE_VALUE", "80", "alpha USD POSITION"):
            assert cell in ended.out
    ended = await closed.run("report", "statement", "alpha", "USD", "--type", "SETTLEMENT", "--format", "csv")
    assert ["OPENING_BALANCE", "CLOSING_BALANCE"] == [row["entryType"] for row in csv.DictReader(ended.out.split("\n"))]


async def test_every_form_and_into_a_file(closed: Terminal, tmp_path: Path) -> None:
    for kind in (("window", "1"), ("settlement", "1"), ("transfers", "1"), ("statement", "alpha", "USD")):
        assert "faults" in json.loads((await closed.run("report", *kind, "--format", "json")).out) or "lines"
        assert "participant" in (await closed.run("report", *kind, "--format", "csv")).out or kind[0] == "transfers"
        path = tmp_path / "report.html"
        ended = await closed.run("report", *kind, "--format", "html", "--output", str(path))
        assert (0, "", "") == (ended.code, ended.out, ended.err)
        assert path.read_text().startswith("<!DOCTYPE html>")
    assert [path] == list(tmp_path.iterdir())


async def test_a_file_is_whole_or_as_it_was(closed: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "transfers.csv"
    path.write_text("of yesterday")
    transfers = closed.operator.ports.window_transfers
    transfers.fails_after, transfers.error = 2, LedgerUnavailableError("gone")

    ended = await closed.run("report", "transfers", "1", "--format", "csv", "--output", str(path))
    assert 3 == ended.code
    assert "got no whole answer" in ended.err
    assert "of yesterday" == path.read_text()
    assert [path] == list(tmp_path.iterdir())
    ended = await closed.run("report", "window", "1", "--format", "csv", "--output", str(tmp_path / "no" / "file"))
    assert (1, True) == (ended.code, "cannot be written: No such file or directory" in ended.err)


@pytest.mark.parametrize("form", ["text", "json", "html"])
async def test_one_that_does_not_add_up_ends_with_1(closed: Terminal, form: str) -> None:
    rows = closed.operator.hub.coordinator.tables["settlement"]
    (key,) = (key for key in rows if key.startswith("entry/") and b"[1000000," in rows[key])
    rows[key] = rows[key].replace(b"[1000000,", b"[1000007,")

    ended = await closed.run("report", "window", "1", "--format", form)
    assert 1 == ended.code
    assert "the report does not add up: USD POSITION NET: 3 debits, 3 credits, together 0.0007" in ended.err
    assert "100.0007" in ended.out
    del next(iter(closed.operator.ports.window_transfers.rows.values()))[0]
    ended = await closed.run("report", "transfers", "1")
    assert (1, True) == (ended.code, "the window holds" in ended.err)


async def test_refusals(closed: Terminal) -> None:
    for arguments, code, sentence in (
        (("window", "2"), 1, "Window 2 is OPEN; its report is there once it is closed"),
        (("window", "7", "--format", "csv"), 1, "No record for settlementWindowId: 7 found"),
        (("settlement", "7"), 1, "Settlement with ID '7' not found"),
        (("statement", "nobody", "USD"), 1, "Participant does not exist"),
        (("statement", "alpha", "USD", "--type", "NONE"), 1, "alpha"),
        (("statement", "alpha", "USD", "--from", "yesterday"), 2, "'yesterday' is no time"),
        (("window", "x"), 2, "'x' is no number"),
        (("window", "1", "--settle-s", "0"), 2, "'0' is not 1 to 600 seconds"),
        (("window", "1", "--output", "f"), 2, "--output is for --format json, csv or html"),
        ((), 2, "REPORT"),
    ):
        ended = await closed.run("report", *arguments)
        assert (code, True) == (ended.code, sentence in ended.err), (arguments, ended.err)
    ended = await closed.run("report", "window", "1", "--url", "http://127.0.0.1:9")
    assert 3 == ended.code


async def test_verify_needs_a_broker(closed: Terminal) -> None:
    ended = await closed.run("report", "window", "1", "--verify")

    assert 3 == ended.code
    assert "no broker runs" in ended.err
