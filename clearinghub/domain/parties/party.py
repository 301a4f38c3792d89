"""Parties: their identifiers, and the FSPs that the built-in oracle has registered for them (protocol 6)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

import msgspec

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.endpoints import is_path_segment
from clearinghub.rows import Row

PARTY_TYPES: Final = ("MSISDN", "EMAIL", "PERSONAL_ID", "BUSINESS", "DEVICE", "ACCOUNT_ID", "IBAN", "ALIAS")
IDENTIFIER_LENGTH_MAX: Final = 128
ENTRIES_MAX: Final = 200  # of one identifier: more than a business has sub-ids, and few enough for a small row

# Blanks, and what a URL template, a shell or a web page could interpret. Sub-ids may contain them.
_FORBIDDEN: Final = re.compile(r"[\s{}<>`\\]")
_SYNTAX: Final[Mapping[str, re.Pattern[str]]] = {
    "MSISDN": re.compile(r"\+?[0-9]{1,30}"),
    "EMAIL": re.compile(r"[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)+"),
    "IBAN": re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{1,30}"),
}

_REGISTERED_BY_ANOTHER: Final = Rejection(ErrorCode.ADD_PARTY_INFO_ERROR, "Party is registered by another FSP")
_FULL: Final = Rejection(ErrorCode.ADD_PARTY_INFO_ERROR, "Party has too many entries")
_NOT_THERE: Final = Rejection(ErrorCode.ADD_PARTY_INFO_ERROR, "Party not found")
_NOT_OWNER: Final = Rejection(ErrorCode.DELETE_PARTY_INFO_ERROR, "The party's FSP is another one")
_NOTHING_TO_DELETE: Final = Rejection(ErrorCode.DELETE_PARTY_INFO_ERROR, "Party not found")

PARTY_UNKNOWN: Final = Rejection(
    ErrorCode.PARTY_NOT_FOUND, "No proxy found to start inter-scheme discovery flow"
)  # the reference's text for a hub that is connected to no other scheme
_NOT_FOUND: Final = Rejection(ErrorCode.PARTY_NOT_FOUND)
_FILTERED: Final = Rejection(ErrorCode.ID_NOT_FOUND, "Empty oracle partyList, filtered based on callbackEndpointType")


class PartyId(msgspec.Struct, frozen=True, array_like=True):
    """A party's identifier: one of PARTY_TYPES, the identifier, and the sub-id if several parties share these two."""

    id_type: str
    identifier: str
    sub_id: str | None = None

    @property
    def key(self) -> str:
        """The record key and row key of the identifier, the same for all its sub-ids; a type contains no slash."""
        return f"{self.id_type}/{self.identifier}"


class BatchItem(msgspec.Struct, frozen=True, array_like=True):
    """One party of a batch, with the FSP that the request names for it."""

    party: PartyId
    fsp: str | None

    def as_json(self) -> dict[str, str]:
        """Return the PartyIdInfo of the request, without its extensions."""
        named = {
            "partyIdType": self.party.id_type,
            "partyIdentifier": self.party.identifier,
            "partySubIdOrType": self.party.sub_id,
            "fspId": self.fsp,
        }
        return {name: value for name, value in named.items() if value is not None}


class PartyEntry(msgspec.Struct, frozen=True, array_like=True):
    """One FSP that has a party; `currency` is None if it has the party in all currencies."""

    fsp: str
    sub_id: str | None = None
    currency: str | None = None

    def is_of(self, sub_id: str | None, currency: str | None) -> bool:
        """Return whether the entry has the sub-id and covers the currency, or any if that is None (protocol 6.3)."""
        return self.sub_id == sub_id and (currency is None or self.currency in (None, currency))


Entries: TypeAlias = tuple[PartyEntry, ...]


class RegisteredParty(Row, frozen=True, array_like=True):
    """What the built-in oracle keeps of one identifier, with all its sub-ids."""

    entries: Entries


def identifier_rejection(party: PartyId) -> Rejection | None:
    """Return why the identifier is invalid, or None. A type without a syntax of its own allows any text."""
    if not _is_text(party.identifier) or _FORBIDDEN.search(party.identifier) is not None:
        return Rejection(ErrorCode.MALFORMED_SYNTAX, "Invalid party identifier")
    if party.sub_id is not None and not _is_text(party.sub_id):
        return Rejection(ErrorCode.MALFORMED_SYNTAX, "Invalid party sub-id")
    syntax = _SYNTAX.get(party.id_type)
    if syntax is not None and syntax.fullmatch(party.identifier) is None:
        return Rejection(ErrorCode.MALFORMED_SYNTAX, f"Invalid {party.id_type}")
    return None


def register(entries: Entries, new: PartyEntry) -> Entries | Rejection:
    """Return the entries with one more, or why it is refused.

    An FSP may register the same entry again, but nobody may register what another FSP has. An entry without a currency
    covers all currencies, so it conflicts with every entry of another FSP for the same sub-id.
    """
    if new in entries:
        return entries
    if any(one.fsp != new.fsp and _overlap(one, new) for one in entries):
        return _REGISTERED_BY_ANOTHER
    if len(entries) >= ENTRIES_MAX:
        return _FULL
    return (*entries, new)


def update(entries: Entries, new: PartyEntry) -> Entries | Rejection:
    """Return the entries with the FSP's entries of the sub-id replaced by `new`, or why not: it must have had one."""
    others = tuple(one for one in entries if (one.fsp, one.sub_id) != (new.fsp, new.sub_id))
    return _NOT_THERE if others == entries else register(others, new)


def remove(entries: Entries, fsp: str, sub_id: str | None, currency: str | None) -> Entries | Rejection:
    """Return the entries without the FSP's entries of the sub-id, or why not; no `currency` means all currencies."""
    meant = [one for one in entries if one.sub_id == sub_id and currency in (None, one.currency)]
    left = tuple(one for one in entries if one.fsp != fsp or one not in meant)
    if left != entries:
        return left
    return _NOT_OWNER if meant else _NOTHING_TO_DELETE


def removal_rejection(entries: Iterable[PartyEntry], fsp: str) -> Rejection | None:
    """Return why the FSP may not remove these entries of an external oracle, or None: all of them must be its own."""
    owners = {one.fsp for one in entries}
    if not owners:
        return _NOTHING_TO_DELETE
    return None if owners == {fsp} else _NOT_OWNER


def fsps_to_ask(entries: Entries, sub_id: str | None, is_dfsp: Callable[[str], bool]) -> tuple[str, ...] | Rejection:
    """Return every FSP that may have the party, once, or why there is none (protocol 6.3).

    An external oracle may name FSPs that are not in the scheme: `is_dfsp` leaves them out.
    """
    if not entries:
        return PARTY_UNKNOWN
    fitting = [one.fsp for one in entries if one.sub_id == sub_id]
    if not fitting:
        return _FILTERED
    return tuple(dict.fromkeys(fsp for fsp in fitting if is_dfsp(fsp))) or PARTY_UNKNOWN


def fsp_of_party(entries: Entries, sub_id: str | None, currency: str | None) -> str | Rejection:
    """Return the FSP of the party, the first that the oracle names, or why there is none (protocol 6.4)."""
    for one in entries:
        if one.is_of(sub_id, currency):
            return one.fsp
    return _NOT_FOUND


def _overlap(one: PartyEntry, other: PartyEntry) -> bool:
    return one.sub_id == other.sub_id and (None in (one.currency, other.currency) or one.currency == other.currency)


def _is_text(text: str) -> bool:
    """Return whether it has a right length, and can be written into the URLs of callbacks."""
    return len(text) <= IDENTIFIER_LENGTH_MAX and is_path_segment(text)
