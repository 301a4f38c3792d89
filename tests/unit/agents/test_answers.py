"""Table `questions`: where its rows are, and when they leave."""

from __future__ import annotations

from itertools import count

from agents.answers import BACK_MS_MAX, ROWS_AT_ONCE, make_answer_punctuator
from agents.context import LedgerContext
from clearinghub.config import Settings
from clearinghub.domain.answers import AnswerRules, Question
from clearinghub.domain.parties.party import PartyId
from clearinghub.domain.quotes.agreement import Action
from clearinghub.messages import AgreementMessage, encode
from clearinghub.messages.parties import PartyMessage
from tables.questions import QUESTIONS, Subject, question_key, topic_key_of
from tests.fakes import FakeParticipants, MemoryView
from tests.in_memory_hub import START_MS, InMemoryHub
from tests.unit.domain.quotes.test_agreement import SCHEME

WITHIN_S = 60


def a_hub(answers: str = "requested") -> InMemoryHub:
    hub = InMemoryHub(Settings(partitions=3, answers=answers, answer_within_s=WITHIN_S))
    hub.participants.by_name.update(SCHEME)
    hub.tick_ms = 0
    return hub


def lookup(hub: InMemoryHub, sub_id: str | None = None, destination: str = "payee") -> None:
    party = PartyId("MSISDN", "123", sub_id)
    message = PartyMessage(
        resource="parties",
        method="GET",
        is_error=False,
        path="/parties/MSISDN/123",
        source="payer",
        destination=destination,
        party=party,
        headers={},
    )
    hub.write("party", party.key, encode(message))


def test_a_row_is_on_the_partition_of_its_subject() -> None:
    hub = a_hub()
    lookup(hub)
    lookup(hub, sub_id="a/b c")
    message = AgreementMessage(
        resource="transactions",
        action=Action.QUERY,
        id="q-1",
        source="payer",
        destination="payee",
        path="/transactions/q-1",
        headers={},
    )
    hub.write("agreement", "q-1", encode(message))

    found = {key: view.partition for view in hub.views for key in view.rows(QUESTIONS)}
    window = START_MS // 1000 - START_MS // 1000 % WITHIN_S
    assert {
        f"@{window}/parties/payer//MSISDN/123": hub.partition_of("party", "MSISDN/123"),
        f"@{window}/parties/payer/a%2Fb%20c/MSISDN/123": hub.partition_of("party", "MSISDN/123"),
        f"@{window}/transactions/payer//q-1": hub.partition_of("agreement", "q-1"),
    } == found
    for key, partition in found.items():
        assert partition == hub.partition_of("party", topic_key_of(key))


def test_a_lookup_that_is_refused_is_no_question() -> None:
    hub = a_hub()
    lookup(hub, destination="nobody")

    assert {} == hub.rows(QUESTIONS)


def test_no_question_is_kept_where_everybody_may_answer() -> None:
    hub = a_hub("any")
    lookup(hub)

    assert {} == hub.rows(QUESTIONS)


def test_a_question_leaves_the_table_when_nobody_may_answer_it_any_more() -> None:
    hub = a_hub()
    lookup(hub)
    window_ms = WITHIN_S * 1000
    over_ms = START_MS - START_MS % window_ms + 2 * window_ms
    for now_ms, left in ((over_ms + BACK_MS_MAX - 1, 2), (over_ms + BACK_MS_MAX, 1)):
        hub.now_ms = now_ms
        lookup(hub)
        hub.punctuate()
        assert left == len(hub.rows(QUESTIONS))


def test_a_workers_clock_closes_no_question() -> None:
    hub = a_hub()
    lookup(hub)
    hub.now_ms += 100 * WITHIN_S * 1000
    hub.punctuate()

    assert 1 == len(hub.rows(QUESTIONS))


def test_many_questions_leave_the_table_in_steps_and_open_ones_stay() -> None:
    context = LedgerContext("Hub", FakeParticipants(), answers=AnswerRules(within_s=WITHIN_S))
    view, numbers = MemoryView(), count()
    for window in (0, 0, WITHIN_S):
        for _ in range(ROWS_AT_ONCE):
            key = question_key(window, Subject("quotes", f"q{next(numbers)}"), "payer")
            view.put(QUESTIONS, key, Question({"payee": 1}))
    punctuate = make_answer_punctuator(context)
    context.latest_question_ms[view.partition] = 2 * WITHIN_S * 1000 + BACK_MS_MAX

    left = []
    for _ in range(4):
        punctuate(view, 0)
        left.append(len(view.rows(QUESTIONS)))
    assert [2 * ROWS_AT_ONCE, ROWS_AT_ONCE, ROWS_AT_ONCE, ROWS_AT_ONCE] == left
    context.latest_question_ms[view.partition] += WITHIN_S * 1000
    punctuate(view, 0)
    assert {} == view.rows(QUESTIONS)
