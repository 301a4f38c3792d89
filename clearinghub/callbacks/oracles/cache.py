"""Oracles' answers to lookups, for a short time (protocol 6.2)."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from clearinghub.callbacks.oracles.question import OracleAnswer

BYTES_MAX: Final = 64 * 1024 * 1024  # of all answers together: one may have megabytes


class AnswerCache:
    """The last answers by oracle and URL, the oldest forgotten first; the time is an argument, in milliseconds.

    A change at an oracle voids all that it has said before, and what it is being asked meanwhile.
    """

    def __init__(self, count_max: int, keep_ms: int, bytes_max: int = BYTES_MAX) -> None:
        self._count_max = count_max
        self._keep_ms = keep_ms
        self._bytes_max = bytes_max
        self._bytes = 0
        self._answers: OrderedDict[tuple[int, str], tuple[int, int, OracleAnswer]] = OrderedDict()
        self._changes: dict[int, int] = {}

    def generation(self, oracle_id: int) -> int:
        """How often the oracle was changed; an answer is kept only if that is still so when it comes."""
        return self._changes.get(oracle_id, 0)

    def get(self, oracle_id: int, url: str, now_ms: int) -> OracleAnswer | None:
        """An answer that still counts."""
        found = self._answers.get((oracle_id, url))
        if found is None or found[0] <= now_ms or found[1] != self.generation(oracle_id):
            return None
        return found[2]

    def put(self, oracle_id: int, url: str, answer: OracleAnswer, generation: int, now_ms: int) -> None:
        """Keep an answer to a question that was asked at that generation."""
        if generation != self.generation(oracle_id) or not self._keep_ms or not self._count_max:
            return
        if len(answer.body) > self._bytes_max:
            return
        replaced = self._answers.pop((oracle_id, url), None)
        self._bytes += len(answer.body) - (0 if replaced is None else len(replaced[2].body))
        self._answers[oracle_id, url] = (now_ms + self._keep_ms, generation, answer)
        while len(self._answers) > self._count_max or self._bytes > self._bytes_max:
            _place, (_until_ms, _generation, oldest) = self._answers.popitem(last=False)
            self._bytes -= len(oldest.body)

    def changed(self, oracle_id: int) -> None:
        """Something was registered, updated or removed there."""
        self._changes[oracle_id] = self.generation(oracle_id) + 1
