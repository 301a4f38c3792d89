from __future__ import annotations

import asyncio

from clearinghub.callbacks.parking_writer import ParkedWrite, ParkingWriter

COLLECT_S = 0.05


class Log:
    """A topic that notes what was written, and in how many batches."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.batches = 0
        self._writing = 0

    async def append(self, _partition: int, _queue: str, value: bytes) -> None:
        self.batches += not self._writing
        self._writing += 1
        await asyncio.sleep(0)
        self._writing -= 1
        self.written.append(value.decode())


def put(writer: ParkingWriter, subject: str, value: str, done: list[str]) -> None:
    writer.put(ParkedWrite(0, "q", subject, 1, value.encode, lambda: done.append(value)))


async def test_callbacks_of_a_moment_are_written_in_one_batch() -> None:
    log, done = Log(), list[str]()
    writer = ParkingWriter(log.append, collect_s=COLLECT_S)

    for number in range(10):
        put(writer, str(number), str(number), done)
        await asyncio.sleep(0.001)
    async with asyncio.timeout(1):
        while writer.backlog:
            await asyncio.sleep(0.001)

    assert 1 == log.batches
    assert [str(number) for number in range(10)] == log.written == done


async def test_callbacks_of_one_subject_are_not_collected_one_by_one() -> None:
    log, done = Log(), list[str]()
    writer = ParkingWriter(log.append, collect_s=COLLECT_S)

    for number in range(20):
        put(writer, "same", str(number), done)
    async with asyncio.timeout(10 * COLLECT_S):
        while writer.backlog:
            await asyncio.sleep(0.001)

    assert 20 == log.batches
    assert [str(number) for number in range(20)] == done
