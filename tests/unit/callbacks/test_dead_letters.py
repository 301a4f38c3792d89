from __future__ import annotations

import asyncio
from functools import partial

from clearinghub.callbacks.dead_letters import BATCH, DeadLetterQueue


async def test_writes_are_repeated_until_they_succeed_and_only_then_done() -> None:
    failures = {"b": 2}
    log: list[str] = []

    async def write(name: str) -> None:
        await asyncio.sleep(0)
        if failures.get(name, 0) > 0:
            failures[name] -= 1
            log.append(f"{name} failed")
            raise ConnectionError("no broker")
        log.append(name)

    letters = DeadLetterQueue(pause_s=0.001)
    for name in ("a", "b"):
        letters.put(partial(write, name), partial(log.append, f"{name} done"))
    await letters.drain()
    assert ["a", "b failed", "a done", "b failed", "b", "b done"] == log
    assert 0 == letters.backlog


async def test_it_works_again_after_it_was_empty() -> None:
    log: list[int] = []

    async def write() -> None:
        log.append(1)

    letters = DeadLetterQueue()
    for _ in range(2):
        letters.put(write, partial(log.append, 2))
        await letters.drain()
    assert [1, 2, 1, 2] == log


async def test_no_more_than_a_batch_is_written_side_by_side() -> None:
    now, most = 0, 0

    async def write() -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1

    letters = DeadLetterQueue()
    for _ in range(3 * BATCH):
        letters.put(write, lambda: None)
    await letters.drain()
    assert (BATCH, 0) == (most, letters.backlog)


async def test_closing_stops_a_write_that_hangs_and_leaves_it_undone() -> None:
    done: list[int] = []
    letters = DeadLetterQueue()
    letters.put(asyncio.Event().wait, partial(done.append, 1))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    await letters.close()
    assert [] == done
