"""In whatever order questions and answers come, answers arrive only from DFSPs that a question has gone to."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from clearinghub.callbacks.notification import Notification
from clearinghub.config import Settings
from clearinghub.domain.parties.party import PartyId
from clearinghub.domain.quotes.agreement import Action
from clearinghub.messages import AgreementMessage, encode
from clearinghub.messages.parties import PartyMessage
from tests.in_memory_hub import InMemoryHub
from tests.unit.domain.quotes.test_agreement import dfsp as a_dfsp

NAMES = ("alpha", "beta", "gamma")
WITHIN_MS = 60_000
RESOURCES = ("parties", "quotes", "transactionRequests")


class Step(NamedTuple):
    """A message of one DFSP to another; `pause_ms` is the time before it."""

    resource: str
    subject: str
    kind: str  # question, answer, error
    source: str
    destination: str
    pause_ms: int


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(RESOURCES),
        st.sampled_from(("1", "2")),
        st.sampled_from(("question", "answer", "error")),
        st.sampled_from(NAMES),
        st.sampled_from(NAMES),
        st.sampled_from((0, 0, 0, 1_000, WITHIN_MS // 2, WITHIN_MS, 2 * WITHIN_MS)),
    ),
    max_size=30,
)


class Model:
    """Says whether a message may, must or must not arrive, from the questions that were sent; it knows no windows."""

    def __init__(self) -> None:
        self._questions: list[tuple[Step, int]] = []
        self._answered: list[tuple[Step, int]] = []

    def may_arrive(self, step: Step, now_ms: int) -> bool:
        if step.kind == "question":
            return True
        is_open = self._is_open(step.destination, step.source, step, now_ms, 2 * WITHIN_MS)
        if step.resource == "parties":
            return is_open and self._owed_since(0, step) > 0
        return is_open or (step.kind == "error" and self._is_withdrawal(step, now_ms))

    def must_arrive(self, step: Step, now_ms: int) -> bool:
        if step.kind == "question":
            return True
        if step.resource == "parties":
            return self._owed_since(now_ms - WITHIN_MS, step) > 0
        return self._is_open(step.destination, step.source, step, now_ms, WITHIN_MS)

    def note(self, step: Step, now_ms: int) -> None:
        if step.kind == "question":
            self._questions.append((step, now_ms))
        elif step.resource == "parties":
            self._answered.append((step, now_ms))

    def _owed_since(self, since_ms: int, step: Step) -> int:
        """Return how many more questions about a party than answers there were, at least, since a time."""
        questions = [at_ms for one, at_ms in self._questions if self._is_of(one, step.destination, step.source, step)]
        answered = [at_ms for one, at_ms in self._answered if self._is_of(one, step.source, step.destination, step)]
        return sum(at_ms >= since_ms for at_ms in questions) - sum(at_ms >= since_ms for at_ms in answered)

    def _is_withdrawal(self, step: Step, now_ms: int) -> bool:
        waits = any(
            one.source == step.destination and (one.resource, one.subject) == (step.resource, step.subject)
            for one, at_ms in self._questions
            if now_ms - at_ms <= WITHIN_MS
        )
        return not waits and self._is_open(step.source, step.destination, step, now_ms, 2 * WITHIN_MS)

    def _is_open(self, requester: str, dfsp: str, step: Step, now_ms: int, within_ms: int) -> bool:
        return any(
            self._is_of(one, requester, dfsp, step) and now_ms - at_ms <= within_ms for one, at_ms in self._questions
        )

    @staticmethod
    def _is_of(one: Step, requester: str, dfsp: str, step: Step) -> bool:
        names = (one.resource, one.subject, one.source, one.destination)
        return names == (step.resource, step.subject, requester, dfsp)


def encoded(step: Step) -> tuple[str, str, bytes]:
    """Return the topic, key and value of the record of a message."""
    if step.resource == "parties":
        party = PartyId("MSISDN", step.subject)
        request = PartyMessage(
            resource="parties",
            method="GET" if step.kind == "question" else "PUT",
            is_error=step.kind == "error",
            path=f"/parties/MSISDN/{step.subject}",
            source=step.source,
            destination=step.destination,
            party=party,
            headers={},
        )
        return "party", party.key, encode(request, b"{}")
    message = AgreementMessage(
        resource=step.resource,
        action={"question": Action.REQUEST, "answer": Action.ANSWER, "error": Action.ERROR}[step.kind],
        id=step.subject,
        source=step.source,
        destination=step.destination,
        path=f"/{step.resource}/{step.subject}",
        headers={},
        currency="USD",
        hash="h",
    )
    return "agreement", step.subject, encode(message, b"{}")


@cache
def the_hub() -> InMemoryHub:
    """One hub for all histories: to make one takes longer than a history."""
    hub = InMemoryHub(Settings(partitions=3, answer_within_s=WITHIN_MS // 1000))
    hub.participants.by_name.update({name: a_dfsp(name, "USD") for name in NAMES})
    hub.tick_ms = 0
    return hub


@given(STEPS)
def test_no_order_of_questions_and_answers_lets_another_dfsp_answer(steps: list[Step]) -> None:
    hub, model = the_hub(), Model()
    hub.now_ms += 2 * WITHIN_MS  # whatever the last history has left open is over
    for step in steps:
        hub.now_ms += step.pause_ms
        if step.pause_ms >= WITHIN_MS:
            hub.punctuate()
        hub.write(*encoded(step))
        [callback] = [Notification.parse(one.value).message for one in hub.new_records("notification")]
        arrives = (callback.source, callback.receiver) == (step.source, step.destination)
        if arrives:
            assert model.may_arrive(step, hub.now_ms), step
            model.note(step, hub.now_ms)
        else:
            assert ("Hub", step.source) == (callback.source, callback.receiver)
            assert not model.must_arrive(step, hub.now_ms), step
