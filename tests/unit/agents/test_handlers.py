"""Which records are never dead-lettered: those that the ledger writes itself, and those nobody can read beside them."""

from __future__ import annotations

import pytest

from agents.handlers import INPUT_TOPICS, InputTopic
from clearinghub.engine.record import Record
from clearinghub.messages import encode
from clearinghub.messages.bulk import BulkGetMessage, BulkTimeoutMessage
from clearinghub.messages.transfers import GetMessage, TimeoutMessage

TOPICS = {topic.name: topic for topic in INPUT_TOPICS}
WRITTEN_BY_THE_LEDGER_ALONE = {"credit", "settlement", "timeout"}


def record(topic: str, value: bytes) -> Record:
    return Record(topic, 0, 0, 0, b"key", value)


@pytest.mark.parametrize("topic", INPUT_TOPICS, ids=lambda one: one.name)
def test_what_cannot_be_read_is_dead_lettered_only_where_others_write(topic: InputTopic) -> None:
    unreadable = record(topic.name, b'{"v":9,"kind":"of a later release"}\n')

    assert topic.may_be_dead_lettered(unreadable) is (topic.name not in WRITTEN_BY_THE_LEDGER_ALONE)


def test_reminders_are_never_dead_lettered() -> None:
    single, bulk = encode(TimeoutMessage(id="t1")), encode(BulkTimeoutMessage(id="b1"))

    assert not TOPICS["timeout"].may_be_dead_lettered(record("timeout", single))
    assert not TOPICS["bulk-fulfil"].may_be_dead_lettered(record("bulk-fulfil", bulk))


def test_what_a_dfsp_sends_is_dead_lettered() -> None:
    """Whoever can send a message that makes the code raise must not be able to stop others' payments."""
    single = encode(GetMessage(id="t1", source="alphabank"))
    bulk = encode(BulkGetMessage(id="b1", source="alphabank"))

    assert TOPICS["lookup"].may_be_dead_lettered(record("lookup", single))
    assert TOPICS["bulk-fulfil"].may_be_dead_lettered(record("bulk-fulfil", bulk))
