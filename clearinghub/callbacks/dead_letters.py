"""Writes what is given up, repeating until it is written: nothing may count as settled that is nowhere."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

BATCH: Final = 100
"""Dead letters written side by side."""

PAUSE_S: Final = 1.0
"""After a write that failed: the broker is away, and comes back in seconds."""

Write = Callable[[], Awaitable[None]]
Done = Callable[[], None]

_log = structlog.get_logger()


class DeadLetters:
    """A queue of writes, tried in order and again until they succeed; then each one's `done` is called."""

    def __init__(self, pause_s: float = PAUSE_S) -> None:
        self._pause_s = pause_s
        self._queue: deque[tuple[Write, Done]] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def backlog(self) -> int:
        """Writes that wait or are under way."""
        return len(self._queue)

    def put(self, write: Write, done: Done) -> None:
        """Have `write` run until it raises nothing, then `done`."""
        self._queue.append((write, done))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def drain(self) -> None:
        """Wait until nothing waits."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """Stop writing; what waits is dropped, and its `done` is never called."""
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
        """Write the first of the queue side by side; those that failed stay there. Whether all succeeded."""
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
