"""Files of parties: CSV in UTF-8 with a header, one party on each line."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from clearinghub.domain.parties.party import PARTY_TYPES, PartyEntry, PartyId, identifier_rejection

COLUMNS: Final = ("partyIdType", "partyIdentifier", "partySubIdOrType", "currency", "fspId")
_REQUIRED: Final = ("partyIdType", "partyIdentifier", "fspId")
_FSP_LENGTH_MAX: Final = 32


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file that is a party's; `number` counts from 1."""

    number: int
    party: PartyId
    entry: PartyEntry


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line of a file that is no party's, and why."""

    number: int
    fault: str


class NotAPartiesFileError(Exception):
    """The whole file cannot be used as one of parties; the text says why."""


def read_parties(path: Path, currencies: frozenset[str], on_bytes: Callable[[int], None]) -> Iterator[Line | BadLine]:
    """Yield the lines of a file; `on_bytes` is called with the number of bytes read so far.

    Raises:
        NotAPartiesFileError: there is no such file, it is not UTF-8, or its header is not of parties.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            yield from _lines(file, currencies, on_bytes)
    except OSError as error:
        raise NotAPartiesFileError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise NotAPartiesFileError(f"{path} is not UTF-8: {error.reason}") from error


def write_header(file: TextIO) -> None:
    csv.writer(file, lineterminator="\n").writerow(COLUMNS)


def write_party(file: TextIO, key: str, entry: PartyEntry) -> None:
    """Write one line: an entry of the party with that key."""
    id_type, _, identifier = key.partition("/")
    row = (id_type, identifier, entry.sub_id or "", entry.currency or "", entry.fsp)
    csv.writer(file, lineterminator="\n").writerow(row)


def _lines(file: TextIO, currencies: frozenset[str], on_bytes: Callable[[int], None]) -> Iterator[Line | BadLine]:
    rows = csv.reader(_counted(file, on_bytes), strict=True)
    header = _header(rows)
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadLine(rows.line_num, str(error))
            continue
        if row:
            yield _line(rows.line_num, header, row, currencies)


def _counted(file: TextIO, on_bytes: Callable[[int], None]) -> Iterator[str]:
    read = 0
    for text in file:
        read += len(text.encode())
        on_bytes(read)
        yield text


def _header(rows: Iterator[list[str]]) -> list[str]:
    try:
        header = next(rows, [])
    except csv.Error as error:
        raise NotAPartiesFileError(f"line 1: {error}") from error
    header[:1] = [
        name.removeprefix("\ufeff") for name in header[:1]
    ]  # spreadsheet programs put a byte order mark first
    unknown = sorted(set(header) - set(COLUMNS))
    missing = [name for name in _REQUIRED if name not in header]
    if unknown or missing or len(set(header)) != len(header):
        raise NotAPartiesFileError(f"line 1: the columns are {','.join(COLUMNS)}; the third and fourth may be left out")
    return header


def _line(number: int, header: list[str], row: list[str], currencies: frozenset[str]) -> Line | BadLine:
    if len(row) != len(header):
        return BadLine(number, f"{len(row)} fields where the header has {len(header)}")
    fields = dict(zip(header, row, strict=True))
    party = PartyId(fields["partyIdType"], fields["partyIdentifier"], fields.get("partySubIdOrType") or None)
    currency, fsp = fields.get("currency") or None, fields["fspId"]
    if party.id_type not in PARTY_TYPES:
        return BadLine(number, f"partyIdType is none of {', '.join(PARTY_TYPES)}")
    fault = identifier_rejection(party)
    if fault is not None:
        return BadLine(number, fault.detail or fault.description)
    if currency is not None and currency not in currencies:
        return BadLine(number, "currency is unknown")
    if not 0 < len(fsp) <= _FSP_LENGTH_MAX:
        return BadLine(number, f"fspId has 1 to {_FSP_LENGTH_MAX} characters")
    return Line(number, party, PartyEntry(fsp, party.sub_id, currency))
