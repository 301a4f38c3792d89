from __future__ import annotations

import asyncio

from clearinghub.engine.destination import Destination, Message, Records
from clearinghub.engine.hops import Hop


class Outbox:
    """Where messages come from; closed when its partition has another owner."""

    def __init__(self, sender: int, *, is_closed: bool = False) -> None:
        self.sender = sender
        self.is_closed = is_closed
        self.confirmed: list[int] = []

    def confirm(self, message: Message) -> None:
        self.confirmed.append(message.sequence)

    def message(self, sequence: int) -> Message:
        value = f"{self.sender}/{sequence}".encode()
        return Message(self, Hop(self.sender, sequence, ""), sequence, b"key", value, 0)


class Topic:
    """A partition that notes what is written."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    async def write(self, _topic: str, _partition: int, records: Records) -> None:
        await asyncio.sleep(0)
        self.values += [value for _key, value, _headers in records]


async def sent_of(messages: list[Message]) -> list[bytes]:
    topic = Topic()
    destination = Destination("credit", 0, topic.write)
    for message in messages:
        assert destination.accept(message)
    destination.send_soon()
    async with asyncio.timeout(1):
        while destination.sending is not None:
            await asyncio.sleep(0)
    return topic.values


async def test_nothing_of_a_closed_outbox_is_sent_wherever_it_waits() -> None:
    """A later part of what it has left would be a gap for the receiver, who would stop."""
    own, left = Outbox(1), Outbox(2, is_closed=True)

    values = await sent_of(
        [left.message(1), own.message(1), left.message(2), left.message(3), own.message(2), left.message(4)]
    )

    assert [b"1/1", b"1/2"] == values
    assert ([1, 2], []) == (own.confirmed, left.confirmed)


async def test_messages_of_open_outboxes_are_sent_in_their_order() -> None:
    first, second = Outbox(1), Outbox(2)

    values = await sent_of([first.message(1), second.message(1), first.message(2)])

    assert [b"1/1", b"2/1", b"1/2"] == values
    assert ([1, 2], [1]) == (first.confirmed, second.confirmed)
