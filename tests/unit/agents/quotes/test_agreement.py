"""The agent of what is agreed on before a transfer: records in, callbacks and rows out."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from msgspec import structs

from clearinghub.callbacks.notification import Notification
from clearinghub.config import Settings
from clearinghub.domain.quotes.agreement import ENDPOINTS, Action
from clearinghub.domain.quotes.stored_quote import StoredQuote
from clearinghub.messages import AgreementMessage, encode
from tables.questions import QUESTIONS
from tables.quotes import QUOTES, expires_at, index_entries
from tests.fakes import MemoryView
from tests.in_memory_hub import START_MS, InMemoryHub
from tests.unit.domain.quotes.test_agreement import SCHEME
from tests.unit.domain.quotes.test_stored_quote import ANSWERED, REQUESTED

NOW_MS = START_MS
HEADERS = {"fspiop-source": "payer", "fspiop-destination": "payee", "date": "d", "fspiop-signature": "s"}


class Quoting:
    """A hub with a payer and a payee; `send` returns the callbacks that follow from a message on partition 2."""

    def __init__(self, *, stored: bool = False, answers: str = "requested") -> None:
        quotes = "stored" if stored else "stateless"
        self.hub = InMemoryHub(Settings(partitions=3, quotes=quotes, answers=answers))
        self.hub.participants.by_name.update(SCHEME)
        self.hub.tick_ms = 0

    @property
    def view(self) -> MemoryView:
        return self.hub.views[2]

    def send(self, action: Action, body: bytes = b"", **changes: Any) -> list[Notification]:
        answering = action in (Action.ANSWER, Action.ERROR)
        source, destination = ("payee", "payer") if answering else ("payer", "payee")
        path = {Action.REQUEST: "/quotes", Action.ERROR: "/quotes/q-1/error"}.get(action, "/quotes/q-1")
        message = AgreementMessage(
            resource="quotes",
            action=action,
            id="q-1",
            source=source,
            destination=destination,
            path=path,
            currency="USD",
            expires_at_ms=NOW_MS + 60_000,
            hash=body.decode(),
            headers=HEADERS,
            trace="t",
        )
        changed = structs.replace(message, **changes)
        self.hub.write("agreement", "q-1", encode(changed, body), partition=2)
        return self.notifications()

    def notifications(self) -> list[Notification]:
        emitted = self.hub.new_records("notification")
        assert {2} >= {one.partition for one in emitted}
        return [Notification.parse(one.value) for one in emitted]


def test_a_request_is_forwarded_unchanged_and_names_who_is_notified_of_a_failure() -> None:
    [forwarded] = Quoting().send(Action.REQUEST, b'{"quoteId": "q-1" }')

    assert {
        "v": 1,
        "kind": "notification",
        "notification_id": "agreement-2-0-0",
        "id": "q-1",
        "receiver": "payee",
        "source": "payer",
        "method": "POST",
        "resource": "quotes",
        "endpoint": "FSPIOP_CALLBACK_URL_QUOTES",
        "path": "/quotes",
        "variables": {},
        "headers": HEADERS,
        "trace": "t",
        "failure": {
            "receiver": "payer",
            "endpoint": "FSPIOP_CALLBACK_URL_QUOTES",
            "path": "/quotes/q-1/error",
            "variables": {},
            "no_endpoint_only": False,
        },
        "deliver_by_ms": NOW_MS + 10_000,
    } == orjson.loads(forwarded.as_value().partition(b"\n")[0])
    assert b'{"quoteId": "q-1" }' == forwarded.body


@pytest.mark.parametrize(
    ("action", "method", "path"),
    [
        (Action.QUERY, "GET", "/quotes/q-1"),
        (Action.ANSWER, "PUT", "/quotes/q-1"),
        (Action.ERROR, "PUT", "/quotes/q-1/error"),
    ],
)
def test_each_message_has_its_method(action: Action, method: str, path: str) -> None:
    quoting = Quoting()
    quoting.send(Action.REQUEST, b"1")
    [forwarded] = quoting.send(action, b"{}")
    assert (method, path) == (forwarded.message.method, forwarded.message.path)
    assert (forwarded.message.failure is None) == (action is Action.ERROR)


def test_a_query_is_forwarded() -> None:
    [forwarded] = Quoting().send(Action.QUERY, resource="authorizations", path="/authorizations/q-1?retriesLeft=2")
    assert ("/authorizations/q-1?retriesLeft=2", "FSPIOP_CALLBACK_URL_AUTHORIZATIONS") == (
        forwarded.message.path,
        forwarded.message.endpoint,
    )


def test_a_refusal_is_sent_by_the_hub_itself() -> None:
    [answered] = Quoting().send(Action.REQUEST, b"{}", destination="nobody")
    assert ("payer", "Hub", "PUT", "/quotes/q-1/error") == (
        answered.message.receiver,
        answered.message.source,
        answered.message.method,
        answered.message.path,
    )
    assert "3201" == orjson.loads(answered.body)["errorInformation"]["errorCode"]
    assert (None, None) == (answered.message.failure, answered.message.deliver_by_ms)


def test_a_stranger_is_not_notified() -> None:
    assert [] == Quoting().send(Action.REQUEST, b"{}", source="nobody")


def test_stateless_quotes_leave_no_row() -> None:
    quoting = Quoting()
    quoting.send(Action.REQUEST, b"1")
    quoting.send(Action.ANSWER, b"2")
    assert {} == quoting.view.rows(QUOTES)


def test_stored_quotes_answer_for_the_payee() -> None:
    quoting = Quoting(stored=True)
    assert ["POST"] == [one.message.method for one in quoting.send(Action.REQUEST, b"1")]
    assert ["POST"] == [one.message.method for one in quoting.send(Action.REQUEST, b"1")]
    assert ["PUT"] == [one.message.method for one in quoting.send(Action.ANSWER, b"2")]

    for again in (quoting.send(Action.REQUEST, b"1"), quoting.send(Action.QUERY)):
        [answer] = again
        assert ("payer", "payee", "/quotes/q-1", b"2", HEADERS) == (
            answer.message.receiver,
            answer.message.source,
            answer.message.path,
            answer.body,
            answer.message.headers,
        )
    [shown] = quoting.send(Action.QUERY, source="payee", destination="payer")
    assert ("payee", "Hub", b"2") == (shown.message.receiver, shown.message.source, shown.body)
    [answered] = quoting.send(Action.REQUEST, b"changed")
    assert "3106" == orjson.loads(answered.body)["errorInformation"]["errorCode"]


def test_a_stored_error_is_sent_to_the_error_path() -> None:
    quoting = Quoting(stored=True)
    quoting.send(Action.REQUEST, b"1")
    quoting.send(Action.ERROR, b"{}")
    [answered] = quoting.send(Action.QUERY)
    assert ("/quotes/q-1/error", b"{}") == (answered.message.path, answered.body)


def test_relayed_resources_are_not_stored() -> None:
    quoting = Quoting(stored=True)
    quoting.send(Action.REQUEST, b"1", resource="transactionRequests")
    assert {} == quoting.view.rows(QUOTES)


def test_a_quote_is_dropped_when_its_time_is_over() -> None:
    quoting = Quoting(stored=True)
    quoting.send(Action.REQUEST, b"1")
    expires_ms = NOW_MS + 60_000 + quoting.hub.settings.quote_retention_s * 1000
    quoting.hub.now_ms = expires_ms
    quoting.hub.punctuate()
    assert ["quotes/q-1"] == list(quoting.view.rows(QUOTES))
    quoting.hub.now_ms = expires_ms + 1
    quoting.hub.punctuate()
    assert {} == quoting.view.rows(QUOTES)


def errors_of(callbacks: list[Notification]) -> list[tuple[str, str, str]]:
    """Return receiver, path and code of the hub's own errors."""
    assert {"Hub"} >= {one.message.source for one in callbacks}
    return [
        (one.message.receiver, one.message.path, orjson.loads(one.body)["errorInformation"]["errorCode"])
        for one in callbacks
    ]


@pytest.mark.parametrize("resource", ENDPOINTS)
@pytest.mark.parametrize("action", [Action.ANSWER, Action.ERROR])
def test_a_third_dfsp_answers_nobody(resource: str, action: Action) -> None:
    quoting = Quoting()
    quoting.send(Action.QUERY, resource=resource)
    refused = [("third", f"/{resource}/q-1/error", "3100")]

    assert refused == errors_of(quoting.send(action, b"{}", resource=resource, source="third"))
    # Nor if it asks the payer itself, or under another id or resource.
    quoting.send(Action.QUERY, resource=resource, source="third", destination="payer")
    assert refused == errors_of(quoting.send(action, b"{}", resource=resource, source="third"))
    [answered] = quoting.send(action, b"{}", resource=resource)
    assert ("payee", "payer") == (answered.message.source, answered.message.receiver)


def test_an_answer_is_of_its_own_resource_and_id() -> None:
    quoting = Quoting()
    quoting.send(Action.REQUEST, b"1")

    assert [("payee", "/bulkQuotes/q-1/error", "3100")] == errors_of(
        quoting.send(Action.ANSWER, b"{}", resource="bulkQuotes")
    )
    assert [("payee", "/quotes/q-2/error", "3100")] == errors_of(quoting.send(Action.ANSWER, b"{}", id="q-2"))


def test_a_request_may_be_answered_in_steps_and_withdrawn() -> None:
    quoting = Quoting()
    quoting.send(Action.REQUEST, b"1", resource="transactionRequests")

    for action in (Action.ANSWER, Action.ANSWER, Action.ERROR):
        [answered] = quoting.send(action, b"{}", resource="transactionRequests")
        assert "payer" == answered.message.receiver
    [withdrawn] = quoting.send(Action.ERROR, b"{}", resource="transactionRequests", source="payer", destination="payee")
    assert ("payer", "payee") == (withdrawn.message.source, withdrawn.message.receiver)
    assert [("payer", "/transactionRequests/q-1/error", "3100")] == errors_of(
        quoting.send(Action.ANSWER, b"{}", resource="transactionRequests", source="payer", destination="payee")
    )


def test_an_answer_after_its_time_is_refused_until_there_is_another_question() -> None:
    quoting = Quoting()
    quoting.send(Action.REQUEST, b"1")
    quoting.hub.now_ms += 2 * quoting.hub.settings.answer_within_s * 1000

    assert [("payee", "/quotes/q-1/error", "3100")] == errors_of(quoting.send(Action.ANSWER, b"{}"))
    quoting.send(Action.QUERY)
    [answered] = quoting.send(Action.ANSWER, b"{}")
    assert "payer" == answered.message.receiver


def test_a_scheme_may_pass_on_whatever_is_sent() -> None:
    quoting = Quoting(answers="any")
    [answered] = quoting.send(Action.ANSWER, b"{}", source="third")
    assert ("third", "payer") == (answered.message.source, answered.message.receiver)
    assert {} == quoting.hub.rows(QUESTIONS)


@pytest.mark.parametrize("row", [REQUESTED, ANSWERED])
def test_a_row_is_read_back_as_it_was_written(row: StoredQuote) -> None:
    assert row == QUOTES.decode(QUOTES.encode(row))


def test_a_row_with_an_answer_is_in_the_index_only_at_the_end_of_its_answer() -> None:
    requested = {entry for entry, present in index_entries("k", REQUESTED) if present}
    answered = dict(index_entries("k", ANSWERED))
    assert requested <= set(answered), "an entry of an earlier row must be among the last one's"
    assert [expires_at(ANSWERED.until_ms) + b"k"] == [entry for entry, present in answered.items() if present]


def test_the_sender_of_a_poison_record_is_notified() -> None:
    quoting = Quoting()
    message = AgreementMessage(
        resource="bulkQuotes",
        action=Action.REQUEST,
        id="q-1",
        source="payer",
        destination="payee",
        path="/bulkQuotes",
        headers={},
    )
    quoting.hub.dead_letter("agreement", "q-1", encode(message), partition=2)
    [answered] = quoting.notifications()
    assert ("payer", "/bulkQuotes/q-1/error", "bulkQuotes") == (
        answered.message.receiver,
        answered.message.path,
        answered.message.resource,
    )
    assert "2001" == orjson.loads(answered.body)["errorInformation"]["errorCode"]
