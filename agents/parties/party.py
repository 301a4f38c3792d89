"""/parties and /participants for one party: look up its FSP, register it, update it, remove it (protocol 6.3, 6.4).

All records about a party are on one partition. The entries of the built-in oracle are in that partition's own table.
The callbacks role sends questions to external oracles: a question carries the whole request, and the answer brings it
back, so nothing is kept in between.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

import structlog

from agents.answers import accept_answer, note_question
from agents.parties.batch import on_batch_answer
from agents.parties.notify import PartyNotifier
from agents.parties.oracle_question import ask_oracle
from agents.turn import Turn
from clearinghub.domain.answers import UNREQUESTED
from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection
from clearinghub.domain.participants.participant import Oracle
from clearinghub.domain.parties.oracle import BuiltIn, read_change, read_lookup, select_oracle
from clearinghub.domain.parties.party import (
    Entries,
    PartyEntry,
    fsp_of_party,
    fsps_to_ask,
    identifier_rejection,
    register,
    removal_rejection,
    remove,
    update,
)
from clearinghub.messages.parties import OracleAnswerMessage, OracleBatchPart, OracleStep, PartyMessage
from tables.parties import entries_of, put_entries
from tables.questions import Subject

log = structlog.get_logger(__name__)

_NO_DESTINATION: Final = Rejection(ErrorCode.DESTINATION_FSP_ERROR, "Destination FSP not found")
_FOREIGN_FSP: Final = Rejection(ErrorCode.ADD_PARTY_INFO_ERROR, "fspId differs from FSPIOP-Source")


def on_party(turn: Turn, request: PartyMessage, body: bytes) -> None:
    """Forward a request, decide it by the built-in oracle, or ask an external oracle."""
    decision = _Decision(turn, request, PartyNotifier(turn, request))
    if not turn.context.is_dfsp(request.source):
        log.info("party-request-dropped", reason="unknown source", resource=request.resource)
    elif decision.is_for_another_dfsp:
        decision.forward(body)
    elif request.method in ("POST", "PUT") and request.fsp != request.source:
        decision.refuse(_FOREIGN_FSP)
    else:
        decision.consult_oracle()


def on_oracle_answer(turn: Turn, message: OracleAnswerMessage, body: bytes) -> None:
    """Continue a request with the answer of an external oracle."""
    request = message.request
    if isinstance(request, OracleBatchPart):
        assert message.step is OracleStep.BATCH
        on_batch_answer(turn, request, message.status, body)
        return
    decision = _Decision(turn, request, PartyNotifier(turn, request))
    if message.step is OracleStep.CHANGE:
        error = read_change(request.method, message.status, body)
        if error is None:
            decision.confirm_change()
        else:
            decision.notifier.error(request.source, error)
        return
    entries = read_lookup(message.status, body)
    if isinstance(entries, ErrorInformation):
        decision.notifier.error(request.source, entries)
    elif message.step is OracleStep.OWNER:
        decision.remove_at_oracle(entries)
    else:
        assert message.step is OracleStep.LOOKUP
        decision.answer_lookup(entries)


class _Decision(NamedTuple):
    """One request on the partition that decides it, and the steps that a decision has."""

    turn: Turn
    request: PartyMessage
    notifier: PartyNotifier

    @property
    def is_for_another_dfsp(self) -> bool:
        """Whether the receiving DFSP alone decides the request (protocol 1.6)."""
        resource, method = self.request.resource, self.request.method
        if self.request.is_error or (resource, method) == ("parties", "PUT"):
            return True
        if self.request.destination in (None, self.turn.hub_name):
            return False
        return (resource, method) in (("parties", "GET"), ("participants", "PUT"))

    @property
    def subject(self) -> Subject:
        """What the request asks about, or answers."""
        party = self.request.party
        return Subject(self.request.resource, party.key, party.sub_id)

    def forward(self, body: bytes) -> None:
        """Pass a lookup on to the DFSP that it names, or an answer to the DFSP that waits for it."""
        destination = self.request.destination
        if destination is None or not self.turn.context.is_dfsp(destination):
            self.refuse(_NO_DESTINATION)
        elif self.request.method == "GET":
            self.ask((destination,))
        elif accept_answer(self.turn, self.subject, destination, self.request.source):
            self.notifier.forward(destination, body)
        else:
            log.info(
                "answer-unrequested", source=self.request.source, receiver=destination, resource=self.subject.resource
            )
            self.refuse(UNREQUESTED)

    def ask(self, fsps: Collection[str]) -> None:
        """Pass a lookup on to these DFSPs, which may answer it then."""
        note_question(self.turn, self.subject, self.request.source, fsps)
        for fsp in fsps:
            self.notifier.forward(fsp, b"")

    def refuse(self, rejection: Rejection) -> None:
        self.notifier.error(self.request.source, ErrorInformation.of(rejection))

    def consult_oracle(self) -> None:
        """Decide by the built-in oracle's entries, or ask the external oracle of the party's type."""
        oracle = identifier_rejection(self.request.party) or self._oracle()
        if isinstance(oracle, Rejection):
            self.refuse(oracle)
        elif isinstance(oracle, Oracle):
            self._ask(oracle)
        elif self.request.method == "GET":
            self.answer_lookup(entries_of(self.turn.view, self.request.party.key))
        else:
            self._change()

    def answer_lookup(self, entries: Entries) -> None:
        """Answer with the party's FSP, or forward GET /parties to every FSP that may have the party."""
        sub_id = self.request.party.sub_id
        if self.request.resource == "participants":
            fsp = fsp_of_party(entries, sub_id, self.request.currency)
            if isinstance(fsp, Rejection):
                self.refuse(fsp)
            else:
                self.notifier.put(self.request.source, {"fspId": fsp})
            return
        fsps = fsps_to_ask(entries, sub_id, self.turn.context.is_dfsp)
        if isinstance(fsps, Rejection):
            self.refuse(fsps)
        else:
            self.ask(fsps)

    def remove_at_oracle(self, entries: Entries) -> None:
        """Have an external oracle remove the party, if all of its entries are the sender's own."""
        request = self.request
        meant = (one for one in entries if one.is_of(request.party.sub_id, request.currency))
        oracle = removal_rejection(meant, request.source) or self._oracle()
        if isinstance(oracle, Rejection):
            self.refuse(oracle)
        elif isinstance(oracle, Oracle):
            ask_oracle(self.turn.view, oracle, OracleStep.CHANGE, "DELETE", request)
        else:
            self._change()  # the external oracle was deleted after it had returned the entries

    def confirm_change(self) -> None:
        """Notify the sender that the change is done, in the API's form or in the reference's (protocol 6.4)."""
        request, context = self.request, self.turn.context
        if request.method == "DELETE" or not context.participants_reference_shapes:
            self.notifier.put(request.source, {"fspId": request.source})
            return
        assert request.fsp is not None, "a change without the sender's FSP is refused before"
        party = request.party
        named = {
            "partyIdType": party.id_type,
            "partyIdentifier": party.identifier,
            "fspId": request.fsp,
            "partySubIdOrType": party.sub_id,
        }
        body: dict[str, object] = {"partyList": [{name: value for name, value in named.items() if value is not None}]}
        if request.currency is not None:
            body["currency"] = request.currency
        if request.destination is not None and context.is_dfsp(request.destination):
            self.notifier.put(request.destination, body, source=request.source)
        else:
            self.notifier.put(request.fsp, body)

    def _oracle(self) -> Oracle | BuiltIn | Rejection:
        context, request = self.turn.context, self.request
        return select_oracle(context.oracles, request.party.id_type, request.currency, context.built_in_oracle_types)

    def _ask(self, oracle: Oracle) -> None:
        method = self.request.method
        if method == "GET":
            ask_oracle(self.turn.view, oracle, OracleStep.LOOKUP, "GET", self.request)
        elif method == "DELETE":
            ask_oracle(self.turn.view, oracle, OracleStep.OWNER, "GET", self.request)
        else:
            ask_oracle(self.turn.view, oracle, OracleStep.CHANGE, method, self.request)

    def _change(self) -> None:
        """Register, update or remove the party at the built-in oracle."""
        request, view = self.request, self.turn.view
        key, sub_id = request.party.key, request.party.sub_id
        before = entries_of(view, key)
        entry = PartyEntry(request.source, sub_id, request.currency)
        if request.method == "POST":
            after = register(before, entry)
        elif request.method == "PUT":
            after = update(before, entry)
        else:
            assert request.method == "DELETE", request.method
            after = remove(before, request.source, sub_id, request.currency)
        if isinstance(after, Rejection):
            self.refuse(after)
            return
        if after != before:
            put_entries(view, key, after)
        self.confirm_change()
