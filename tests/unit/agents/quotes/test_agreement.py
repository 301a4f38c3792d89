"""The agent of what is agreed on before a transfer: records in, callbacks and rows out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from agents.context import LedgerContext, QuoteRules
from agents.dead_letter import make_on_poison_record
from agents.quotes.agreement import make_on_agreement, make_quote_punctuator
from clearinghub.callbacks.notification import Notification
from clearinghub.domain.quotes.agreement import Policy
from clearinghub.messages import VERSION, encode
from tables.quotes import QUOTES, decode_quote, encode_quote, entries, expires_at
from tests.fakes import FakeParticipants, MemoryView, Offsets
from tests.unit.domain.quotes.test_agreement import SCHEME
from tests.unit.domain.quotes.test_stored_quote import ASKED, KNOWN

NOW_MS = 1_700_000_000_000
HEADERS = {"fspiop-source": "payer", "fspiop-destination": "payee", "date": "d", "fspiop-signature": "s"}
CONTEXT = LedgerContext("Hub", FakeParticipants(dict(SCHEME)))


class World:
    """The agent with one partition; `say` gives the callbacks that follow from a message."""

    def __init__(self, *, stored: bool = False) -> None:
        self.view = MemoryView(partition=2)
        self.offsets = Offsets("agreement", 2)
        self.on_agreement = make_on_agreement(
            replace(CONTEXT, quotes=QuoteRules(Policy("Hub"), stored=stored, lifetime_ms=86_400_000))
        )

    def say(self, action: str, body: bytes = b"", **changes: Any) -> list[Notification]:
        answering = action in ("answer", "fail")
        source, destination = ("payee", "payer") if answering else ("payer", "payee")
        path = {"ask": "/quotes", "fail": "/quotes/q-1/error"}.get(action, "/quotes/q-1")
        line = {
            "v": VERSION,
            "kind": "agreement",
            "resource": "quotes",
            "action": action,
            "id": "q-1",
            "source": source,
            "destination": destination,
            "path": path,
            "currency": "USD",
            "supported_currencies": [],
            "payer_fsp": None,
            "payee_fsp": None,
            "expires_at_ms": NOW_MS + 60_000,
            "hash": body.decode(),
            "headers": HEADERS,
            "trace": "t",
        }
        self.on_agreement(self.offsets.record(encode(line | changes, body), NOW_MS), self.view)
        emitted = self.view.take()
        assert all(("notification", 2) == (one.topic, one.partition) for one in emitted)
        return [Notification.parse(one.value) for one in emitted]


def test_a_request_goes_on_as_it_came_and_its_sender_will_hear_if_it_does_not_arrive() -> None:
    [forwarded] = World().say("ask", b'{"quoteId": "q-1" }')

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
    [("look", "GET", "/quotes/q-1"), ("answer", "PUT", "/quotes/q-1"), ("fail", "PUT", "/quotes/q-1/error")],
)
def test_each_message_has_its_method(action: str, method: str, path: str) -> None:
    [forwarded] = World().say(action, b"{}")
    assert (method, path) == (forwarded.method, forwarded.path)
    assert (forwarded.failure is None) == (action == "fail")


def test_a_query_goes_on() -> None:
    [forwarded] = World().say("look", resource="authorizations", path="/authorizations/q-1?retriesLeft=2")
    assert ("/authorizations/q-1?retriesLeft=2", "FSPIOP_CALLBACK_URL_AUTHORIZATIONS") == (
        forwarded.path,
        forwarded.endpoint,
    )


def test_a_refusal_is_the_hubs_own_word() -> None:
    [told] = World().say("ask", b"{}", destination="nobody")
    assert ("payer", "Hub", "PUT", "/quotes/q-1/error") == (told.receiver, told.source, told.method, told.path)
    assert "3201" == orjson.loads(told.body)["errorInformation"]["errorCode"]
    assert (None, None) == (told.failure, told.deliver_by_ms)


def test_a_stranger_hears_nothing() -> None:
    assert [] == World().say("ask", b"{}", source="nobody")


def test_stateless_quotes_leave_no_row() -> None:
    world = World()
    world.say("ask", b"1")
    world.say("answer", b"2")
    assert {} == world.view.rows(QUOTES)


def test_stored_quotes_answer_for_the_payee() -> None:
    world = World(stored=True)
    assert ["POST"] == [one.method for one in world.say("ask", b"1")]
    assert ["POST"] == [one.method for one in world.say("ask", b"1")]
    assert ["PUT"] == [one.method for one in world.say("answer", b"2")]

    for again in (world.say("ask", b"1"), world.say("look")):
        [answer] = again
        assert ("payer", "payee", "/quotes/q-1", b"2", HEADERS) == (
            answer.receiver,
            answer.source,
            answer.path,
            answer.body,
            answer.headers,
        )
    [shown] = world.say("look", source="payee", destination="payer")
    assert ("payee", "Hub", b"2") == (shown.receiver, shown.source, shown.body)
    [told] = world.say("ask", b"changed")
    assert "3106" == orjson.loads(told.body)["errorInformation"]["errorCode"]


def test_a_stored_error_is_told_at_the_error_path() -> None:
    world = World(stored=True)
    world.say("ask", b"1")
    world.say("fail", b"{}")
    [told] = world.say("look")
    assert ("/quotes/q-1/error", b"{}") == (told.path, told.body)


def test_relayed_resources_are_not_stored() -> None:
    world = World(stored=True)
    world.say("ask", b"1", resource="transactionRequests")
    assert {} == world.view.rows(QUOTES)


def test_a_quote_is_dropped_when_its_time_is_over() -> None:
    world = World(stored=True)
    world.say("ask", b"1")
    punctuate = make_quote_punctuator(5_000)
    punctuate(world.view, NOW_MS + 65_000)
    assert ["quotes/q-1"] == list(world.view.rows(QUOTES))
    punctuate(world.view, NOW_MS + 65_001)
    assert {} == world.view.rows(QUOTES)


@pytest.mark.parametrize("row", [ASKED, KNOWN])
def test_a_row_is_read_back_as_it_was_written(row: Any) -> None:
    assert row == decode_quote(encode_quote(row))


def test_a_row_that_was_answered_stands_at_its_answers_end_alone() -> None:
    asked = {entry for entry, present in entries("k", ASKED) if present}
    known = dict(entries("k", KNOWN))
    assert asked <= set(known), "an entry of an earlier row must be among the last one's"
    assert [expires_at(KNOWN.until_ms) + b"k"] == [entry for entry, present in known.items() if present]


def test_who_sent_what_made_the_code_raise_hears_so() -> None:
    world = World()
    line = {"v": VERSION, "kind": "agreement", "resource": "bulkQuotes", "id": "q-1", "source": "payer", "trace": None}
    make_on_poison_record(CONTEXT)(world.offsets.record(encode(line), NOW_MS), world.view)
    [told] = [Notification.parse(one.value) for one in world.view.take()]
    assert ("payer", "/bulkQuotes/q-1/error", "bulkQuotes") == (told.receiver, told.path, told.resource)
    assert "2001" == orjson.loads(told.body)["errorInformation"]["errorCode"]
