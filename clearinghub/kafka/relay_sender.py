"""What the engine's relay writes with: a `BatchSender` of its own, outside any transaction (`engine.relay.Sender`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from aiokafka.client import AIOKafkaClient

from clearinghub.kafka.batch_sender import BatchSender, Headers, Place

REQUEST_TIMEOUT_MS: Final = 5_000  # then a node that hangs is given up, and the leaders are looked up again
SEND_TIMEOUT_S: Final = 10.0  # then the relay, which sends it again, says in the log that it waits


class RelaySender:
    """Sends to each partition by itself: one that takes nothing costs the others nothing."""

    def __init__(self, bootstrap_servers: str, client_id: str, **access: Any) -> None:
        """`access` is as `kafka_access` returns it."""
        self._client = AIOKafkaClient(
            bootstrap_servers=bootstrap_servers,
            client_id=client_id,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            retry_backoff_ms=50,
            **access,
        )
        self._sender: BatchSender | None = None
        self._places: dict[tuple[str, int], Place] = {}

    async def start(self) -> None:
        """Connect to the cluster.

        Raises:
            KafkaError: no broker answers.
        """
        try:
            await self._client.bootstrap()
            sender = BatchSender(self._client, REQUEST_TIMEOUT_MS)
            await sender.start()
        except BaseException:
            await self._client.close()
            raise
        self._sender = sender

    async def stop(self) -> None:
        """Close the connections. Nobody may wait for a batch any more."""
        if self._sender is not None:
            await self._sender.stop()
        await self._client.close()

    async def send(
        self, topic: str, partition: int, records: Sequence[tuple[bytes, bytes, Headers]], timestamp_ms: int
    ) -> None:
        """Write records in their order, one batch of a partition at a time.

        Raises:
            RecorderUnavailableError: they are not written.
            RecordOutcomeUnknownError: they may be written.
        """
        assert self._sender is not None
        place = self._places.get((topic, partition))
        if place is None:
            place = self._places[topic, partition] = Place(topic, partition)
        pairs = [(key, value) for key, value, _headers in records]
        headers = [one for _key, _value, one in records]
        await self._sender.send(place, pairs, timestamp_ms, SEND_TIMEOUT_S, headers)
