"""What is written when a callback is given up: a dead letter, and the error callback to its sender."""

from __future__ import annotations

import pytest

from clearinghub.callbacks.dead_letters import DeadLetterWriter
from clearinghub.callbacks.notification import Notification
from clearinghub.callbacks.sender import Reason, ReasonCode
from clearinghub.engine.dead_letter import DEAD_VALUE_BYTES_MAX, poison_record_letter
from clearinghub.engine.record import Record
from clearinghub.messages import DeadLetterMessage, FailureMessage, decode_as
from clearinghub.tools.replay import _callback
from tests.unit.callbacks.fakes import PLAIN

NOW_MS = 1_700_000_000_000
REFUSED = Reason(ReasonCode.REFUSED, "no", 404, attempts=1)
TO_SENDER = FailureMessage(receiver="payeefsp", endpoint="E", path="/transfers/t-1/error", variables={})
UNREADABLE = Record("notification", 3, 7, NOW_MS, b"payerfsp", b"nonsense")


class Topics:
    """A recorder that keeps the records in a list."""

    def __init__(self) -> None:
        self.records: list[tuple[str, str, bytes]] = []

    async def record(self, topic: str, key: str, value: bytes) -> None:
        self.records.append((topic, key, value))


@pytest.fixture
def topics() -> Topics:
    return Topics()


@pytest.fixture
def writer(topics: Topics) -> DeadLetterWriter:
    return DeadLetterWriter("Hub", topics, lambda: NOW_MS)


async def test_an_undelivered_callback_can_be_replayed_without_a_second_error(
    writer: DeadLetterWriter, topics: Topics
) -> None:
    await writer.write_undelivered(PLAIN.changed(failure=TO_SENDER), REFUSED)

    (error_topic, receiver, error), (topic, key, value) = topics.records
    assert ("notification", "payeefsp") == (error_topic, receiver)
    sent = Notification.parse(error).message
    assert ("PUT", "/transfers/t-1/error") == (sent.method, sent.path)
    assert ("dead-letter", "payerfsp") == (topic, key)
    found = _callback(value)
    assert found is not None
    letter, held = found
    assert PLAIN == Notification.parse(held)
    assert ("refused", "no", 404, 1, NOW_MS) == (
        letter.error,
        letter.detail,
        letter.status,
        letter.attempts,
        letter.timestamp_ms,
    )


async def test_a_callback_that_is_worthless_later_leaves_only_the_error(
    writer: DeadLetterWriter, topics: Topics
) -> None:
    await writer.write_undelivered(PLAIN.changed(failure=TO_SENDER, deliver_by_ms=NOW_MS), REFUSED)

    assert ["notification"] == [topic for topic, _key, _value in topics.records]


async def test_an_unreadable_record_is_kept_with_its_place_and_not_replayed(
    writer: DeadLetterWriter, topics: Topics
) -> None:
    await writer.write_unreadable(UNREADABLE, "the record has no header")

    [(topic, key, value)] = topics.records
    letter, held = decode_as(DeadLetterMessage, value)
    assert ("dead-letter", "payerfsp", b"nonsense") == (topic, key, held)
    assert ("notification", 3, 7) == (letter.topic, letter.partition, letter.offset)
    assert _callback(value) is None


async def test_a_record_that_is_too_large_is_left_out(writer: DeadLetterWriter, topics: Topics) -> None:
    await writer.write_undelivered(PLAIN._replace(body=b"x" * (DEAD_VALUE_BYTES_MAX + 1)), REFUSED)

    [(_topic, _key, value)] = topics.records
    letter, held = decode_as(DeadLetterMessage, value)
    assert b"" == held
    assert letter.bytes_left_out > DEAD_VALUE_BYTES_MAX
    assert _callback(value) is None


def test_the_engines_dead_letters_have_the_same_form() -> None:
    letter, held = decode_as(DeadLetterMessage, poison_record_letter(UNREADABLE, ValueError("x")))

    assert (b"nonsense", 7, "ValueError('x')") == (held, letter.offset, letter.error)
    assert _callback(poison_record_letter(UNREADABLE, ValueError("x"))) is None
