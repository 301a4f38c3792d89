"""Table `questions`: window/resource/requester/sub-id/subject -> Question, on the partition of the subject's topic key.

The subject is that key: type and identifier of a party, or the id of what is agreed on. So a question and its answers
meet on one partition, whatever their headers say. The window is that of the question's time, as long as
`answer_within_s`; a punctuator removes the rows of windows that are over (agents/answers.py), which need no index, for
their keys are in the order of time.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import quote

from clearinghub.domain.answers import Question
from clearinghub.engine.record import TableSpec, row_table

QUESTIONS: Final[TableSpec[Question]] = row_table("questions", Question)
PREFIX: Final = "@"
_PARTS: Final = 5


class Subject(NamedTuple):
    """What a question is about; `topic_key` is the key of all its records."""

    resource: str
    topic_key: str
    sub_id: str | None = None


def question_key(window_s: int, subject: Subject, requester: str) -> str:
    """Return the row key of a question; neither resources nor names of participants contain a slash."""
    sub_id = "" if subject.sub_id is None else quote(subject.sub_id, safe="")
    return f"{window_prefix(window_s)}/{subject.resource}/{requester}/{sub_id}/{subject.topic_key}"


def window_prefix(window_s: int) -> str:
    """Return how the keys of a window begin; those of earlier windows come before it."""
    return f"{PREFIX}{window_s:010d}"


def topic_key_of(key: str) -> str:
    """Return the topic key of the subject that a row key is of."""
    return key.split("/", _PARTS - 1)[_PARTS - 1]
