"""Writes callbacks to topic `parked`: side by side, in order for each subject, each again until it is durable."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import structlog

BATCH: Final = 500
"""Callbacks written at a time."""

PAUSE_S: Final = 0.5
"""After a write that failed: the broker is away, and comes back within seconds."""

Append = Callable[[int, str, bytes], Awaitable[None]]
"""Writes a value to a partition of topic `parked` under a key, and returns when all replicas in sync have it."""

_log = structlog.get_logger()


class ParkedWrite(NamedTuple):
    """A callback to write. `value` returns the record's value; `done` is called when it is durable."""

    partition: int
    queue: str
    subject: str
    size: int
    value: Callable[[], bytes]
    done: Callable[[], None]


class ParkingWriter:
    """A queue of writes. No batch has two callbacks of one subject: if one fails, none of them is ahead of it."""

    def __init__(self, append: Append, pause_s: float = PAUSE_S) -> None:
        self._append = append
        self._pause_s = pause_s
        self._queue: deque[ParkedWrite] = deque()
        self._task: asyncio.Task[None] | None = None
        self.bytes = 0
        """The size of what waits or is being written."""

    @property
    def backlog(self) -> int:
        """How many callbacks wait or are being written."""
        return len(self._queue)

    def put(self, write: ParkedWrite) -> None:
        """Write a callback after those that were put before."""
        self._queue.append(write)
        self.bytes += write.size
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="park")

    async def close(self) -> None:
        """Stop writing. Waiting writes are dropped, and their `done` is never called."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while self._queue:
                if not await self._write_some():
                    await asyncio.sleep(self._pause_s)
        finally:
            self._task = None

    async def _write_some(self) -> bool:
        """Write the next batch, and return whether all of it was written; the others stay in the queue, in order."""
        batch = self._next_batch()
        errors = await asyncio.gather(
            *(self._append(one.partition, one.queue, one.value()) for one in batch), return_exceptions=True
        )
        for _ in batch:
            self._queue.popleft()
        failed = [(write, error) for write, error in zip(batch, errors, strict=True) if error is not None]
        self._queue.extendleft(write for write, _ in reversed(failed))
        for write, error in zip(batch, errors, strict=True):
            if error is None:
                self.bytes -= write.size
                write.done()
        if failed:
            _log.error("callbacks-not-parked", count=len(failed), error=repr(failed[0][1]))
        return not failed

    def _next_batch(self) -> list[ParkedWrite]:
        batch: dict[tuple[int, str, str], ParkedWrite] = {}
        for write in self._queue:
            place = (write.partition, write.queue, write.subject)
            if place in batch or len(batch) == BATCH:
                break
            batch[place] = write
        return list(batch.values())
