"""Who may answer: the hub passes an answer on only from a DFSP to which it has passed the question on (ADR 42).

Otherwise any DFSP could answer a lookup or a quote of another one, and the first answer would win.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.rows import Row

DFSPS_MAX: Final = 200  # that one question has gone to: as many as may have one identifier
ANSWERS_EACH_MAX: Final = 16  # that one DFSP still owes: a requester that repeats its question more often needs no more

UNREQUESTED: Final = Rejection(ErrorCode.VALIDATION_ERROR, "FSPIOP-Destination has not asked FSPIOP-Source for this")


@dataclass(frozen=True, slots=True)
class AnswerRules:
    """Whether answers need a question, and for how many seconds at least a question may be answered."""

    need_questions: bool = True
    within_s: int = 300

    def window_of(self, now_ms: int) -> int:
        """Return the beginning of the window that a time is in, in seconds since 1970."""
        now_s = now_ms // 1000
        return now_s - now_s % self.within_s

    def open_windows(self, now_ms: int) -> tuple[int, int]:
        """Return the windows, earlier first, whose questions may still be answered."""
        current = self.window_of(now_ms)
        return current - self.within_s, current


class Question(Row, frozen=True, array_like=True):
    """A DFSP's question about one subject: `owed` has, by DFSP, how many answers it may still send."""

    owed: dict[str, int]


def ask(question: Question | None, dfsps: Iterable[str]) -> Question:
    """Return the question after it has gone to these DFSPs; a full one forgets those to which it went first."""
    owed = {} if question is None else dict(question.owed)
    for name in dfsps:
        owed[name] = min(ANSWERS_EACH_MAX, owed.pop(name, 0) + 1)
    for name in list(owed)[: max(0, len(owed) - DFSPS_MAX)]:
        del owed[name]
    return Question(owed) if question is None else replace(question, owed=owed)


def may_answer(question: Question | None, dfsp: str) -> bool:
    """Return whether the question has gone to a DFSP that still owes an answer."""
    return question is not None and dfsp in question.owed


def take_answer(question: Question, dfsp: str) -> Question | None:
    """Return the question after an answer of a DFSP that owes one; None if nobody owes one any more.

    Raises:
        KeyError: the DFSP owes none.
    """
    owed = dict(question.owed)
    owed[dfsp] -= 1
    assert owed[dfsp] >= 0, "a DFSP that owes nothing is not listed"
    if not owed[dfsp]:
        del owed[dfsp]
    return replace(question, owed=owed) if owed else None
