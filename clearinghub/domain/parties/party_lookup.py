"""Whom a lookup leads to: FSPs to ask for a party, and the one that a party belongs to (protocol 6.3, 6.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.parties.party import Entries, PartyEntry

PARTY_UNKNOWN: Final = Rejection(
    ErrorCode.PARTY_NOT_FOUND, "No proxy found to start inter-scheme discovery flow"
)  # the reference's own words for a hub that knows no other schemes
_NOT_FOUND: Final = Rejection(ErrorCode.PARTY_NOT_FOUND)
_FILTERED: Final = Rejection(ErrorCode.ID_NOT_FOUND, "Empty oracle partyList, filtered based on callbackEndpointType")


def fsps_to_ask(entries: Entries, sub_id: str | None, is_dfsp: Callable[[str], bool]) -> tuple[str, ...] | Rejection:
    """Every FSP that may answer for the party, once; what an oracle names and the scheme does not know is left out."""
    if not entries:
        return PARTY_UNKNOWN
    fitting = _of_sub_id(entries, sub_id)
    if not fitting:
        return _FILTERED
    known = tuple(dict.fromkeys(one.fsp for one in fitting if is_dfsp(one.fsp)))
    return known or PARTY_UNKNOWN


def fsp_of_party(entries: Entries, sub_id: str | None, currency: str | None) -> str | Rejection:
    """The FSP of the party: the first that the oracle names."""
    for one in entries:
        if one.is_of(sub_id, currency):
            return one.fsp
    return _NOT_FOUND


def _of_sub_id(entries: Iterable[PartyEntry], sub_id: str | None) -> list[PartyEntry]:
    """With a sub-id its own entries; without one those that have none."""
    return [one for one in entries if one.sub_id == sub_id]
