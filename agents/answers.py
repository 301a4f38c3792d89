"""Notes which questions have gone to which DFSPs, and decides who may answer them (protocol 6.5, ADR 42)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from agents.context import LedgerContext
from agents.turn import Turn
from clearinghub.domain.answers import ask, may_answer, take_answer
from clearinghub.engine.record import Punctuator, PunctuatorView
from tables.questions import PREFIX, QUESTIONS, Subject, question_key, window_prefix

ROWS_AT_ONCE: Final = 1_000  # of questions that are over, in one run
BACK_MS_MAX: Final = 10_000  # by which the time of records may go back, when another broker leads the partition


def note_question(turn: Turn, subject: Subject, requester: str, dfsps: Iterable[str]) -> None:
    """Note that the hub passes a question of `requester` on to these DFSPs."""
    if turn.context.answers.need_questions:
        _earlier, key = _open_keys(turn, subject, requester)
        turn.view.put(QUESTIONS, key, ask(turn.view.get(QUESTIONS, key), dfsps))


def is_question_open(turn: Turn, subject: Subject, requester: str, dfsp: str) -> bool:
    """Return whether a question of `requester` has gone to the DFSP, and is still open."""
    return not turn.context.answers.need_questions or _key_of_open(turn, subject, requester, dfsp) is not None


def waits_for_answer(turn: Turn, subject: Subject, requester: str) -> bool:
    """Return whether a question of `requester` has gone to any DFSP, and is still open."""
    return any(turn.view.get(QUESTIONS, key) is not None for key in _open_keys(turn, subject, requester))


def accept_answer(turn: Turn, subject: Subject, requester: str, dfsp: str) -> bool:
    """Return whether the DFSP owes an answer to a question of `requester`; if so, it owes one less then."""
    if not turn.context.answers.need_questions:
        return True
    key = _key_of_open(turn, subject, requester, dfsp)
    if key is None:
        return False
    question = turn.view.get(QUESTIONS, key)
    assert question is not None
    left = take_answer(question, dfsp)
    if left is None:
        turn.view.delete(QUESTIONS, key)
    else:
        turn.view.put(QUESTIONS, key, left)
    return True


def make_answer_punctuator(context: LedgerContext) -> Punctuator:
    """Return the punctuator that removes questions that may no longer be answered.

    It goes by the time of the records that were decided, not by the worker's clock: one that is ahead would close
    questions too early. So the last questions of a partition stay until another record about questions comes.
    """
    finished: dict[int, int] = {}  # by partition: the window before which nothing is left

    def punctuate(view: PunctuatorView, _now_ms: int) -> None:
        latest_ms = context.latest_question_ms.get(view.partition)
        if latest_ms is None:
            return
        oldest_open, _current = context.answers.open_windows(latest_ms - BACK_MS_MAX)
        if finished.get(view.partition) == oldest_open:
            return
        end = window_prefix(oldest_open)
        over = [key for key in view.keys(QUESTIONS, PREFIX, "", ROWS_AT_ONCE) if key < end]
        for key in over:
            view.delete(QUESTIONS, key)
        if len(over) < ROWS_AT_ONCE:
            finished[view.partition] = oldest_open

    return punctuate


def _key_of_open(turn: Turn, subject: Subject, requester: str, dfsp: str) -> str | None:
    """Return the row key of the oldest open question that the DFSP owes an answer to, or None."""
    for key in _open_keys(turn, subject, requester):
        if may_answer(turn.view.get(QUESTIONS, key), dfsp):
            return key
    return None


def _open_keys(turn: Turn, subject: Subject, requester: str) -> tuple[str, ...]:
    """Return the row keys that an open question may have, the earlier window's first."""
    latest_ms, partition = turn.context.latest_question_ms, turn.view.partition
    latest_ms[partition] = max(turn.now_ms, latest_ms.get(partition, 0))
    windows = turn.context.answers.open_windows(turn.now_ms)
    return tuple(question_key(window, subject, requester) for window in windows)
