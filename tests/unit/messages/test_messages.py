"""Records are read back as typed messages, and anything else is malformed."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from clearinghub.callbacks.notification import Notification
from clearinghub.callbacks.oracles.http_client import NO_ANSWER, OracleQuestion
from clearinghub.domain.parties.party import BatchItem, PartyId
from clearinghub.messages import (
    AgreementMessage,
    MalformedMessageError,
    UnknownMessageError,
    decode,
    decode_as,
    encode,
    encode_changed,
    split,
)
from clearinghub.messages.callbacks import NotificationMessage
from clearinghub.messages.parties import (
    OracleAnswerMessage,
    OracleBatchPart,
    OracleStep,
    PartyBatchMessage,
    PartyMessage,
    PartyPartMessage,
)
from clearinghub.messages.quotes import Action
from tests.unit.callbacks.fakes import PLAIN
from tests.unit.callbacks.oracles.samples import REQUEST, question

AGREEMENT = AgreementMessage(
    resource="quotes", action=Action.REQUEST, id="q", source="a", destination="b", path="/quotes", headers={}
)
ITEM = BatchItem(PartyId("MSISDN", "1", "100"), None)
BATCH = PartyBatchMessage(id="r", source="a", currency=None, items=(ITEM,), headers={})
PART = PartyPartMessage(batch="r/a", run="0-1", part="p2", home=0, source="a", currency="USD", items={12: ITEM})
ANSWER = OracleAnswerMessage(
    step=OracleStep.BATCH,
    status=None,
    request=OracleBatchPart(batch="r/a", run="0-1", part="o1-MSISDN", numbers=(3, 4)),
)


@pytest.mark.parametrize(
    "message",
    [AGREEMENT, REQUEST, BATCH, PART, ANSWER, question().message, PLAIN.message],
    ids=lambda message: type(message).__name__,
)
def test_a_message_is_read_back_with_its_body(message: object) -> None:
    assert (message, b"a\nb") == decode(encode(message, b"a\nb"))


def test_the_kind_comes_first_and_a_field_of_a_later_release_is_ignored() -> None:
    header, _body = split(encode(AGREEMENT))

    assert header.startswith(b'{"kind":"agreement","v":1,')
    assert AGREEMENT == decode(encode(json.loads(header) | {"later": 1}))[0]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b'{"kind":"agreement"}\n',
        b"[]\n",
        encode(AGREEMENT).replace(b'"request"', b'"guess"'),
    ],
)
def test_what_is_no_message_is_malformed(value: bytes) -> None:
    with pytest.raises(MalformedMessageError) as raised:
        decode(value)
    assert not isinstance(raised.value, UnknownMessageError)


@pytest.mark.parametrize("value", [b'{"kind":"unknown","v":1,"id":"x"}\nbody', encode(replace(AGREEMENT, v=2))])
def test_what_only_a_later_release_knows_is_no_mere_mistake(value: bytes) -> None:
    with pytest.raises(UnknownMessageError):
        decode(value)


def test_what_is_passed_on_keeps_the_fields_of_a_later_release() -> None:
    value = with_field(encode(AGREEMENT, b"body\n"), "later", {"a": [1, "2"]})

    passed_on = encode_changed(value, path="/other")

    header, body = split(passed_on)
    assert {"a": [1, "2"]} == json.loads(header)["later"]
    assert (replace(AGREEMENT, path="/other"), b"body\n") == decode(passed_on)
    assert b"body\n" == body


def test_an_oracles_answer_keeps_what_a_later_release_wrote_into_the_request() -> None:
    sent = json.loads(split(encode(question().message))[0])
    sent["request"]["later"] = 7

    answered = OracleQuestion.parse(encode(sent)).answered(NO_ANSWER)

    assert 7 == json.loads(split(answered)[0])["request"]["later"]
    assert REQUEST == decode_as(OracleAnswerMessage, answered)[0].request


def test_a_callback_that_is_kept_or_changed_keeps_the_fields_of_a_later_release() -> None:
    value = with_field(encode(PLAIN.message, b"body"), "later", [1])

    read = Notification.parse(value)

    assert (PLAIN.message, b"body", value) == (read.message, read.body, read.as_value())
    changed = read.changed(deliver_by_ms=7)
    assert replace(PLAIN.message, deliver_by_ms=7) == changed.message
    assert {"later": [1], "deliver_by_ms": 7}.items() <= json.loads(split(changed.as_value())[0]).items()
    assert Notification(PLAIN.message, b"body") == Notification.parse(encode(PLAIN.message, b"body"))


def with_field(value: bytes, name: str, content: object) -> bytes:
    """Return a record's value with one more field in its header, as a later release writes it."""
    header, body = split(value)
    return encode(json.loads(header) | {name: content}, body)


def test_a_message_of_another_type_is_malformed() -> None:
    with pytest.raises(MalformedMessageError, match="a PartyMessage, not a NotificationMessage"):
        decode_as(NotificationMessage, encode(REQUEST))
    assert isinstance(decode_as(PartyMessage, encode(REQUEST))[0], PartyMessage)
