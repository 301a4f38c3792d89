"""A partition that is closed writes nothing more to its local copies: its next owner may be recovering them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from clearinghub.engine.config import Input
from clearinghub.engine.record import Record, View
from tests.engine.bench import OnePartition
from tests.engine.toy import BALANCES


def store(record: Record, view: View) -> None:
    view.put(BALANCES, str(record.offset), 1)


async def a_round_whose_commit_is_not_answered(folder: Path) -> OnePartition:
    partition = OnePartition(folder, [Input("command", store)])
    partition.producer.answers.clear()
    partition.put("command", [b"x"])
    partition.partition.start()
    while not partition.producer.rounds:
        await asyncio.sleep(0.001)
    return partition


async def test_a_round_that_does_not_end_in_time_is_cancelled(tmp_path: Path) -> None:
    partition = await a_round_whose_commit_is_not_answered(tmp_path)

    await partition.partition.close(0.01)
    partition.producer.answers.set()
    await partition.settle()

    assert {} == partition.stores["balances"].rows


async def test_a_round_is_cancelled_although_its_closing_is_cancelled_too(tmp_path: Path) -> None:
    partition = await a_round_whose_commit_is_not_answered(tmp_path)
    closing = asyncio.create_task(partition.partition.close(5.0))
    await asyncio.sleep(0)

    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await partition.partition.close(5.0)
    partition.producer.answers.set()
    await partition.settle()

    assert {} == partition.stores["balances"].rows


async def test_whoever_closes_it_again_waits_too(tmp_path: Path) -> None:
    partition = await a_round_whose_commit_is_not_answered(tmp_path)
    first, second = (asyncio.create_task(partition.partition.close(5.0)) for _ in range(2))
    await asyncio.sleep(0.05)

    assert not second.done()

    partition.producer.answers.set()
    await asyncio.gather(first, second)
    assert {b"0": b"1"} == partition.stores["balances"].rows


async def test_a_client_that_swallows_the_cancellation_writes_nothing_either(tmp_path: Path) -> None:
    partition = await a_round_whose_commit_is_not_answered(tmp_path)
    partition.producer.swallows = True

    await partition.partition.close(0.01)
    partition.producer.answers.set()
    await asyncio.sleep(0.05)

    assert {} == partition.stores["balances"].rows
