"""Files of parties: each line is checked by itself, and a written file can be read again."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from clearinghub.domain.currencies import CURRENCIES
from clearinghub.domain.parties.party import PartyEntry
from clearinghub.ports import CommandTimeoutError
from clearinghub.tools.parties.csv_file import (
    BadLine,
    Line,
    NotAPartiesFileError,
    read_parties,
    write_header,
    write_party,
)
from clearinghub.tools.parties.importing import ATTEMPTS, BATCH_LINES, Imported, import_parties
from tests.unit.tools.parties import fakes

HEADER = "partyIdType,partyIdentifier,partySubIdOrType,currency,fspId"


def read(path: Path, content: str | bytes) -> list[Line | BadLine]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_parties(path, CURRENCIES, lambda _read: None))


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    file = io.StringIO()
    write_header(file)
    for key, entry in (
        ("MSISDN/+27", PartyEntry("a")),
        ('ALIAS/b/"c",d\'', PartyEntry("a,b", 'x"y', "USD")),
        ("ALIAS/=1+1", PartyEntry("é")),
    ):
        write_party(file, key, entry)

    lines = read(tmp_path / "f.csv", file.getvalue())

    assert [("MSISDN/+27", None), ('ALIAS/b/"c",d\'', "USD"), ("ALIAS/=1+1", None)] == [
        (one.party.key, one.entry.currency) for one in lines if isinstance(one, Line)
    ]
    assert PartyEntry("a,b", 'x"y', "USD") == lines[1].entry  # type: ignore[union-attr]


def test_each_line_by_itself(tmp_path: Path) -> None:
    content = (
        f"\ufeff{HEADER}\r\nMSISDN,1,,,a\r\n\r\nMSISDN,x,,,a\nSHOE,1,,,a\nMSISDN,1,,ZZZ,a\nMSISDN,1,,,\nMSISDN,1\n"
    )
    content += 'MSISDN,"1"2,,,a\nMSISDN,2,,,a\n'

    lines = read(tmp_path / "f.csv", content)

    assert [2, 4, 5, 6, 7, 8, 9, 10] == [one.number for one in lines]
    assert ["Line", *["BadLine"] * 6, "Line"] == [type(one).__name__ for one in lines]
    faults = [one.fault for one in lines if isinstance(one, BadLine)]
    assert faults[0] == "Invalid MSISDN"
    assert ["currency is unknown", "fspId has 1 to 32 characters", "2 fields where the header has 5"] == faults[2:5]


def test_columns_in_another_order_and_number(tmp_path: Path) -> None:
    (line,) = read(tmp_path / "f.csv", "fspId,partyIdentifier,partyIdType\na,1,MSISDN\n")

    assert isinstance(line, Line)
    assert ("MSISDN/1", PartyEntry("a")) == (line.party.key, line.entry)


@pytest.mark.parametrize(
    "content", ["", "a,b\n", "partyIdType,partyIdentifier\n", f"{HEADER},x\n", f"{HEADER},fspId\n", b"\xff\xfe", '"\n']
)
def test_what_is_no_file_of_parties(tmp_path: Path, content: str | bytes) -> None:
    with pytest.raises(NotAPartiesFileError):
        read(tmp_path / "f.csv", content)
    with pytest.raises(NotAPartiesFileError):
        list(read_parties(tmp_path / "none.csv", CURRENCIES, lambda _read: None))


def lines(count: int) -> list[Line]:
    return [fakes.line(number) for number in range(count)]


async def test_an_import_sends_each_line_once_to_its_partition() -> None:
    ledger = fakes.FakeLedger(partitions=4)
    seen: list[int] = []

    imported = await import_parties(lines(1_000), ledger, 4, lambda so_far: seen.append(so_far.lines))

    assert (1_000, 1_000, []) == (imported.lines, imported.added, imported.refused)
    assert sorted(seen) == seen
    assert all(len(items) <= BATCH_LINES for items in ledger.batches)
    assert 1_000 == len({item.party.identifier for items in ledger.batches for item in items})


async def test_lines_that_the_hub_refuses_are_named_by_their_number() -> None:
    ledger = fakes.FakeLedger(partitions=2, refuses=frozenset({"7", "300"}))

    imported = await import_parties(lines(400), ledger, 2, lambda _so_far: None)

    assert {BadLine(7, "taken"), BadLine(300, "taken")} == set(imported.refused)
    assert (400, 398) == (imported.lines, imported.added)


async def test_a_batch_without_an_answer_is_sent_again() -> None:
    ledger = fakes.FakeLedger(partitions=1, unanswered=2)

    assert Imported(10, 10) == await import_parties(lines(10), ledger, 1, lambda _so_far: None)
    assert 3 == ledger.requests


async def test_a_hub_that_never_answers_ends_the_import() -> None:
    ledger = fakes.FakeLedger(partitions=1, unanswered=10**6)

    with pytest.raises(CommandTimeoutError):
        await import_parties(lines(10), ledger, 1, lambda _so_far: None)
    assert ATTEMPTS == ledger.requests
