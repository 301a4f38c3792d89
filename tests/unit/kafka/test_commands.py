"""Answers to commands: one that cannot be read costs nobody else theirs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from clearinghub.config import Settings
from clearinghub.kafka.commands import KafkaCommandClient
from clearinghub.messages import VERSION, decode_fields, encode


class Topic:
    """A recorder that keeps the last command."""

    def __init__(self) -> None:
        self.written = asyncio.Event()
        self.line: dict[str, Any] = {}

    async def record(self, _topic: str, _key: str, value: bytes) -> None:
        self.line, _body = decode_fields(value)
        self.written.set()


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"garbage",
        b"[1]\n",
        encode({"v": VERSION + 1, "kind": "reply"}),
        encode({"v": VERSION, "kind": "reply"}),
        encode({"v": VERSION, "kind": "reply", "correlation_id": ["a list"], "result": 1, "error": None}),
    ],
)
async def test_a_reply_that_cannot_be_read_is_passed_over(value: bytes | None) -> None:
    topic = Topic()
    client = KafkaCommandClient(Settings(), topic)
    answer = asyncio.create_task(client.execute("name", "dfsp", {}))
    await topic.written.wait()

    client._answer(value)
    told = {"v": VERSION, "correlation_id": topic.line["correlation_id"], "result": "done", "error": None}
    client._answer(encode({"v": VERSION, "correlation_id": topic.line["correlation_id"]}))
    client._answer(encode(told))

    assert "done" == await answer
