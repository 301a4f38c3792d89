"""Questions of the simulated DFSPs about parties and transaction requests, and answers, also of DFSPs without one.

Their draws are their own, so that runs without questions are what they were.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from tests.simulation import wire
from tests.simulation.bulks import Sender
from tests.simulation.wire import InputRecord

_PARTY: Final = "http://{}.example/parties/{{{{partyIdType}}}}/{{{{partyIdentifier}}}}"
ENDPOINTS: Final = {
    "FSPIOP_CALLBACK_URL_PARTIES_GET": _PARTY,
    "FSPIOP_CALLBACK_URL_PARTIES_PUT": _PARTY,
    "FSPIOP_CALLBACK_URL_PARTIES_PUT_ERROR": f"{_PARTY}/error",
    "FSPIOP_CALLBACK_URL_TRX_REQ_SERVICE": "http://{}.example",
}
PARTIES: Final = "parties"
REQUESTS: Final = "transactionRequests"


@dataclass(frozen=True, slots=True)
class Question:
    """A question of one DFSP to another."""

    resource: str
    number: int
    asker: str
    receiver: str

    @property
    def path(self) -> str:
        return f"/parties/MSISDN/{self.number}" if self.resource == PARTIES else f"/{REQUESTS}/{self.number}"

    def sent(self) -> InputRecord:
        """Return the question as the ingress records it: GET /parties or POST /transactionRequests."""
        if self.resource == PARTIES:
            return self._party("GET", self.asker, self.receiver, {}, is_error=False)
        return self._agreement("request", self.asker, self.receiver, {"of": self.number}, f"/{REQUESTS}")

    def answer(self, source: str, destination: str, note: int, *, is_error: bool) -> InputRecord:
        """Return a PUT of whoever sends it, to whomever; each note is another body."""
        information = {"errorCode": "3204", "errorDescription": "unknown"}
        body: dict[str, Any] = {"note": note} | ({"errorInformation": information} if is_error else {})
        if self.resource == PARTIES:
            return self._party("PUT", source, destination, body, is_error=is_error)
        path = f"{self.path}/error" if is_error else self.path
        return self._agreement("error" if is_error else "answer", source, destination, body, path)

    def _party(
        self, method: str, source: str, destination: str, body: dict[str, Any], *, is_error: bool
    ) -> InputRecord:
        header = {
            "kind": "party",
            "resource": PARTIES,
            "method": method,
            "is_error": is_error,
            "path": self.path,
            "source": source,
            "destination": destination,
            "party": ["MSISDN", str(self.number), None],
            "headers": {},
        }
        return InputRecord("party", f"MSISDN/{self.number}", wire.encoded(header, body))

    def _agreement(self, action: str, source: str, destination: str, body: dict[str, Any], path: str) -> InputRecord:
        header = {
            "kind": "agreement",
            "resource": REQUESTS,
            "action": action,
            "id": str(self.number),
            "source": source,
            "destination": destination,
            "path": path,
            "headers": {},
        }
        return InputRecord("agreement", str(self.number), wire.encoded(header, body))


class Questions:
    """All questions of a run."""

    def __init__(self, dfsps: Sender, draw: random.Random) -> None:
        self._dfsps = dfsps
        self._draw = draw
        self._by_number: dict[int, Question] = {}
        self._notes = 0

    def ask(self) -> None:
        """Send a question, perhaps twice, and answers for which nobody waits."""
        draw, names = self._draw, self._dfsps.names
        asker, receiver = draw.sample(names, 2)
        number = len(self._by_number) + 1
        question = Question(draw.choice((PARTIES, REQUESTS)), number, asker, receiver)
        self._by_number[number] = question
        self._dfsps.later(0.0, question.sent())
        if draw.random() < 0.3:
            self._dfsps.later(draw.uniform(0.0, 4.0), question.sent())
        if draw.random() < 0.2:  # in the other direction too, under the same id
            turned = Question(question.resource, number, receiver, asker)
            self._dfsps.later(draw.uniform(0.0, 1.0), turned.sent())
        for _ in range(draw.choice((0, 1, 3))):
            source, destination = draw.choice((*names, self._dfsps.stranger)), draw.choice((asker, asker, *names))
            self._answer(question, source, destination, draw.uniform(0.0, 3.0))

    def receive(self, method: str, url: str, name: str, body: bytes) -> bool:
        """Let the DFSP that a question has reached answer it, or not; return whether the callback was of a question."""
        _empty, resource, *rest = urlsplit(url).path.split("/")
        if resource not in (PARTIES, REQUESTS):
            return False
        if method != "PUT":
            number = int(rest[-1]) if resource == PARTIES else orjson.loads(body)["of"]
            question = self._by_number[number]
            to = question.asker if name == question.receiver else question.receiver
            for _ in range(self._draw.choice((0, 1, 1, 1, 2))):
                self._answer(question, name, to, self._draw.choice((0.0, 0.1, 1.0, 5.0)))
        return True

    def _answer(self, question: Question, source: str, destination: str, after_s: float) -> None:
        self._notes += 1
        is_error = self._draw.random() < 0.3
        self._dfsps.later(after_s, question.answer(source, destination, self._notes, is_error=is_error))
