"""Who may answer a question: the DFSPs that it has gone to, as often as it has gone to them."""

from __future__ import annotations

import pytest

from clearinghub.domain.answers import (
    ANSWERS_EACH_MAX,
    DFSPS_MAX,
    AnswerRules,
    Question,
    ask,
    may_answer,
    take_answer,
)


def test_only_the_dfsp_that_a_question_has_gone_to_may_answer() -> None:
    question = ask(None, ("beta",))

    assert may_answer(question, "beta")
    assert not may_answer(question, "gamma")
    assert not may_answer(None, "beta")


def test_the_answer_ends_the_question_of_one_dfsp() -> None:
    assert take_answer(ask(None, ("beta",)), "beta") is None


def test_each_of_several_dfsps_may_answer_once() -> None:
    question = take_answer(ask(None, ("beta", "gamma")), "gamma")

    assert Question({"beta": 1}) == question
    with pytest.raises(KeyError):
        take_answer(question, "gamma")
    assert take_answer(question, "beta") is None


def test_who_has_the_question_twice_may_answer_twice() -> None:
    question = ask(ask(None, ("beta",)), ("beta",))

    assert Question({"beta": 1}) == take_answer(question, "beta")


def test_a_question_does_not_grow_without_end() -> None:
    question = None
    for number in range(DFSPS_MAX + 1):
        question = ask(question, (f"d{number}",))
    for _ in range(ANSWERS_EACH_MAX + 1):
        question = ask(question, ("d1",))

    assert question is not None
    assert DFSPS_MAX == len(question.owed)
    assert not may_answer(question, "d0"), "the first one has left"
    assert ANSWERS_EACH_MAX == question.owed["d1"]


def test_a_question_is_open_for_its_time_and_at_most_twice_as_long() -> None:
    rules = AnswerRules(within_s=60)

    for sent_ms in (600_000, 630_500, 659_999):
        window = rules.window_of(sent_ms)
        assert window in rules.open_windows(sent_ms)
        assert window in rules.open_windows(sent_ms + 60_000)
        assert window not in rules.open_windows(sent_ms + 120_000)
