"""Records are read back as typed messages, and anything else is malformed."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from clearinghub.domain.parties.party import BatchItem, PartyId
from clearinghub.messages import AgreementMessage, MalformedMessageError, decode, decode_as, encode, split
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
        b'{"kind":"unknown","v":1}\n',
        b"[]\n",
        encode(replace(AGREEMENT, v=2)),
        encode(AGREEMENT).replace(b'"request"', b'"guess"'),
    ],
)
def test_what_is_no_message_of_this_release_is_malformed(value: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        decode(value)


def test_a_message_of_another_type_is_malformed() -> None:
    with pytest.raises(MalformedMessageError, match="a PartyMessage, not a NotificationMessage"):
        decode_as(NotificationMessage, encode(REQUEST))
    assert isinstance(decode_as(PartyMessage, encode(REQUEST))[0], PartyMessage)
