"""Table `parties`, the built-in oracle: type/identifier -> RegisteredParty, on the key's partition."""

from __future__ import annotations

from typing import Final

from clearinghub.domain.parties.party import Entries, RegisteredParty
from clearinghub.engine.record import TableSpec, View, row_table

PARTIES: Final[TableSpec[RegisteredParty]] = row_table("parties", RegisteredParty)


def entries_of(view: View, key: str) -> Entries:
    """Return the entries of an identifier, none if it is not registered."""
    row = view.get(PARTIES, key)
    return () if row is None else row.entries


def put_entries(view: View, key: str, entries: Entries) -> None:
    """Store the entries of an identifier; without entries the row is deleted."""
    assert len(set(entries)) == len(entries), f"{key} has an entry twice"
    if entries:
        view.put(PARTIES, key, RegisteredParty(entries))
    else:
        view.delete(PARTIES, key)
