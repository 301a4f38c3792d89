"""/parties and /participants, one party at a time: who is asked, who is told (protocol 6.3, 6.4).

The partition of a party's key decides all that concerns the party. What the built-in oracle knows is in the partition's
own table. An external oracle is asked by the callbacks role: the question leaves with all that is needed to go on, the
answer brings it back, and nothing is kept meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from agents.context import LedgerContext
from agents.parties.notify import PartyNotifier
from agents.parties.oracle_question import ask_oracle
from agents.turn import Turn
from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection
from clearinghub.domain.participants.participant import Oracle
from clearinghub.domain.parties.oracle import BuiltIn, read_change, read_lookup, select_oracle
from clearinghub.domain.parties.party import (
    Entries,
    PartyEntry,
    PartyId,
    identifier_rejection,
    may_remove,
    register,
    remove,
    update,
)
from clearinghub.domain.parties.party_lookup import fsp_of_party, fsps_to_ask
from clearinghub.engine.record import Handler, Record, View
from clearinghub.messages import decode_fields
from tables.parties import PARTIES

log = structlog.get_logger(__name__)

_NO_DESTINATION: Final = Rejection(ErrorCode.DESTINATION_FSP_ERROR, "Destination FSP not found")
_FOREIGN_FSP: Final = Rejection(ErrorCode.ADD_PARTY_INFO_ERROR, "fspId differs from FSPIOP-Source")
LOOKUP: Final = "lookup"
OWNER: Final = "owner"
CHANGE: Final = "change"


def make_on_party(context: LedgerContext, others: Mapping[str, Handler]) -> Handler:
    """The handler of topic `party`; `others` decide what is not about one party, by kind or by an answer's step."""

    def on_party(record: Record, view: View) -> None:
        line, body = decode_fields(record.value)
        other = others.get(line["step"] if line["kind"] == "oracle-answer" else line["kind"])
        if other is not None:
            other(record, view)
        elif line["kind"] == "oracle-answer":
            _Request.of(record, view, line["asked"], b"", context).go_on(line["step"], line["status"], body)
        else:
            _Request.of(record, view, line, body, context).begin()

    return on_party


@dataclass(frozen=True, slots=True)
class _Request:
    """One request with the partition that decides it."""

    view: View
    asked: dict[str, Any]
    body: bytes
    context: LedgerContext
    notifier: PartyNotifier

    @classmethod
    def of(cls, record: Record, view: View, asked: dict[str, Any], body: bytes, context: LedgerContext) -> _Request:
        return cls(
            view,
            asked,
            body,
            context,
            PartyNotifier(Turn(record, view, context, asked["trace"], record.timestamp_ms), asked),
        )

    @property
    def source(self) -> str:
        source: str = self.asked["source"]
        return source

    @property
    def party(self) -> PartyId:
        return PartyId(self.asked["id_type"], self.asked["identifier"], self.asked["sub_id"])

    @property
    def is_change(self) -> bool:
        return bool(self.asked["method"] != "GET")

    @property
    def goes_on(self) -> bool:
        """Whether it is for another DFSP, which alone decides (protocol 1.6)."""
        resource, method = self.asked["resource"], self.asked["method"]
        if self.asked["is_error"] or (resource, method) == ("parties", "PUT"):
            return True
        if self.asked["destination"] in (None, self.context.hub_name):
            return False
        return (resource, method) in (("parties", "GET"), ("participants", "PUT"))

    def begin(self) -> None:
        """Decide what was asked, as far as that can be done here."""
        if not self.context.is_dfsp(self.source):
            log.info("party-request-dropped", reason="unknown source", resource=self.asked["resource"])
        elif self.goes_on:
            self._pass_on()
        elif self.is_change and self.asked["method"] != "DELETE" and self.asked["fsp"] != self.source:
            self._refuse(_FOREIGN_FSP)
        else:
            self._consult()

    def go_on(self, step: str, status: int | None, answer: bytes) -> None:
        """Decide by an external oracle's answer."""
        if step == CHANGE:
            fault = read_change(self.asked["method"], status, answer)
            if fault is None:
                self._changed()
            else:
                self.notifier.error(self.source, fault)
            return
        entries = read_lookup(status, answer)
        if isinstance(entries, ErrorInformation):
            self.notifier.error(self.source, entries)
        elif step == OWNER:
            self._remove_from_oracle(entries)
        else:
            self._found(entries)

    def _pass_on(self) -> None:
        destination = self.asked["destination"]
        if destination is not None and self.context.is_dfsp(destination):
            self.notifier.pass_on(destination, self.body, self.context.forward_patience_ms)
        else:
            self._refuse(_NO_DESTINATION)

    def _consult(self) -> None:
        fault = identifier_rejection(self.party)
        oracle = fault or self._oracle()
        if isinstance(oracle, Rejection):
            self._refuse(oracle)
        elif isinstance(oracle, Oracle):
            self._ask(oracle)
        elif self.is_change:
            self._change()
        else:
            self._found(self.view.get(PARTIES, self.party.key) or ())

    def _oracle(self) -> Oracle | BuiltIn | Rejection:
        context = self.context
        return select_oracle(
            context.oracles, self.asked["id_type"], self.asked["currency"], context.built_in_oracle_types
        )

    def _ask(self, oracle: Oracle) -> None:
        method = self.asked["method"]
        if method == "GET":
            ask_oracle(self.view, oracle, LOOKUP, "GET", self.asked)
        elif method == "DELETE":
            ask_oracle(self.view, oracle, OWNER, "GET", self.asked)
        else:
            ask_oracle(self.view, oracle, CHANGE, method, self.asked)

    def _remove_from_oracle(self, entries: Entries) -> None:
        asked = self.asked
        refusal = may_remove((one for one in entries if one.is_of(asked["sub_id"], asked["currency"])), self.source)
        oracle = refusal or self._oracle()
        if isinstance(oracle, Rejection):
            self._refuse(oracle)
        elif isinstance(oracle, Oracle):
            ask_oracle(self.view, oracle, CHANGE, "DELETE", asked)
        else:
            self._change()  # the oracle was taken away meanwhile

    def _change(self) -> None:
        """Register, update or remove at the built-in oracle."""
        asked, key = self.asked, self.party.key
        before = self.view.get(PARTIES, key) or ()
        entry = PartyEntry(self.source, asked["sub_id"], asked["currency"])
        if asked["method"] == "POST":
            after = register(before, entry)
        elif asked["method"] == "PUT":
            after = update(before, entry)
        else:
            after = remove(before, self.source, asked["sub_id"], asked["currency"])
        if isinstance(after, Rejection):
            self._refuse(after)
            return
        if not after:
            self.view.delete(PARTIES, key)
        elif after != before:
            self.view.put(PARTIES, key, after)
        self._changed()

    def _changed(self) -> None:
        """Tell that it is done: in the API's words, or in the reference's (protocol 6.4)."""
        asked = self.asked
        if asked["method"] == "DELETE" or not self.context.participants_reference_shapes:
            self.notifier.put(self.source, {"fspId": self.source})
            return
        listed = {
            "partyIdType": asked["id_type"],
            "partyIdentifier": asked["identifier"],
            "fspId": asked["fsp"],
            "partySubIdOrType": asked["sub_id"],
        }
        body: dict[str, object] = {"partyList": [{name: value for name, value in listed.items() if value is not None}]}
        if asked["currency"] is not None:
            body["currency"] = asked["currency"]
        destination = asked["destination"]
        if destination is not None and self.context.is_dfsp(destination):
            self.notifier.put(destination, body, source=self.source)
        else:
            self.notifier.put(asked["fsp"], body)

    def _found(self, entries: Entries) -> None:
        asked = self.asked
        if asked["resource"] == "participants":
            fsp = fsp_of_party(entries, asked["sub_id"], asked["currency"])
            if isinstance(fsp, Rejection):
                self._refuse(fsp)
            else:
                self.notifier.put(self.source, {"fspId": fsp})
            return
        fsps = fsps_to_ask(entries, asked["sub_id"], self.context.is_dfsp)
        if isinstance(fsps, Rejection):
            self._refuse(fsps)
            return
        for fsp in fsps:
            self.notifier.pass_on(fsp, b"", self.context.forward_patience_ms)

    def _refuse(self, rejection: Rejection) -> None:
        self.notifier.error(self.source, ErrorInformation.of(rejection))
