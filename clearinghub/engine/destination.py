"""The messages that wait in memory for one topic of one partition, and the task that sends them (relay.py)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import structlog

from clearinghub.engine.hops import HOP_HEADER, Headers, Hop

log = structlog.get_logger(__name__)

MEMORY_BYTES_MAX: Final = 2 * 1024 * 1024  # of messages that wait for one topic of one partition
BATCH_BYTES_MAX: Final = 256 * 1024
RECORD_OVERHEAD_BYTES: Final = 100  # of a message in a batch, at most: its header, lengths
RETRY_FIRST_S: Final = 0.05
RETRY_LONGEST_S: Final = 1.0

Records = Sequence[tuple[bytes, bytes, Headers]]  # key, value, headers


class Origin(Protocol):
    """Where a message comes from."""

    @property
    def is_closed(self) -> bool:
        """Whether the message is no longer ours to send."""

    def confirm(self, message: Message) -> None:
        """Note that the receiver's log has the message."""


class Message:
    """A message in memory. It is at `offset` of the outbox or after it, and is passed on with `headers`."""

    __slots__ = ("headers", "key", "offset", "origin", "sequence", "size", "value", "written_ms")

    def __init__(self, origin: Origin, hop: Hop, offset: int, key: bytes, value: bytes, written_ms: int) -> None:
        self.origin = origin
        self.sequence = hop.sequence
        self.headers: Headers = [(HOP_HEADER, hop.encode())]
        self.offset = offset
        self.key = key
        self.value = value
        self.size = len(key) + len(value) + RECORD_OVERHEAD_BYTES
        self.written_ms = written_ms


class Destination:
    """One topic of one partition, and the messages of all senders that wait for it."""

    def __init__(self, topic: str, receiver: int, send: Callable[[str, int, Records], Awaitable[None]]) -> None:
        """`send` writes records to a partition, and raises if it is not known that they are written."""
        self.topic = topic
        self.receiver = receiver
        self.bytes = 0
        self.waiting: deque[Message] = deque()
        self.awaiting_room: dict[asyncio.Event, None] = {}  # to be set when messages find room here again
        self.sending: asyncio.Task[None] | None = None
        self._write = send

    @property
    def has_room(self) -> bool:
        """Whether messages may be read again for it: half of its memory is free."""
        return self.bytes <= MEMORY_BYTES_MAX // 2

    def accept(self, message: Message) -> bool:
        """Take a message into memory, unless that is full; a message of any size finds room in an empty one."""
        if self.waiting and self.bytes + message.size > MEMORY_BYTES_MAX:
            return False
        self.bytes += message.size
        self.waiting.append(message)
        return True

    def send_soon(self) -> None:
        """Begin to send what waits, unless that is under way."""
        if self.waiting and self.sending is None:
            self.sending = asyncio.get_running_loop().create_task(self._send(), name=f"relay-{self.topic}")

    async def _send(self) -> None:
        try:
            while self.waiting:
                batch, count = self._next_batch()
                if batch and await self._send_batch(batch):
                    for message in batch:
                        if not message.origin.is_closed:
                            message.origin.confirm(message)
                self._drop(count)
        finally:
            self.sending = None

    def _next_batch(self) -> tuple[list[Message], int]:
        """Return the next messages to send, and after how many of those that wait the batch after them begins.

        What a closed outbox has left is passed over, all of it: a part of it would be a gap for the receiver.
        """
        batch: list[Message] = []
        size = count = 0
        for message in self.waiting:
            if not message.origin.is_closed:
                size += message.size
                if batch and size > BATCH_BYTES_MAX:
                    break
                batch.append(message)
            count += 1
        return batch, count

    async def _send_batch(self, batch: list[Message]) -> bool:
        """Send until the broker has confirmed; return False if meanwhile none of the messages is ours to send."""
        pause_s = RETRY_FIRST_S
        records = [(one.key, one.value, one.headers) for one in batch]
        while not all(one.origin.is_closed for one in batch):
            try:
                await self._write(self.topic, self.receiver, records)
            except Exception as error:  # noqa: BLE001 - whatever it is: the messages must arrive, however late
                if pause_s == RETRY_FIRST_S:
                    log.warning("relay-waits", topic=self.topic, partition=self.receiver, error=repr(error))
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, RETRY_LONGEST_S)
            else:
                if pause_s > RETRY_FIRST_S:
                    log.info("relay-continues", topic=self.topic, partition=self.receiver)
                return True
        return False

    def _drop(self, count: int) -> None:
        for _ in range(count):
            self.bytes -= self.waiting.popleft().size
        if self.has_room:
            for event in self.awaiting_room:
                event.set()
            self.awaiting_room.clear()
