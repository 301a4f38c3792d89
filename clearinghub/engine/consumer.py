"""Faust's consumer, with batches: one message for all records that a fetch returns of a partition.

What it does differently from Faust's own consumer, and why (design 5):

- A batch says where it begins and ends, so that its partition can check that no record is missing before it.
- Nothing is fetched between an assignment and the seek to the decided offsets: assigned partitions are paused until
  `seek_inputs` has sought, and a fetch begun before is cancelled. A fetch that spans the seek would take records at the
  new positions, and would be thrown away together with records at the old ones.
- The changelogs stay paused: recovery reads them with a consumer of its own, and records that are fetched but never
  consumed would hold up the others.
- Faust's tracking of gaps is bypassed: our streams do not acknowledge messages, so its interval tree would only grow.
- It runs on the event loop; Faust's own runs in a thread.
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
FETCH_TIMEOUT_PAUSED_MS: Final = 50  # while an input is paused; how often to look whether it may resume
FETCH_RECORDS_MAX: Final = 4_000
FETCH_PARTITION_BYTES_MAX: Final = 2 * 1024 * 1024
CREATE_TIME: Final = 0


class BatchConsumer(Consumer):  # type: ignore[misc]
    """The consumer of an engine's app. `epoch` counts assignments; batches of an earlier epoch are void."""

    logger = FAUST_LOGGER
    consumer_stopped_errors = (KafkaError,)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.epoch = 0
        self._client: AIOKafkaConsumer | None = None
        self._waiting: dict[TP, Batch] = {}  # the last batch of each input, closed or not
        self._paused: set[TP] = set()  # inputs whose waiting batch is full
        self._fetching: asyncio.Task[Any] | None = None
        self.seek_offsets: dict[TP, int] = {}  # where each input was when the assignment began
        self._next_begins: dict[TP, int] = {}  # where each input's next batch begins
        self._known_positions: dict[TP, int] = {}  # positions up to which `_next_begins` has accounted for all offsets

    @property
    def client(self) -> AIOKafkaConsumer:
        """The Kafka client; it exists once the consumer has started."""
        assert self._client is not None
        return self._client

    # -- life

    async def on_start(self) -> None:
        """Connect to the broker. The consumer joins the group when it subscribes."""
        conf = self.app.conf
        config = self.app.engine_config
        self._client = AIOKafkaConsumer(
            bootstrap_servers=config.bootstrap,
            client_id=f"{config.application_id}-{config.instance}",
            group_id=conf.id,
            # A stable name: a worker that restarts within its session gets the same partitions back at once.
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
        if self._client is not None:
            await self._client.stop()

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Join the group as a reader of these topics."""
        self.client.subscribe(topics=sorted(set(topics)), listener=GroupListener(self))

    async def on_group_assignment(self, assigned: set[TP]) -> None:
        """Begin a new assignment: stop fetching, drop waiting batches, and let Faust assign and recover.

        The flow stops and the generation changes before the first `await`. Otherwise the recovery of an earlier
        assignment could resume the flow just now, and fetches would begin before this assignment's seek.
        """
        self.epoch += 1
        generation = self.client._coordinator.generation  # noqa: SLF001 - the client has no public way
        self.app.consumer_generation_id = generation
        self.stop_flow()
        await self._cancel_fetch()
        self._waiting.clear()
        self._paused.clear()
        self.client.pause(*(TopicPartition(*tp) for tp in assigned))
        await self.on_partitions_assigned(assigned, generation)

    def close(self) -> None:
        """Do nothing: `on_stop` closes the client."""

    # -- fetching

    async def _drain_messages(self, fetcher: Any) -> None:
        """Fetch until the consumer stops. Faust's fetcher runs this."""
        while not (self.should_stop or fetcher.should_stop):
            if not self.flow_active:
                await self.wait_first(self.can_resume_flow, fetcher._stopped)  # noqa: SLF001 - Faust's own way
                continue
            epoch = self.epoch
            self._resume_paused()
            positions = {tp: self._position(tp) for tp in self.seek_offsets}
            if positions != self._known_positions and not await self._account_for(positions, epoch):
                continue
            timeout_ms = FETCH_TIMEOUT_PAUSED_MS if self._paused else FETCH_TIMEOUT_MS
            fetching = self._fetching = asyncio.create_task(
                self.client.getmany(timeout_ms=timeout_ms, max_records=FETCH_RECORDS_MAX)
            )
            await asyncio.wait({fetching})
            if fetching.cancelled():
                continue
            fetched = fetching.result()
            if epoch != self.epoch or not self.flow_active:
                continue  # an assignment has begun, which seeks: what was fetched is void
            for partition, records in fetched.items():
                if epoch != self.epoch:
                    break  # an assignment has begun while a batch was handed over
                await self._hand_over(TP(partition.topic, partition.partition), records)
            await asyncio.sleep(0)

    async def _account_for(self, positions: Mapping[TP, int | None], epoch: int) -> bool:
        """Decide what it means that positions have moved although the fetch has returned no record of these inputs.

        Mostly the fetch stepped over markers and aborted transactions: no record is missing, and the next batch still
        begins where the last one ended. But if retention has deleted records, or if a log has lost its end and is
        read from its beginning again, the next batch begins at the new position, and its partition sees the gap.

        Returns:
            False if an assignment has begun meanwhile, so that all positions are void.
        """
        known = self._known_positions
        moved = {tp: now for tp, now in positions.items() if now is not None and now != known[tp]}
        firsts = await self.client.beginning_offsets([TopicPartition(*tp) for tp in moved]) if moved else {}
        if epoch != self.epoch or not self.flow_active:
            return False
        known |= moved
        begins = self._next_begins
        begins |= {tp: now for tp, now in moved.items() if firsts[TopicPartition(*tp)] > begins[tp] or now < begins[tp]}
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
        # Records that are read a second time make a batch that begins before the last one ended.
        begin, end = min(self._next_begins[tp], records[0].offset), self._position(tp)
        assert end is not None
        assert end > records[-1].offset, f"{tp} is at {end} after offset {records[-1].offset}"
        self._next_begins[tp] = self._known_positions[tp] = end
        waiting = self._waiting.get(tp)
        if waiting is not None and waiting.join(begin, end, records):
            batch = waiting
        else:
            batch = self._waiting[tp] = Batch(tp.topic, tp.partition, self.epoch, begin, end, records)
            await self.callback(self._to_message(tp, batch))
        config = self.app.engine_config
        is_full = len(batch.records) >= config.backlog_max(tp.topic) or batch.size >= config.backlog_bytes_max
        if is_full and tp not in self._paused:
            self._paused.add(tp)
            self.client.pause(TopicPartition(*tp))

    def _resume_paused(self) -> None:
        config = self.app.engine_config
        for tp, waiting in [(tp, self._waiting[tp]) for tp in self._paused]:
            is_half_empty = (
                len(waiting.records) < config.backlog_max(tp.topic) // 2
                and waiting.size < config.backlog_bytes_max // 2
            )
            if waiting.is_closed or is_half_empty:
                self._paused.discard(tp)
                self.client.resume(TopicPartition(*tp))

    def is_read(self, tp: TP, decided: int, offset: int) -> bool:
        """Return whether the fetch has passed `offset` and found no record from `decided` on."""
        last = self._waiting.get(tp)
        handed_over = self.seek_offsets.get(tp) if last is None else last.end
        return decided == handed_over and self._known_positions.get(tp, -1) >= offset

    def backlog(self) -> dict[TP, int]:
        """Return, by input partition, how many fetched records wait for a round."""
        return {tp: len(batch.records) for tp, batch in self._waiting.items() if not batch.is_closed}

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
        """Seek each input to its decided offset, or to its beginning if it has none; then resume it.

        `decided` comes from the tables (ADR 7). It is None for an app without tables: the group's committed offsets
        count there.
        """
        inputs = [TopicPartition(*tp) for tp in sorted(self.assignment()) if not self._is_changelog_tp(tp)]
        self.seek_offsets, self._next_begins, self._known_positions = {}, {}, {}
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
        self._next_begins, self._known_positions = dict(self.seek_offsets), dict(self.seek_offsets)
        self.client.resume(*inputs)

    async def commit_offsets(self, offsets: Mapping[TP, int]) -> bool:
        """Commit offsets to the group, for an app without tables. Return False if a rebalance has overtaken it."""
        mine = self.assignment()
        try:
            await self.client.commit({TopicPartition(*tp): offset for tp, offset in offsets.items() if tp in mine})
        except (CommitFailedError, IllegalStateError) as error:
            log.warning("commit-refused", error=repr(error))
            return False
        return True

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: FBT001, FBT002 - Faust's signature
        """Return False: Faust's periodic commit finds no acknowledged messages."""
        del topics, start_new_transaction
        return False

    async def verify_all_partitions_active(self) -> None:
        """Do nothing: Faust's check looks at acknowledgements, which our streams do not send."""

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        return await self.commit_offsets(offsets)

    async def perform_seek(self) -> None:
        """Do nothing where Faust would seek: recovery calls `seek_inputs`."""

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Do nothing where Faust would seek: recovery calls `seek_inputs`."""
        return {}

    async def _seek(self, partition: TP, offset: int) -> None:
        self.client.seek(TopicPartition(*partition), offset)

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Seek each partition to its offset."""
        for tp, offset in partitions.items():
            await self._seek(tp, offset)

    async def position(self, tp: TP) -> int | None:
        """Return the offset of the next record of a partition; None if the partition is not assigned."""
        return self._position(tp)

    def assignment(self) -> set[TP]:
        """Return the partitions assigned to this worker, changelogs included."""
        return set() if self._client is None else cast("set[TP]", ensure_TPset(self._client.assignment()))

    def highwater(self, tp: TP) -> int:
        """Return the last stable offset known from the last fetch."""
        return cast("int", self.client.last_stable_offset(TopicPartition(*tp)))

    def topic_partitions(self, topic: str) -> int | None:
        """Return the number of a topic's partitions; None if there is no such topic."""
        partitions = self.client.partitions_for_topic(topic)
        return None if partitions is None else len(partitions)

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        """Return the first offsets that retention has kept."""
        return cast("Mapping[TP, int]", await self.client.beginning_offsets([TopicPartition(*tp) for tp in partitions]))

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """Return the last stable offsets."""
        return cast("Mapping[TP, int]", await self.client.end_offsets([TopicPartition(*tp) for tp in partitions]))

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:
        """Refuse: outputs go through the partitions' own producers."""
        raise NotImplementedError

    async def create_topic(self, *_args: Any, **_kwargs: Any) -> None:
        """Do nothing: topics are created from topics.yaml before a role starts."""

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's signature
        raise NotImplementedError  # `_drain_messages` fetches


class GroupListener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Passes the group's decisions on to Faust."""

    def __init__(self, consumer: BatchConsumer) -> None:
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """Close all partitions of this worker: a rebalance has begun, and the group has not decided yet."""
        self._consumer.app.on_rebalance_start()
        await self._consumer.on_partitions_revoked(ensure_TPset(revoked))
        # Faust does so only for an app with transactions; other apps must not commit offsets of partitions lost.
        await self._consumer.app.close_partitions()

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Begin to work on the partitions that the group has given to this worker."""
        await self._consumer.on_group_assignment(ensure_TPset(assigned))
