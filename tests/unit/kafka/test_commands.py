"""Replies to commands: one that cannot be read does not affect the others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from clearinghub.config import Settings
from clearinghub.kafka.commands import KafkaCommandClient
from clearinghub.messages import VERSION, encode
from clearinghub.messages.commands import FundsResult, ReplyMessage, SetActive, encode_result
from clearinghub.messages.transfers import TimeoutMessage
from tests.fakes import fields_of


class Topic:
    """A recorder that keeps the last command."""

    def __init__(self) -> None:
        self.written = asyncio.Event()
        self.line: dict[str, Any] = {}

    async def record(self, _topic: str, _key: str, value: bytes) -> None:
        self.line, _body = fields_of(value)
        self.written.set()


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"garbage",
        b"[1]\n",
        encode({"kind": "reply", "v": VERSION + 1, "correlation_id": "c", "reply_to": "i"}),
        encode({"kind": "reply", "v": VERSION}),
        encode({"kind": "reply", "v": VERSION, "correlation_id": ["a list"], "reply_to": "i", "result": 1}),
        encode(TimeoutMessage(id="t-1")),
    ],
)
async def test_a_reply_that_cannot_be_read_is_passed_over(value: bytes | None) -> None:
    topic = Topic()
    client = KafkaCommandClient(Settings(), topic)
    answer = asyncio.create_task(client.execute("dfsp", SetActive(active=True), FundsResult))
    await topic.written.wait()

    client._answer(value)
    result = FundsResult("COMMITTED", None)
    reply = ReplyMessage(correlation_id=topic.line["correlation_id"], reply_to="i", result=encode_result(result))
    client._answer(encode(reply))

    assert result == await answer
    assert {"name": "set-active", "active": True} == topic.line["command"]
