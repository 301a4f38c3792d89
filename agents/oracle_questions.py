"""Topic `oracle`: send questions to oracles over HTTP, and write the answers to topic `party`, at least once.

The offset of a question is done when its answer is on topic `party`. If the worker dies before that, the next worker
asks again: a repeated lookup does no harm, and an oracle answers a repeated registration with success or an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import structlog

from clearinghub.callbacks.offsets import OffsetTracker
from clearinghub.callbacks.oracles.http_client import OracleAnswer, OracleQuestion
from clearinghub.engine.record import Record
from clearinghub.messages import MalformedMessageError
from clearinghub.ports import RecorderBusyError, RecorderUnavailableError, RecordOutcomeUnknownError

PENDING_MAX: Final = 20_000  # more than the oracle client lets wait: the rest are answers that wait for the broker
ROOM_POLL_S: Final = 0.02
WRITE_AGAIN_AFTER_S: Final = 0.5

_log = structlog.get_logger(__name__)


class Oracles(Protocol):
    """What the agent needs of `clearinghub.callbacks.oracles.client.OracleClient`."""

    async def ask(self, question: OracleQuestion) -> OracleAnswer:
        """Return the answer, within bounded time."""


Write = Callable[[str, bytes], Awaitable[None]]
"""Writes a value to topic `party` under a key; raises the recorder's errors."""

WriteDeadLetter = Callable[[Record, str], Awaitable[None]]
"""Writes a record that cannot be read to the dead letter, with the error; raises the recorder's errors."""


class OracleAgent:
    """Asks all questions concurrently. It waits for the broker only, never for an oracle."""

    def __init__(
        self, oracles: Oracles, tracker: OffsetTracker, write: Write, write_dead_letter: WriteDeadLetter
    ) -> None:
        self._oracles = oracles
        self._tracker = tracker
        self._write = write
        self._write_dead_letter = write_dead_letter
        self._pending: set[asyncio.Task[None]] = set()

    async def take(self, records: Sequence[Record], next_offset: int) -> None:
        """Begin a fetched batch of one partition, in order; `next_offset` is where the reading continues after it."""
        for index, record in enumerate(records):
            partition = (record.topic, record.partition)
            while self._tracker.full(partition) or len(self._pending) >= PENDING_MAX:  # noqa: ASYNC110 - rare
                await asyncio.sleep(ROOM_POLL_S)
            record_end = next_offset if index == len(records) - 1 else records[index + 1].offset
            self._tracker.add(partition, record.offset, record_end)
            task = asyncio.create_task(self._settle(record))
            self._pending.add(task)
            task.add_done_callback(self._pending.discard)

    def revoke(self) -> None:
        """Do nothing: questions are bounded in time, and answers do no harm."""

    async def close(self) -> None:
        """Cancel the open questions; the next reader of the partition sends them again."""
        for task in tuple(self._pending):
            task.cancel()
        await asyncio.gather(*self._pending, return_exceptions=True)

    async def _settle(self, record: Record) -> None:
        try:
            question = OracleQuestion.parse(record.value)
        except MalformedMessageError as error:
            problem = str(error)
            _log.error("oracle-question-unreadable", partition=record.partition, offset=record.offset, error=problem)
            await _until_written(lambda: self._write_dead_letter(record, problem))
        else:
            value = question.answered(await self._oracles.ask(question))
            await _until_written(lambda: self._write(question.message.reply_key, value))
        self._tracker.done((record.topic, record.partition), record.offset)


async def _until_written(write: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await write()
        except (RecorderBusyError, RecorderUnavailableError, RecordOutcomeUnknownError) as error:
            _log.warning("oracle-answer-not-written", error=repr(error))
            await asyncio.sleep(WRITE_AGAIN_AFTER_S)
        else:
            return
