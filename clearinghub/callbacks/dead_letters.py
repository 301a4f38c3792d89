"""Dead letters of the callbacks role: what they hold, and a queue that repeats each write until it succeeds.

Nothing may count as settled that is neither delivered nor written to the dead letter.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import structlog

from clearinghub.callbacks.failure import failure_callback, for_dead_letter
from clearinghub.callbacks.notification import Notification
from clearinghub.callbacks.sender import Reason
from clearinghub.engine.dead_letter import encode_dead_letter
from clearinghub.engine.record import Record
from clearinghub.messages import DeadLetterMessage
from clearinghub.ports import Recorder

BATCH: Final = 100
"""Dead letters written concurrently."""

PAUSE_S: Final = 1.0
"""After a write that failed: the broker is away, and comes back within seconds."""

Write = Callable[[], Awaitable[None]]
Done = Callable[[], None]

_log = structlog.get_logger()


class DeadLetterQueue:
    """Writes dead letters in order, each again until it succeeds, and then calls its `done`."""

    def __init__(self, pause_s: float = PAUSE_S) -> None:
        self._pause_s = pause_s
        self._queue: deque[tuple[Write, Done]] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def backlog(self) -> int:
        """How many writes wait or are in progress."""
        return len(self._queue)

    def put(self, write: Write, done: Done) -> None:
        """Call `write` until it raises nothing, then `done`."""
        self._queue.append((write, done))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def drain(self) -> None:
        """Return when the queue is empty."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """Stop writing. Waiting writes are dropped, and their `done` is never called."""
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        try:
            while self._queue:
                if not await self._write_some():
                    await asyncio.sleep(self._pause_s)
        finally:
            self._task = None

    async def _write_some(self) -> bool:
        """Write the first of the queue concurrently, and return whether all succeeded; the others stay in the queue."""
        batch = [self._queue[index] for index in range(min(BATCH, len(self._queue)))]
        errors = await asyncio.gather(*(write() for write, _ in batch), return_exceptions=True)
        for _ in batch:
            self._queue.popleft()
        failed = [(entry, error) for entry, error in zip(batch, errors, strict=True) if error is not None]
        self._queue.extendleft(entry for entry, _ in reversed(failed))
        for (_, done), error in zip(batch, errors, strict=True):
            if error is None:
                done()
        if failed:
            _log.error("dead-letters-not-written", count=len(failed), error=repr(failed[0][1]))
        return not failed


class DeadLetterWriter:
    """Writes one dead letter, and the error callback that follows from an undelivered callback."""

    def __init__(self, hub_name: str, recorder: Recorder, clock: Callable[[], int]) -> None:
        """`clock` returns milliseconds since 1970."""
        self._hub_name = hub_name
        self._recorder = recorder
        self._clock = clock

    async def write_undelivered(self, notification: Notification, reason: Reason) -> None:
        """Write a callback that could not be delivered, and the error callback that it asks for in this case."""
        message = notification.message
        error_callback = failure_callback(message, reason, self._hub_name)
        if error_callback is not None:
            receiver = error_callback.message.receiver
            await self._recorder.record("notification", receiver, error_callback.as_value())
        kept = for_dead_letter(notification)
        if kept is None:
            return
        letter = DeadLetterMessage(
            topic="notification",
            error=reason.code.value,
            timestamp_ms=self._clock(),
            receiver=message.receiver,
            detail=reason.detail,
            status=reason.status,
            attempts=reason.attempts,
        )
        await self._recorder.record("dead-letter", message.receiver, dead_letter(letter, kept.as_value()))

    async def write_unreadable(self, record: Record, error: str) -> None:
        """Write a record that is no message of its topic, with what is wrong with it."""
        letter = DeadLetterMessage(
            topic=record.topic,
            error=error,
            timestamp_ms=self._clock(),
            partition=record.partition,
            offset=record.offset,
        )
        key = (record.key or b"").decode(errors="replace")
        await self._recorder.record("dead-letter", key, dead_letter(letter, record.value))


def dead_letter(letter: DeadLetterMessage, value: bytes) -> bytes:
    """Return the value of a dead letter; see `encode_dead_letter`, which leaves out a value that is too large."""
    header: dict[str, object] = msgspec.to_builtins(letter)
    return encode_dead_letter(header, value)
