"""A view continues to follow its topic, whatever its consumer raises."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from aiokafka import TopicPartition

from clearinghub.config import Settings
from clearinghub.kafka.view import CompactedView

WORKERS = TopicPartition(Settings().topic("workers"), 0)


class Record(NamedTuple):
    key: bytes | None
    value: bytes | None


class ScriptedConsumer:
    """A consumer that returns, or raises, one entry of its script at each fetch, and then nothing more."""

    def __init__(self, script: Sequence[Exception | list[Record]]) -> None:
        self._script = list(script)

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def assign(self, places: object) -> None: ...
    def seek(self, place: object, offset: int) -> None: ...

    async def end_offsets(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 0)

    async def beginning_offsets(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 0)

    async def position(self, _place: TopicPartition) -> int:
        return 0

    async def getmany(self, timeout_ms: int) -> dict[TopicPartition, list[Record]]:
        if not self._script:
            await asyncio.sleep(timeout_ms / 1000)
            return {}
        entry = self._script.pop(0)
        if isinstance(entry, Exception):
            raise entry
        return {WORKERS: entry}


@pytest.mark.parametrize(
    "obstacle",
    [
        RuntimeError("nobody thought of it"),
        OSError("connection lost"),
        [Record(None, b"no key")],
        [Record(b"\xff", b"no text")],
        [Record(b"a", b"\xff")],
    ],
    ids=repr,
)
async def test_it_follows_on(obstacle: Exception | list[Record]) -> None:
    script = [obstacle, [Record(b"a", b"there"), Record(b"b", b"gone")], [Record(b"b", None)]]
    view = CompactedView(Settings(), "workers", bytes.decode, lambda **_settings: ScriptedConsumer(script))
    await view.start()
    try:
        assert await view.wait_until(lambda: view.values == {"a": "there"}, 3)
    finally:
        await view.stop()
