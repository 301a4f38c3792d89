"""Which answers to questions are passed on, decided again: it keeps each question by itself, and knows no rows.

A question about a party may be answered once by the DFSP that it has gone to, one about a transaction request in steps.
Time is cut into periods; a question may be answered in its own period and in the next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.model.effects import Effects

OPEN_PERIODS = (0, 1)


@dataclass(frozen=True, slots=True)
class _Question:
    subject: tuple[str, str]
    asker: str
    receiver: str
    period: int


class PartitionAnswers:
    """The questions that a partition has passed on, and those about parties that are not answered yet."""

    def __init__(self, dfsps: Iterable[str], within_s: int) -> None:
        self.counts: Counter[str] = Counter()
        self._dfsps = frozenset(dfsps)
        self._within_s = within_s
        self._questions: list[_Question] = []

    def decide(self, message: dict[str, Any], at_ms: int, effects: Effects) -> None:
        """Predict the callback of a message; strangers get none."""
        source, destination, resource = message["source"], message["destination"], message["resource"]
        identity = message["path"] if resource == "parties" else message["id"]
        subject, period = (resource, identity), at_ms // 1000 // self._within_s
        if source not in self._dfsps:
            return
        if destination not in self._dfsps:
            effects.notify(source, "PUT", identity, "hub: error 3201")
            return
        kind = _kind_of(message)
        if kind == "question":
            self._questions.append(_Question(subject, source, destination, period))
            effects.notify(destination, "GET" if resource == "parties" else "POST", identity, "forward")
        elif self._is_welcome(kind, subject, source, destination, period):
            self.counts["answers passed on"] += 1
            effects.notify(destination, "PUT", identity, "forward")
        else:
            self.counts["answers refused"] += 1
            effects.notify(source, "PUT", identity, "hub: error 3100")

    def _is_welcome(self, kind: str, subject: tuple[str, str], source: str, destination: str, period: int) -> bool:
        still_open = [one for one in self._questions if one.subject == subject and period - one.period in OPEN_PERIODS]
        answered = [one for one in still_open if (one.asker, one.receiver) == (destination, source)]
        if subject[0] == "parties":
            if answered:
                self._questions.remove(min(answered, key=lambda one: one.period))
            return bool(answered)
        withdrawn = any((one.asker, one.receiver) == (source, destination) for one in still_open)
        waits = any(one.asker == destination for one in still_open)
        return bool(answered) or (kind == "error" and withdrawn and not waits)


def _kind_of(message: dict[str, Any]) -> str:
    if message["kind"] == "agreement":
        return "question" if message["action"] in ("request", "query") else str(message["action"])
    if message["method"] == "GET":
        return "question"
    return "error" if message["is_error"] else "answer"
