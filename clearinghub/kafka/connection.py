"""A broker's connection that is lost while something is written to it: uvloop and aiokafka brought together.

asyncio's own transports take a write behind their end without a word, uvloop's raise RuntimeError, and aiokafka expects
OSError. What is no KafkaError ends its background tasks for good: a producer that refuses every record from then on, a
consumer that never fetches again, in a process that looks healthy. So it is made what it is, a broken connection.
"""

from __future__ import annotations

from typing import Any

import aiokafka.conn
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError


class BrokerConnection(AIOKafkaConnection):  # type: ignore[misc]
    """A connection whose loss is always a KafkaConnectionError."""

    def send(self, request: Any, expect_response: bool = True) -> Any:  # noqa: FBT001, FBT002 - aiokafka's signature
        """Send a request.

        Raises:
            KafkaConnectionError: there is no connection any more.
        """
        try:
            return super().send(request, expect_response)
        except RuntimeError as error:
            self.close(reason=CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(f"Connection at {self.host}:{self.port} broken: {error}") from error


def use_broker_connections() -> None:
    """Let every client that connects from now on in this process have them."""
    aiokafka.conn.AIOKafkaConnection = BrokerConnection
