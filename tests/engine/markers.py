"""What only brokers send each other, and what a partition knows of its producers: requests that aiokafka lacks.

`late_marker` sends a partition the marker of a transaction, as a coordinator does that sends it late or again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

TAGS = ("tags", TaggedFields)
TEXT = CompactString("utf-8")
PARTITION = 0
NO_TRANSACTION = -1
POLL_S = 0.02
ENDED_WITHIN_S = 10.0


class ProducerState(NamedTuple):
    """A producer as the leader of a partition knows it."""

    producer_id: int
    epoch: int
    last_sequence: int
    last_timestamp: int
    coordinator_epoch: int
    transaction_start: int
    tags: dict[int, bytes]


class _DescribeProducersAnswer(Response):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY, API_VERSION = 61, 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("name", TEXT),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("error_message", TEXT),
                        (
                            "producers",
                            CompactArray(
                                ("producer_id", Int64),
                                ("epoch", Int32),
                                ("last_sequence", Int32),
                                ("last_timestamp", Int64),
                                ("coordinator_epoch", Int32),
                                ("transaction_start", Int64),
                                TAGS,
                            ),
                        ),
                        TAGS,
                    ),
                ),
                TAGS,
            ),
        ),
        TAGS,
    )


class _DescribeProducersStruct(RequestStruct):  # type: ignore[misc]  # aiokafka ships no types
    FLEXIBLE_VERSION = True
    API_KEY, API_VERSION, RESPONSE_TYPE = 61, 0, _DescribeProducersAnswer
    SCHEMA = Schema(("topics", CompactArray(("name", TEXT), ("partitions", CompactArray(Int32)), TAGS)), TAGS)


class _WriteTxnMarkersAnswer(Response):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY, API_VERSION = 27, 1
    SCHEMA = Schema(
        (
            "markers",
            CompactArray(
                ("producer_id", Int64),
                (
                    "topics",
                    CompactArray(
                        ("name", TEXT),
                        ("partitions", CompactArray(("partition", Int32), ("error_code", Int16), TAGS)),
                        TAGS,
                    ),
                ),
                TAGS,
            ),
        ),
        TAGS,
    )


class _WriteTxnMarkersStruct(RequestStruct):  # type: ignore[misc]  # aiokafka ships no types
    FLEXIBLE_VERSION = True
    API_KEY, API_VERSION, RESPONSE_TYPE = 27, 1, _WriteTxnMarkersAnswer
    SCHEMA = Schema(
        (
            "markers",
            CompactArray(
                ("producer_id", Int64),
                ("epoch", Int16),
                ("is_commit", Boolean),
                ("topics", CompactArray(("name", TEXT), ("partitions", CompactArray(Int32)), TAGS)),
                ("coordinator_epoch", Int32),
                TAGS,
            ),
        ),
        TAGS,
    )


class _DescribeProducers(Request[_DescribeProducersStruct]):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = 61

    def __init__(self, topic: str) -> None:
        self._topics: list[Any] = [(topic, [PARTITION], {})]

    def build(self, request_struct_class: type[_DescribeProducersStruct]) -> _DescribeProducersStruct:
        return request_struct_class(self._topics, {})


class _WriteTxnMarkers(Request[_WriteTxnMarkersStruct]):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = 27

    def __init__(self, ended: ProducerState, topic: str) -> None:
        self._marker: tuple[Any, ...] = (
            ended.producer_id,
            ended.epoch,
            True,
            [(topic, [PARTITION], {})],
            ended.coordinator_epoch,
            {},
        )

    def build(self, request_struct_class: type[_WriteTxnMarkersStruct]) -> _WriteTxnMarkersStruct:
        return request_struct_class([self._marker], {})


class Leader:
    """The only broker, as another broker speaks to it, about partition 0 of topics with one producer."""

    def __init__(self, client: AIOKafkaClient) -> None:
        self._client = client

    @classmethod
    @asynccontextmanager
    async def of(cls, bootstrap: str) -> AsyncIterator[Leader]:
        """Connect to the leader, and disconnect at the end."""
        client = AIOKafkaClient(bootstrap_servers=bootstrap)
        await client.bootstrap()
        try:
            yield cls(client)
        finally:
            await client.close()

    async def ask(self, request: Any) -> Any:
        """Return the broker's answer to a request."""
        return await self._client.send(self._client.get_random_node(), request)

    async def producer(self, topic: str) -> ProducerState:
        """Return the last producer of partition 0."""
        answer = await self.ask(_DescribeProducers(topic))
        ((_partition, code, message, producers, _tags),) = answer.topics[0][1]
        assert code == 0, message
        return max(ProducerState(*one) for one in producers)

    async def ended(self, topic: str) -> ProducerState:
        """Return the last producer of partition 0 as soon as the marker of its transaction is written."""
        async with asyncio.timeout(ENDED_WITHIN_S):
            while (state := await self.producer(topic)).transaction_start != NO_TRANSACTION:
                await asyncio.sleep(POLL_S)
        return state

    async def late_marker(self, ended: ProducerState, topic: str) -> int:
        """Send partition 0 once more the COMMIT marker of a transaction that has ended; return the error code."""
        answer = await self.ask(_WriteTxnMarkers(ended, topic))
        code: int = answer.markers[0][1][0][1][0][1]
        return code
