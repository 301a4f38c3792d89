"""Topic `oracle`: questions in, HTTP to oracles out, answers back to topic `party`; at least once.

An offset is done when the answer is on its topic. A worker that dies in between leaves the question to the next, which
asks again: lookups do no harm twice, and a registration that an oracle has already is told as such.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import structlog

from clearinghub.callbacks.offsets import OffsetTracker
from clearinghub.callbacks.oracles.question import OracleAnswer, OracleQuestion
from clearinghub.engine.record import Record
from clearinghub.messages import MalformedMessageError
from clearinghub.ports import RecorderBusyError, RecorderUnavailableError

PENDING_MAX: Final = 10_000  # of all oracles together; each ends within the time limit, so who waits waits not long
ROOM_POLL_S: Final = 0.02
WRITE_AGAIN_AFTER_S: Final = 0.5

_log = structlog.get_logger(__name__)


class Desk(Protocol):
    """Where questions are asked; see `clearinghub.callbacks.oracles.client.OracleDesk`."""

    async def ask(self, question: OracleQuestion) -> OracleAnswer:
        """The answer, within bounded time."""


Write = Callable[[str, bytes], Awaitable[None]]
"""Writes a value to topic `party` under a key; raises the recorder's errors."""

SetAside = Callable[[Record, str], Awaitable[None]]
"""Writes a record that cannot be read to the dead letter; raises the recorder's errors."""


class OracleAgent:
    """Asks all questions side by side. It only ever waits for room, never for an oracle."""

    def __init__(self, desk: Desk, tracker: OffsetTracker, write: Write, set_aside: SetAside) -> None:
        self._desk = desk
        self._tracker = tracker
        self._write = write
        self._set_aside = set_aside
        self._pending: set[asyncio.Task[None]] = set()

    async def take(self, records: Sequence[Record], next_offset: int) -> None:
        """Take a fetched batch of one partition, in order; `next_offset` is where the reading goes on behind it."""
        for index, record in enumerate(records):
            partition = (record.topic, record.partition)
            while self._tracker.full(partition) or len(self._pending) >= PENDING_MAX:  # noqa: ASYNC110 - rare
                await asyncio.sleep(ROOM_POLL_S)
            behind = next_offset if index == len(records) - 1 else records[index + 1].offset
            self._tracker.add(partition, record.offset, behind)
            task = asyncio.create_task(self._settle(record))
            self._pending.add(task)
            task.add_done_callback(self._pending.discard)

    async def close(self) -> None:
        """Stop asking; what is not answered is asked again by whoever reads it next."""
        for task in tuple(self._pending):
            task.cancel()
        await asyncio.gather(*self._pending, return_exceptions=True)

    async def _settle(self, record: Record) -> None:
        try:
            question = OracleQuestion.parse(record.value)
        except MalformedMessageError as error:
            _log.error("oracle-question-unreadable", partition=record.partition, offset=record.offset, error=str(error))
            fault = str(error)
            await _until_written(lambda: self._set_aside(record, fault))
        else:
            value = question.answered(await self._desk.ask(question))
            await _until_written(lambda: self._write(question.reply_key, value))
        self._tracker.done((record.topic, record.partition), record.offset)


async def _until_written(write: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await write()
        except (RecorderBusyError, RecorderUnavailableError) as error:
            _log.warning("oracle-answer-not-written", error=repr(error))
            await asyncio.sleep(WRITE_AGAIN_AFTER_S)
        else:
            return
