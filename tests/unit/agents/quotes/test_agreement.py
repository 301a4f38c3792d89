"""The agent of what is agreed on before a transfer: records in, callbacks and rows out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from msgspec import structs

from agents.context import LedgerContext, QuoteRules
from agents.dead_letter import make_on_poison_record
from agents.handlers import make_handlers
from agents.quotes.agreement import make_quote_punctuator
from clearinghub.callbacks.notification import Notification
from clearinghub.domain.quotes.agreement import Action, Policy
from clearinghub.domain.quotes.stored_quote import StoredQuote
from clearinghub.messages import AgreementMessage, encode
from tables.quotes import QUOTES, expires_at, index_entries
from tests.fakes import FakeParticipants, MemoryView, Offsets
from tests.unit.domain.quotes.test_agreement import SCHEME
from tests.unit.domain.quotes.test_stored_quote import ANSWERED, REQUESTED

NOW_MS = 1_700_000_000_000
HEADERS = {"fspiop-source": "payer", "fspiop-destination": "payee", "date": "d", "fspiop-signature": "s"}
CONTEXT = LedgerContext("Hub", FakeParticipants(dict(SCHEME)))


class World:
    """The agent with one partition; `send` returns the callbacks that follow from a message."""

    def __init__(self, *, stored: bool = False) -> None:
        self.view = MemoryView(partition=2)
        self.offsets = Offsets("agreement", 2)
        rules = QuoteRules(Policy("Hub"), stored=stored, lifetime_ms=86_400_000)
        self.handle = make_handlers(replace(CONTEXT, quotes=rules))["agreement"]

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
        self.handle(self.offsets.record(encode(changed, body), NOW_MS), self.view)
        emitted = self.view.take()
        assert all(("notification", 2) == (one.topic, one.partition) for one in emitted)
        return [Notification.parse(one.value) for one in emitted]


def test_a_request_goes_on_as_it_came_and_its_sender_will_hear_if_it_does_not_arrive() -> None:
    [forwarded] = World().send(Action.REQUEST, b'{"quoteId": "q-1" }')

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
    [forwarded] = World().send(action, b"{}")
    assert (method, path) == (forwarded.message.method, forwarded.message.path)
    assert (forwarded.message.failure is None) == (action is Action.ERROR)


def test_a_query_goes_on() -> None:
    [forwarded] = World().send(Action.QUERY, resource="authorizations", path="/authorizations/q-1?retriesLeft=2")
    assert ("/authorizations/q-1?retriesLeft=2", "FSPIOP_CALLBACK_URL_AUTHORIZATIONS") == (
        forwarded.message.path,
        forwarded.message.endpoint,
    )


def test_a_refusal_is_the_hubs_own_word() -> None:
    [told] = World().send(Action.REQUEST, b"{}", destination="nobody")
    assert ("payer", "Hub", "PUT", "/quotes/q-1/error") == (
        told.message.receiver,
        told.message.source,
        told.message.method,
        told.message.path,
    )
    assert "3201" == orjson.loads(told.body)["errorInformation"]["errorCode"]
    assert (None, None) == (told.message.failure, told.message.deliver_by_ms)


def test_a_stranger_hears_nothing() -> None:
    assert [] == World().send(Action.REQUEST, b"{}", source="nobody")


def test_stateless_quotes_leave_no_row() -> None:
    world = World()
    world.send(Action.REQUEST, b"1")
    world.send(Action.ANSWER, b"2")
    assert {} == world.view.rows(QUOTES)


def test_stored_quotes_answer_for_the_payee() -> None:
    world = World(stored=True)
    assert ["POST"] == [one.message.method for one in world.send(Action.REQUEST, b"1")]
    assert ["POST"] == [one.message.method for one in world.send(Action.REQUEST, b"1")]
    assert ["PUT"] == [one.message.method for one in world.send(Action.ANSWER, b"2")]

    for again in (world.send(Action.REQUEST, b"1"), world.send(Action.QUERY)):
        [answer] = again
        assert ("payer", "payee", "/quotes/q-1", b"2", HEADERS) == (
            answer.message.receiver,
            answer.message.source,
            answer.message.path,
            answer.body,
            answer.message.headers,
        )
    [shown] = world.send(Action.QUERY, source="payee", destination="payer")
    assert ("payee", "Hub", b"2") == (shown.message.receiver, shown.message.source, shown.body)
    [told] = world.send(Action.REQUEST, b"changed")
    assert "3106" == orjson.loads(told.body)["errorInformation"]["errorCode"]


def test_a_stored_error_is_told_at_the_error_path() -> None:
    world = World(stored=True)
    world.send(Action.REQUEST, b"1")
    world.send(Action.ERROR, b"{}")
    [told] = world.send(Action.QUERY)
    assert ("/quotes/q-1/error", b"{}") == (told.message.path, told.body)


def test_relayed_resources_are_not_stored() -> None:
    world = World(stored=True)
    world.send(Action.REQUEST, b"1", resource="transactionRequests")
    assert {} == world.view.rows(QUOTES)


def test_a_quote_is_dropped_when_its_time_is_over() -> None:
    world = World(stored=True)
    world.send(Action.REQUEST, b"1")
    punctuate = make_quote_punctuator(5_000)
    punctuate(world.view, NOW_MS + 65_000)
    assert ["quotes/q-1"] == list(world.view.rows(QUOTES))
    punctuate(world.view, NOW_MS + 65_001)
    assert {} == world.view.rows(QUOTES)


@pytest.mark.parametrize("row", [REQUESTED, ANSWERED])
def test_a_row_is_read_back_as_it_was_written(row: StoredQuote) -> None:
    assert row == QUOTES.decode(QUOTES.encode(row))


def test_a_row_with_an_answer_is_in_the_index_at_its_answers_end_alone() -> None:
    requested = {entry for entry, present in index_entries("k", REQUESTED) if present}
    answered = dict(index_entries("k", ANSWERED))
    assert requested <= set(answered), "an entry of an earlier row must be among the last one's"
    assert [expires_at(ANSWERED.until_ms) + b"k"] == [entry for entry, present in answered.items() if present]


def test_who_sent_what_made_the_code_raise_hears_so() -> None:
    world = World()
    message = AgreementMessage(
        resource="bulkQuotes",
        action=Action.REQUEST,
        id="q-1",
        source="payer",
        destination="payee",
        path="/bulkQuotes",
        headers={},
    )
    make_on_poison_record(CONTEXT)(world.offsets.record(encode(message), NOW_MS), world.view)
    [told] = [Notification.parse(one.value) for one in world.view.take()]
    assert ("payer", "/bulkQuotes/q-1/error", "bulkQuotes") == (
        told.message.receiver,
        told.message.path,
        told.message.resource,
    )
    assert "2001" == orjson.loads(told.body)["errorInformation"]["errorCode"]
