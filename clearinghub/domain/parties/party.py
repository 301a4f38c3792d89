"""Parties' identifiers, and what the built-in oracle keeps of them: which FSP has the party (protocol 6)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from clearinghub.domain.errors import ErrorCode, Rejection

PARTY_TYPES: Final = ("MSISDN", "EMAIL", "PERSONAL_ID", "BUSINESS", "DEVICE", "ACCOUNT_ID", "IBAN", "ALIAS")
IDENTIFIER_LENGTH_MAX: Final = 128
ENTRIES_MAX: Final = 200  # of one identifier: more than a business has sub-ids, and a row that stays small

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Blanks of any kind, and what a template, a shell or a page could take for its own; sub-ids may have them.
_FORBIDDEN: Final = re.compile(r"[\s{}<>`\\]")
_SYNTAX: Final[Mapping[str, re.Pattern[str]]] = {
    "MSISDN": re.compile(r"\+?[0-9]{1,30}"),
    "EMAIL": re.compile(r"[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)+"),
    "IBAN": re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{1,30}"),
}

_TAKEN: Final = Rejection(ErrorCode.ADD_PARTY_INFO_ERROR, "Party is registered by another FSP")
_FULL: Final = Rejection(ErrorCode.ADD_PARTY_INFO_ERROR, "Party has too many entries")
_NOT_THERE: Final = Rejection(ErrorCode.ADD_PARTY_INFO_ERROR, "Party not found")
_NOT_OWNER: Final = Rejection(ErrorCode.DELETE_PARTY_INFO_ERROR, "The party's FSP is another one")
_NOTHING_TO_DELETE: Final = Rejection(ErrorCode.DELETE_PARTY_INFO_ERROR, "Party not found")


@dataclass(frozen=True, slots=True)
class PartyId:
    """What a party is called: one of PARTY_TYPES, the identifier, and the sub-id of one of several below it."""

    id_type: str
    identifier: str
    sub_id: str | None = None

    @property
    def key(self) -> str:
        """Where everything of the identifier is kept, whatever its sub-ids; a type holds no slash."""
        return f"{self.id_type}/{self.identifier}"


@dataclass(frozen=True, slots=True)
class PartyEntry:
    """One FSP that has a party; `currency` is None for all currencies."""

    fsp: str
    sub_id: str | None = None
    currency: str | None = None

    def is_of(self, sub_id: str | None, currency: str | None) -> bool:
        """Whether it answers for the sub-id and, where one is asked for, the currency (protocol 6.3)."""
        return self.sub_id == sub_id and (currency is None or self.currency in (None, currency))


Entries = tuple[PartyEntry, ...]


def identifier_rejection(party: PartyId) -> Rejection | None:
    """Why no oracle is asked for such a party, or None. Types without a syntax of their own take any text."""
    if not _is_text(party.identifier) or _FORBIDDEN.search(party.identifier) is not None:
        return Rejection(ErrorCode.MALFORMED_SYNTAX, "Invalid party identifier")
    if party.sub_id is not None and not _is_text(party.sub_id):
        return Rejection(ErrorCode.MALFORMED_SYNTAX, "Invalid party sub-id")
    syntax = _SYNTAX.get(party.id_type)
    if syntax is not None and syntax.fullmatch(party.identifier) is None:
        return Rejection(ErrorCode.MALFORMED_SYNTAX, f"Invalid {party.id_type}")
    return None


def register(entries: Entries, new: PartyEntry) -> Entries | Rejection:
    """The entries with one more. An FSP may repeat itself; nobody may take over what another FSP has.

    An entry without a currency stands for all of them, so it agrees with no other FSP's of the same sub-id.
    """
    if new in entries:
        return entries
    if any(one.fsp != new.fsp and _overlap(one, new) for one in entries):
        return _TAKEN
    if len(entries) >= ENTRIES_MAX:
        return _FULL
    return (*entries, new)


def update(entries: Entries, new: PartyEntry) -> Entries | Rejection:
    """The FSP's entries of the sub-id replaced by the new one; there must have been one."""
    others = tuple(one for one in entries if (one.fsp, one.sub_id) != (new.fsp, new.sub_id))
    return _NOT_THERE if others == entries else register(others, new)


def remove(entries: Entries, fsp: str, sub_id: str | None, currency: str | None) -> Entries | Rejection:
    """The entries without the FSP's own of the sub-id, in all currencies or in the one given."""
    meant = [one for one in entries if one.sub_id == sub_id and currency in (None, one.currency)]
    left = tuple(one for one in entries if one.fsp != fsp or one not in meant)
    if left != entries:
        return left
    return _NOT_OWNER if meant else _NOTHING_TO_DELETE


def may_remove(entries: Iterable[PartyEntry], fsp: str) -> Rejection | None:
    """Whether an FSP may have what a foreign oracle holds of a party removed: all of it must be its own."""
    owners = {one.fsp for one in entries}
    if not owners:
        return _NOTHING_TO_DELETE
    return None if owners == {fsp} else _NOT_OWNER


def _overlap(one: PartyEntry, other: PartyEntry) -> bool:
    return one.sub_id == other.sub_id and (None in (one.currency, other.currency) or one.currency == other.currency)


def _is_text(text: str) -> bool:
    return 0 < len(text) <= IDENTIFIER_LENGTH_MAX and _CONTROL.search(text) is None
