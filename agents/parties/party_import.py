"""Parties from an operator's file, registered in the name of their FSPs; the answer says which were refused."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from agents.context import LedgerContext
from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.parties.party import PARTY_TYPES, PartyEntry, PartyId, identifier_rejection, register
from clearinghub.engine.record import Handler, Record, View
from clearinghub.messages import decode_fields, encode
from clearinghub.messages.commands import ReplyMessage
from tables.parties import PARTIES

_UNKNOWN_FSP: Final = Rejection(ErrorCode.ID_NOT_FOUND, "FSP not found")
_UNKNOWN_TYPE: Final = Rejection(ErrorCode.ADD_PARTY_INFO_ERROR, "Unknown party identifier type")
_ELSEWHERE: Final = Rejection(ErrorCode.INTERNAL_SERVER_ERROR, "The party belongs to another partition")


def make_on_import(context: LedgerContext) -> Handler:
    """The handler of an import's records; what is registered already is left as it is."""

    def on_import(record: Record, view: View) -> None:
        line, _body = decode_fields(record.value)
        refused: list[list[Any]] = []
        added = 0
        for number, (id_type, identifier, sub_id, currency, fsp) in enumerate(line["items"]):
            outcome = _register(view, PartyId(id_type, identifier, sub_id), PartyEntry(fsp, sub_id, currency))
            if isinstance(outcome, Rejection):
                refused.append([number, outcome.description])
            else:
                added += outcome
        result = msgspec.Raw(msgspec.json.encode({"added": added, "refused": refused}))
        reply = ReplyMessage(correlation_id=line["correlation_id"], reply_to=line["reply_to"], result=result)
        view.emit("reply", line["reply_to"], encode(reply))

    def _register(view: View, party: PartyId, entry: PartyEntry) -> bool | Rejection:
        """True for added, False for there already."""
        if party.id_type not in PARTY_TYPES:
            return _UNKNOWN_TYPE
        fault = identifier_rejection(party)
        if fault is not None:
            return fault
        if not context.is_dfsp(entry.fsp):
            return _UNKNOWN_FSP
        if view.partition_of("party", party.key) != view.partition:
            return _ELSEWHERE
        before = view.get(PARTIES, party.key) or ()
        after = register(before, entry)
        if isinstance(after, Rejection):
            return after
        if after == before:
            return False
        view.put(PARTIES, party.key, after)
        return True

    return on_import
