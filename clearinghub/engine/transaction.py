"""One partition's transactional producer: it fences the owner before, and commits a round whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import structlog
from aiokafka.errors import IllegalOperation, InvalidProducerEpoch, KafkaError, ProducerFenced

from clearinghub.engine.errors import PartitionLostError

if TYPE_CHECKING:
    from clearinghub.engine.config import EngineConfig

log = structlog.get_logger(__name__)

FENCED: Final = (ProducerFenced, InvalidProducerEpoch)
STOP_TIMEOUT_S: Final = 2.0
BATCH_BYTES_MAX: Final = 512 * 1024
REQUEST_BYTES_MAX: Final = 8 * 1024 * 1024  # one record may hold a body of 5 MiB (protocol 1.1)
# After a commit the broker may answer CONCURRENT_TRANSACTIONS for some milliseconds; the client's default of 100 would
# then stand in every latency.
RETRY_BACKOFF_MS: Final = 10
TRANSACTION_TIMEOUT_MS: Final = 60_000

Outgoing = tuple[str, int, bytes, "bytes | None"]  # broker's topic, partition, key, value


class PartitionProducer:
    """Writes for one partition of the ledger, under the transactional id that all its owners share."""

    def __init__(self, config: EngineConfig, partition: int) -> None:
        self._transactional_id = config.transactional_id(partition)
        self._outside = config.environment
        self._producer = self._outside.make_producer(
            bootstrap_servers=config.bootstrap,
            client_id=f"{config.application_id}-{config.instance}",
            transactional_id=self._transactional_id,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            acks="all",
            enable_idempotence=True,
            max_batch_size=BATCH_BYTES_MAX,
            max_request_size=REQUEST_BYTES_MAX,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            **config.access,
        )

    async def start(self) -> None:
        """Take the transactional id over: the broker ends what its last owner left open, and refuses it from now on."""
        try:
            await self._producer.start()
        except BaseException:
            await self._producer.stop()
            raise

    async def stop(self) -> None:
        """Close the connections, within bounds; an open transaction is ended by the next owner."""
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._producer.stop()
        except TimeoutError:  # it waits for a broker that is away
            log.warning("producer-not-stopped", transactional_id=self._transactional_id)

    async def commit(self, outgoing: Iterable[Outgoing]) -> dict[tuple[str, int], int]:
        """Send everything as one transaction.

        Returns:
            The offset of the last record sent to each (topic, partition).

        Raises:
            PartitionLostError: another owner has taken the transactional id over; nothing was committed.
            KafkaError: the outcome is not known; the caller must recover from the broker before it goes on.
        """
        try:
            return await self._commit(outgoing)
        except (KafkaError, IllegalOperation) as error:
            if isinstance(error, FENCED) or isinstance(self._fatal_error(), FENCED):
                raise PartitionLostError(repr(error)) from error
            raise

    def _fatal_error(self) -> BaseException | None:
        """What ended the client's sender; a call made after that fails with an error which does not tell."""
        task = self._producer._sender.sender_task  # noqa: SLF001 - not offered otherwise
        ended = task is not None and task.done() and not task.cancelled()
        return task.exception() if ended else None

    async def _commit(self, outgoing: Iterable[Outgoing]) -> dict[tuple[str, int], int]:
        producer = self._producer
        await producer.begin_transaction()
        last: dict[tuple[str, int], tuple[asyncio.Future[Any], int]] = {}
        pending: list[asyncio.Future[Any]] = []
        try:
            for (topic, partition), records in _by_partition(outgoing).items():
                for batch in self._batches(records):
                    count = batch.record_count()
                    sent = await producer.send_batch(batch, topic, partition=partition)
                    pending.append(sent)
                    last[topic, partition] = (sent, count)
            await asyncio.gather(*pending)
        except BaseException:
            for sent in pending:  # nobody will ask them any more
                sent.cancel()
            raise
        await producer.commit_transaction()
        return {place: sent.result().offset + count - 1 for place, (sent, count) in last.items()}

    def _batches(self, records: list[tuple[bytes, bytes | None]]) -> Iterable[Any]:
        timestamp_ms = self._outside.wall_ms()
        batch = self._producer.create_batch()
        for key, value in records:
            if batch.append(key=key, value=value, timestamp=timestamp_ms) is None:
                yield batch
                batch = self._producer.create_batch()
                batch.append(key=key, value=value, timestamp=timestamp_ms)
        batch.close()
        yield batch


def _by_partition(outgoing: Iterable[Outgoing]) -> dict[tuple[str, int], list[tuple[bytes, bytes | None]]]:
    grouped: dict[tuple[str, int], list[tuple[bytes, bytes | None]]] = {}
    for topic, partition, key, value in outgoing:
        grouped.setdefault((topic, partition), []).append((key, value))
    return grouped
