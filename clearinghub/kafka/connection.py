"""Makes aiokafka work with uvloop when a connection to a broker is lost while something is written to it.

In that case asyncio's own transports ignore the write, and uvloop's raise RuntimeError; aiokafka expects OSError. An
exception that is no KafkaError ends aiokafka's background tasks for good: the producer refuses every record from then
on, or the consumer never fetches again, in a process that looks healthy. So the error is turned into what it is, a
broken connection.
"""

from __future__ import annotations

from typing import Any

import aiokafka.conn
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError


class BrokerConnection(AIOKafkaConnection):  # type: ignore[misc]
    """A connection that always raises KafkaConnectionError when it is lost."""

    def send(self, request: Any, expect_response: bool = True) -> Any:  # noqa: FBT001, FBT002 - aiokafka's signature
        """Send a request.

        Raises:
            KafkaConnectionError: the connection is lost.
        """
        try:
            return super().send(request, expect_response)
        except RuntimeError as error:
            self.close(reason=CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(f"Connection at {self.host}:{self.port} broken: {error}") from error


def use_broker_connections() -> None:
    """Let all clients of this process that connect from now on use `BrokerConnection`."""
    aiokafka.conn.AIOKafkaConnection = BrokerConnection
