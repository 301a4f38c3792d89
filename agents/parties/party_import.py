"""Register the parties of an operator's file in the name of their FSPs; the reply lists those that were refused."""

from __future__ import annotations

from typing import Final

from agents.posting import emit_reply
from agents.turn import Turn
from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.parties.party import PARTY_TYPES, PartyEntry, PartyId, identifier_rejection, register
from clearinghub.messages.parties import PartyImportMessage, PartyImportResult
from tables.parties import entries_of, put_entries

_UNKNOWN_FSP: Final = Rejection(ErrorCode.ID_NOT_FOUND, "FSP not found")
_UNKNOWN_TYPE: Final = Rejection(ErrorCode.ADD_PARTY_INFO_ERROR, "Unknown party identifier type")
_ELSEWHERE: Final = Rejection(ErrorCode.INTERNAL_SERVER_ERROR, "The party belongs to another partition")


def on_import(turn: Turn, message: PartyImportMessage, _body: bytes) -> None:
    """Register the parties and reply with how many were added; a party that is registered already is left unchanged."""
    refused: list[tuple[int, str]] = []
    added = 0
    for number, item in enumerate(message.items):
        outcome = _register(turn, item.party, PartyEntry(item.fsp, item.party.sub_id, item.currency))
        if isinstance(outcome, Rejection):
            refused.append((number, outcome.description))
        else:
            added += outcome
    emit_reply(turn.view, message, PartyImportResult(added, tuple(refused)))


def _register(turn: Turn, party: PartyId, entry: PartyEntry) -> bool | Rejection:
    """Return True if the entry was added, False if it was registered before, or why it is refused."""
    if party.id_type not in PARTY_TYPES:
        return _UNKNOWN_TYPE
    rejection = identifier_rejection(party)
    if rejection is not None:
        return rejection
    if not turn.context.is_dfsp(entry.fsp):
        return _UNKNOWN_FSP
    if turn.view.partition_of("party", party.key) != turn.view.partition:
        return _ELSEWHERE
    before = entries_of(turn.view, party.key)
    after = register(before, entry)
    if isinstance(after, Rejection):
        return after
    if after == before:
        return False
    put_entries(turn.view, party.key, after)
    return True
