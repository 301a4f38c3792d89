"""A connection that is lost while something is written to it, on the event loop of the roles (uvloop)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.admin import ApiVersionRequest

from clearinghub.kafka.connection import BrokerConnection


@asynccontextmanager
async def broken(kind: type[AIOKafkaConnection]) -> AsyncIterator[AIOKafkaConnection]:
    """A connection whose transport has closed, which aiokafka does not know yet."""
    accepted: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    server = await asyncio.start_server(lambda _reader, writer: accepted.put_nowait(writer), "127.0.0.1", 0)
    connection = kind("127.0.0.1", server.sockets[0].getsockname()[1])
    _reader, connection._writer = await asyncio.open_connection("127.0.0.1", connection.port)
    (await accepted.get()).close()
    connection._writer.transport.abort()
    await asyncio.sleep(0.05)
    try:
        yield connection
    finally:
        server.close()
        connection.close()


def on_uvloop(kind: type[AIOKafkaConnection]) -> None:
    async def write() -> None:
        async with broken(kind) as connection:
            connection.send(ApiVersionRequest())

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(write())


def test_a_write_after_the_end_is_a_broken_connection() -> None:
    with pytest.raises(KafkaConnectionError, match="broken"):
        on_uvloop(BrokerConnection)


def test_the_library_alone_still_needs_it() -> None:
    with pytest.raises(RuntimeError, match="handler is closed"):
        on_uvloop(AIOKafkaConnection)
