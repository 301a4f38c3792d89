"""The transactional producer of one partition: fences the partition's earlier owner, and commits rounds atomically."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

import structlog
from aiokafka.errors import IllegalOperation, InvalidProducerEpoch, KafkaError, ProducerFenced

from clearinghub.engine.config import EngineConfig
from clearinghub.engine.errors import ChangelogOffsetError, PartitionLostError
from clearinghub.engine.hops import Headers
from clearinghub.engine.store import TableChanges

log = structlog.get_logger(__name__)

FENCED: Final = (ProducerFenced, InvalidProducerEpoch)
STOP_TIMEOUT_S: Final = 2.0
BATCH_BYTES_MAX: Final = 512 * 1024
REQUEST_BYTES_MAX: Final = 8 * 1024 * 1024  # one record may hold a body of 5 MiB (protocol 1.1)
# After a commit the broker may answer CONCURRENT_TRANSACTIONS for some milliseconds. The client's default pause of
# 100 ms before it tries again would be part of every latency.
RETRY_BACKOFF_MS: Final = 10

NOTHING_FORESEEN: Final[Mapping[tuple[str, int], int]] = {}

# The topic's name on the broker, the partition, key, value, headers.
Outgoing = tuple[str, int, bytes, "bytes | None", Headers]
NO_HEADERS: Final[Headers] = []
_Sent = tuple[bytes, "bytes | None", Headers]


class PartitionProducer:
    """Writes the transactions of one partition, under the transactional id that all owners of the partition share."""

    def __init__(self, config: EngineConfig, partition: int) -> None:
        self._partition = partition
        self._transactional_id = config.transactional_id(partition)
        self._environment = config.environment
        self._producer = self._environment.make_producer(
            bootstrap_servers=config.bootstrap,
            client_id=f"{config.application_id}-{config.instance}",
            transactional_id=self._transactional_id,
            transaction_timeout_ms=config.transaction_timeout_ms,
            acks="all",
            enable_idempotence=True,
            max_batch_size=BATCH_BYTES_MAX,
            max_request_size=REQUEST_BYTES_MAX,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            **config.access,
        )

    async def start(self) -> None:
        """Fence the earlier owner: the broker aborts its open transaction, and refuses what it sends from now on."""
        try:
            await self._producer.start()
        except BaseException:
            await self._producer.stop()
            raise

    async def stop(self) -> None:
        """Close the connections, within STOP_TIMEOUT_S. An open transaction is aborted by the next owner."""
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._producer.stop()
        except TimeoutError:  # the client waits for a broker that cannot be reached
            log.warning("producer-not-stopped", transactional_id=self._transactional_id)

    async def commit(
        self, outgoing: Iterable[Outgoing], foreseen: Mapping[tuple[str, int], int] = NOTHING_FORESEEN
    ) -> dict[tuple[str, int], int]:
        """Send all records in one transaction, and commit it.

        `foreseen` has the offsets that the last records of some (topic, partition) must get.

        Returns:
            For each (topic, partition), the offset of the last record sent to it.

        Raises:
            PartitionLostError: another owner has fenced this producer; nothing was committed.
            ChangelogOffsetError: a record got another offset than foreseen; nothing was committed.
            KafkaError: it is unknown whether the transaction was committed; only recovery from the broker can tell.
        """
        try:
            return await self._commit(outgoing, foreseen)
        except (KafkaError, IllegalOperation) as error:
            if isinstance(error, FENCED) or isinstance(self._fatal_error(), FENCED):
                raise PartitionLostError(repr(error)) from error
            raise

    def _fatal_error(self) -> BaseException | None:
        """Return what ended the client's sender task: later calls to the client fail with errors that do not say it."""
        task = self._producer._sender.sender_task  # noqa: SLF001 - the client has no public way
        ended = task is not None and task.done() and not task.cancelled()
        return task.exception() if ended else None

    async def _commit(
        self, outgoing: Iterable[Outgoing], foreseen: Mapping[tuple[str, int], int]
    ) -> dict[tuple[str, int], int]:
        producer = self._producer
        if (fatal := self._fatal_error()) is not None:  # fenced since the last commit
            raise fatal
        await producer.begin_transaction()
        last: dict[tuple[str, int], tuple[asyncio.Future[Any], int]] = {}
        in_flight: list[asyncio.Future[Any]] = []
        try:
            for (topic, partition), records in _by_partition(outgoing).items():
                # An open transaction holds up all readers of a partition: it must not hold up another partition's.
                assert partition == self._partition, (
                    f"a round of partition {self._partition} writes {topic}/{partition}"
                )
                for batch in self._batches(records):
                    count = batch.record_count()
                    sent = await producer.send_batch(batch, topic, partition=partition)
                    in_flight.append(sent)
                    last[topic, partition] = (sent, count)
            await asyncio.gather(*in_flight)
        except BaseException:
            for sent in in_flight:  # nobody will await them
                sent.cancel()
            raise
        offsets = {place: sent.result().offset + count - 1 for place, (sent, count) in last.items()}
        for place, offset in foreseen.items():
            if offsets[place] != offset:
                raise ChangelogOffsetError(f"{place[0]}/{place[1]}: offset {offsets[place]}, not {offset}")
        await producer.commit_transaction()
        return offsets

    def _batches(self, records: list[_Sent]) -> Iterable[Any]:
        timestamp_ms = self._environment.wall_ms()
        batch = self._producer.create_batch()
        for key, value, headers in records:
            if batch.append(key=key, value=value, timestamp=timestamp_ms, headers=headers) is None:
                yield batch
                batch = self._producer.create_batch()
                appended = batch.append(key=key, value=value, timestamp=timestamp_ms, headers=headers)
                assert appended is not None, f"a record of {len(value or b'')} bytes fits no batch"
        batch.close()
        yield batch


def changed_rows(config: EngineConfig, partition: int, changes: Mapping[str, TableChanges]) -> list[Outgoing]:
    """Return a round's changed rows, by table, as records of the changelogs."""
    return [
        (config.changelog(table), partition, key, value, NO_HEADERS)
        for table, changed in changes.items()
        for key, value in changed.rows.items()
    ]


def _by_partition(outgoing: Iterable[Outgoing]) -> dict[tuple[str, int], list[_Sent]]:
    grouped: dict[tuple[str, int], list[_Sent]] = {}
    for topic, partition, key, value, headers in outgoing:
        grouped.setdefault((topic, partition), []).append((key, value, headers))
    return grouped
