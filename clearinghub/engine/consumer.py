"""Faust's consumer with batches: one message per partition and fetch, no gaps, no acks, and no thread of its own.

What it does differently from Faust's own, and why (design 5):

- A batch carries where it begins and ends, so that whoever takes it can see that nothing is missing before it.
- Nothing is fetched between an assignment and the seek to the committed offsets: what is assigned is paused until
  `seek_inputs` has returned, and a fetch begun before is cancelled: one that spans the seek would take records at the
  new positions and be thrown away with the old ones.
- The changelogs stay paused: recovery reads them itself, and what is fetched but never consumed holds up the rest.
- Faust's gap tracking is bypassed: with unacknowledged streams its interval tree only grows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from faust.transport.consumer import Consumer, ensure_TP, ensure_TPset
from faust.types import TP, ConsumerMessage

from clearinghub.engine.batch import Batch
from clearinghub.engine.errors import FAUST_LOGGER

log = structlog.get_logger(__name__)

FETCH_TIMEOUT_MS: Final = 1_000
FETCH_TIMEOUT_PAUSED_MS: Final = 50  # while a partition is held back, look this often whether it has room again
FETCH_RECORDS_MAX: Final = 4_000
FETCH_PARTITION_BYTES_MAX: Final = 2 * 1024 * 1024
CREATE_TIME: Final = 0


class BatchConsumer(Consumer):  # type: ignore[misc]
    """The consumer of an engine's app."""

    logger = FAUST_LOGGER
    consumer_stopped_errors = (KafkaError,)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.epoch = 0
        self._client: AIOKafkaConsumer | None = None
        self._waiting: dict[TP, Batch] = {}
        self._held: set[TP] = set()
        self._fetching: asyncio.Task[Any] | None = None
        self.seek_offsets: dict[TP, int] = {}
        self._ends: dict[TP, int] = {}  # where each input's next batch begins
        self._stood: dict[TP, int] = {}  # the position that is accounted for

    @property
    def client(self) -> AIOKafkaConsumer:
        """The client, once started."""
        assert self._client is not None
        return self._client

    # -- life

    async def on_start(self) -> None:
        """Join the broker; the group is joined with the subscription."""
        conf = self.app.conf
        config = self.app.engine_config
        self._client = AIOKafkaConsumer(
            bootstrap_servers=config.bootstrap,
            client_id=f"{config.application_id}-{config.instance}",
            group_id=conf.id,
            # A stable name: after a restart within the session the broker gives the same partitions back at once.
            group_instance_id=f"{config.application_id}-{config.instance}",
            partition_assignment_strategy=[self.app.assignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            session_timeout_ms=config.session_timeout_ms,
            heartbeat_interval_ms=max(200, config.session_timeout_ms // 5),
            rebalance_timeout_ms=max(60_000, config.session_timeout_ms),
            max_poll_interval_ms=24 * 3_600_000,
            max_partition_fetch_bytes=FETCH_PARTITION_BYTES_MAX,
            fetch_max_wait_ms=500,
            retry_backoff_ms=50,
            check_crcs=False,
            **config.access,
        )
        await self._client.start()

    async def on_stop(self) -> None:
        """Leave the broker."""
        if self._client is not None:
            await self._client.stop()

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Join the group for these topics."""
        self.client.subscribe(topics=sorted(set(topics)), listener=GroupListener(self))

    async def on_group_assignment(self, assigned: set[TP]) -> None:
        """A new generation: stop everything, forget what waits, and let Faust assign.

        The flow stops and the generation changes before anything is waited for: the recovery of an assignment that was
        overtaken may just be about to let it flow again, and would let fetches begin before this one's seek.
        """
        self.epoch += 1
        generation = self.client._coordinator.generation  # noqa: SLF001 - not offered otherwise
        self.app.consumer_generation_id = generation
        self.stop_flow()
        await self._cancel_fetch()
        self._waiting.clear()
        self._held.clear()
        self.client.pause(*(TopicPartition(*tp) for tp in assigned))
        await self.on_partitions_assigned(assigned, generation)

    def close(self) -> None:
        """Nothing to do: `on_stop` closes the client."""

    async def _drain_messages(self, fetcher: Any) -> None:
        while not (self.should_stop or fetcher.should_stop):
            if not self.flow_active:
                await self.wait_first(self.can_resume_flow, fetcher._stopped)  # noqa: SLF001 - Faust's own way
                continue
            epoch = self.epoch
            self._release_held()
            positions = {tp: self._position(tp) for tp in self.seek_offsets}
            if positions != self._stood and not await self._account_for(positions, epoch):
                continue
            timeout_ms = FETCH_TIMEOUT_PAUSED_MS if self._held else FETCH_TIMEOUT_MS
            fetching = self._fetching = asyncio.create_task(
                self.client.getmany(timeout_ms=timeout_ms, max_records=FETCH_RECORDS_MAX)
            )
            await asyncio.wait({fetching})
            if fetching.cancelled():
                continue
            fetched = fetching.result()
            if epoch != self.epoch or not self.flow_active:
                continue  # these positions are void: the next assignment seeks anew
            for partition, records in fetched.items():
                if epoch != self.epoch:
                    break  # while one was handed over, the others became void, too
                await self._hand_over(TP(partition.topic, partition.partition), records)
            await asyncio.sleep(0)

    async def _account_for(self, positions: Mapping[TP, int | None], epoch: int) -> bool:
        """A fetch gave nothing and yet moved positions: over markers and aborted records, where nothing is missing.

        What retention deleted is skipped likewise, and must show: the next batch begins behind it. So must a log that
        has lost its end and is read from its beginning again: the next batch begins there. False: all is void.
        """
        moved = {tp: now for tp, now in positions.items() if now is not None and now != self._stood[tp]}
        firsts = await self.client.beginning_offsets([TopicPartition(*tp) for tp in moved]) if moved else {}
        if epoch != self.epoch or not self.flow_active:
            return False
        self._stood |= moved
        self._ends |= {
            tp: now for tp, now in moved.items() if firsts[TopicPartition(*tp)] > self._ends[tp] or now < self._ends[tp]
        }
        return True

    async def _cancel_fetch(self) -> None:
        fetching, self._fetching = self._fetching, None
        if fetching is not None and not fetching.done():
            fetching.cancel()
            await asyncio.wait({fetching})

    def _position(self, tp: TP) -> int | None:
        subscription = self.client._subscription.subscription  # noqa: SLF001 - the public way is a coroutine each
        assignment = None if subscription is None else subscription.assignment
        state = None if assignment is None else assignment.state_value(TopicPartition(*tp))
        return cast("int", state.position) if state is not None and state.has_valid_position else None

    async def _hand_over(self, tp: TP, records: list[Any]) -> None:
        # What is read once more shows as a batch that begins where the last one did not end.
        begin, end = min(self._ends[tp], records[0].offset), self._position(tp)
        assert end is not None
        self._ends[tp] = self._stood[tp] = end
        waiting = self._waiting.get(tp)
        if waiting is not None and waiting.join(begin, end, records):
            batch = waiting
        else:
            batch = self._waiting[tp] = Batch(tp.topic, tp.partition, self.epoch, begin, end, records)
            await self.callback(self._to_message(tp, batch))
        if len(batch.records) >= self.app.engine_config.backlog_max(tp.topic) and tp not in self._held:
            self._held.add(tp)
            self.client.pause(TopicPartition(*tp))

    def _release_held(self) -> None:
        for tp, waiting in [(tp, self._waiting[tp]) for tp in self._held]:
            if waiting.taken or len(waiting.records) < self.app.engine_config.backlog_max(tp.topic) // 2:
                self._held.discard(tp)
                self.client.resume(TopicPartition(*tp))

    def backlog(self) -> dict[TP, int]:
        """How many fetched records of each partition wait for their round."""
        return {tp: len(batch.records) for tp, batch in self._waiting.items() if not batch.taken}

    def _to_message(self, tp: TP, batch: Batch) -> ConsumerMessage:
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            batch.begin,
            0.0,
            CREATE_TIME,
            [],
            None,
            batch,
            None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    # -- positions

    async def seek_inputs(self, decided: Mapping[TP, int] | None) -> None:
        """Put every input where its tables say (ADR 7), or where the group has committed; else at its beginning.

        `decided` is None for an app without tables, whose offsets are the group's.
        """
        inputs = [TopicPartition(*tp) for tp in sorted(self.assignment()) if not self._is_changelog_tp(tp)]
        self.seek_offsets, self._ends, self._stood = {}, {}, {}
        if not inputs:
            return
        await self._cancel_fetch()
        if decided is None:
            committed = await asyncio.gather(*(self.client.committed(tp) for tp in inputs))
        else:
            committed = [decided.get(ensure_TP(tp)) for tp in inputs]
        unknown = [tp for tp, offset in zip(inputs, committed, strict=True) if offset is None]
        beginnings = await self.client.beginning_offsets(unknown) if unknown else {}
        for tp, offset in zip(inputs, committed, strict=True):
            start = self.seek_offsets[ensure_TP(tp)] = beginnings[tp] if offset is None else offset
            self.client.seek(tp, start)
        self._ends, self._stood = dict(self.seek_offsets), dict(self.seek_offsets)
        self.client.resume(*inputs)

    async def commit_offsets(self, offsets: Mapping[TP, int]) -> bool:
        """Commit offsets outside transactions, for an app without tables; False when the group has moved on."""
        mine = self.assignment()
        try:
            await self.client.commit({TopicPartition(*tp): offset for tp, offset in offsets.items() if tp in mine})
        except (CommitFailedError, IllegalStateError) as error:
            log.warning("commit-refused", error=repr(error))
            return False
        return True

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: FBT001, FBT002 - Faust's signature
        """Faust's periodic commit of acknowledged messages: there are none."""
        del topics, start_new_transaction
        return False

    async def verify_all_partitions_active(self) -> None:
        """Faust's livelock detector looks at acks, which batches have not."""

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        return await self.commit_offsets(offsets)

    async def perform_seek(self) -> None:
        """Faust's way of seeking: not used, recovery calls `seek_inputs`."""

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Faust's way of seeking: not used, recovery calls `seek_inputs`."""
        return {}

    async def _seek(self, partition: TP, offset: int) -> None:
        self.client.seek(TopicPartition(*partition), offset)

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Seek partitions."""
        for tp, offset in partitions.items():
            await self._seek(tp, offset)

    async def position(self, tp: TP) -> int | None:
        """The offset of the next record of a partition."""
        return self._position(tp)

    def assignment(self) -> set[TP]:
        """The partitions assigned to this worker, changelogs among them."""
        return set() if self._client is None else cast("set[TP]", ensure_TPset(self._client.assignment()))

    def highwater(self, tp: TP) -> int:
        """The last stable offset known from the last fetch."""
        return cast("int", self.client.last_stable_offset(TopicPartition(*tp)))

    def topic_partitions(self, topic: str) -> int | None:
        """How many partitions a topic has."""
        partitions = self.client.partitions_for_topic(topic)
        return None if partitions is None else len(partitions)

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        """The first offsets still kept."""
        return cast("Mapping[TP, int]", await self.client.beginning_offsets([TopicPartition(*tp) for tp in partitions]))

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """The last stable offsets."""
        return cast("Mapping[TP, int]", await self.client.end_offsets([TopicPartition(*tp) for tp in partitions]))

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:
        """Not used: outputs go through the partitions' own producers."""
        raise NotImplementedError

    async def create_topic(self, *_args: Any, **_kwargs: Any) -> None:
        """Topics are created from topics.yaml before anything starts."""

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's signature
        raise NotImplementedError  # `_drain_messages` fetches


class GroupListener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Passes the group's decisions on to Faust."""

    def __init__(self, consumer: BatchConsumer) -> None:
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """Give up all partitions of this worker: a rebalance has begun, and the group has not decided yet."""
        self._consumer.app.on_rebalance_start()
        await self._consumer.on_partitions_revoked(ensure_TPset(revoked))
        # Faust does so only for an app with transactions; other apps must not commit offsets of partitions lost.
        await self._consumer.app.close_partitions()

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Begin to work on the partitions that the group has given to this worker."""
        await self._consumer.on_group_assignment(ensure_TPset(assigned))
