"""Faust's consumer, with batches: one message for all records that a fetch returns of a partition.

What it does differently from Faust's own consumer, and why (design 5):

- A batch says where it begins and ends, so that its partition can check that no record is missing before it.
- Nothing is fetched of a partition before the seek to its decided offsets: its inputs are paused until `resume_at` has
  sought them, and a fetch begun before is cancelled. A fetch that spans the seek would take records at the new
  positions, and would be thrown away together with records at the old ones.
- A position that the broker does not have is an error of that partition. The client's own way, a jump to the log's
  beginning inside the fetch, would step over lost records (ADR 28).
- The changelogs stay paused: recovery reads them with a consumer of its own, and records that are fetched but never
  consumed would hold up the others.
- Faust's tracking of gaps is bypassed: our streams do not acknowledge messages, so its interval tree would only grow.
- It runs on the event loop; Faust's own runs in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final, cast

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError, OffsetOutOfRangeError
from faust.transport.consumer import Consumer, ensure_TP, ensure_TPset
from faust.types import TP, ConsumerMessage

from clearinghub.engine.batch import Batch, runs_of
from clearinghub.engine.errors import FAUST_LOGGER
from clearinghub.engine.group import GroupListener, note_heartbeats

log = structlog.get_logger(__name__)

FETCH_TIMEOUT_MS: Final = 1_000
FETCH_TIMEOUT_PAUSED_MS: Final = 50  # while an input is paused; how often to look whether it may resume
FETCH_RECORDS_MAX: Final = 4_000
FETCH_PARTITION_BYTES_MAX: Final = 2 * 1024 * 1024
CREATE_TIME: Final = 0


class BatchConsumer(Consumer):  # type: ignore[misc]
    """The consumer of an engine's app.

    `epoch` numbers assignments. A partition that is opened has an epoch of its own; batches of an earlier one are void.
    """

    logger = FAUST_LOGGER
    consumer_stopped_errors = (KafkaError,)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.epoch = 0
        self.heard_s = 0.0  # when the coordinator last confirmed this worker's membership, on the steady clock
        self._epochs: dict[int, int] = {}  # of partitions opened since the assignment
        self._last_epoch = 0
        self._client: AIOKafkaConsumer | None = None
        self._waiting: dict[TP, Batch] = {}  # the last batch of each input, closed or not
        self._paused: set[TP] = set()  # inputs whose waiting batch is full
        self._fetching: asyncio.Task[Any] | None = None
        self.seek_offsets: dict[TP, int] = {}  # where each input was when the assignment began
        self._next_begins: dict[TP, int] = {}  # where each input's next batch begins
        self._known_positions: dict[TP, int] = {}  # up to where there is no record after `_next_begins`
        self._without_holes: frozenset[str] = frozenset()

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
        self._without_holes = frozenset(config.topic_prefix + one.topic for one in config.inputs if one.has_no_holes)
        self._client = AIOKafkaConsumer(
            bootstrap_servers=config.bootstrap,
            client_id=f"{config.application_id}-{config.instance}",
            group_id=conf.id,
            # A stable name: a worker that restarts within its session gets the same partitions back at once.
            group_instance_id=f"{config.application_id}-{config.instance}",
            partition_assignment_strategy=[self.app.assignor],
            enable_auto_commit=False,
            auto_offset_reset="none" if self.app.has_tables else "earliest",
            isolation_level="read_committed",
            session_timeout_ms=config.session_timeout_ms,
            heartbeat_interval_ms=max(200, config.session_timeout_ms // 5),
            rebalance_timeout_ms=max(60_000, config.session_timeout_ms),
            max_poll_interval_ms=24 * 3_600_000,
            max_partition_fetch_bytes=FETCH_PARTITION_BYTES_MAX,
            fetch_max_wait_ms=500,
            retry_backoff_ms=50,
            check_crcs=True,
            **config.access,
        )
        await self._client.start()
        note_heartbeats(self._client, self._steady_s, partial(setattr, self, "heard_s"))

    def _steady_s(self) -> float:
        return cast("float", self.app.engine_config.environment.steady_s())

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
        self.epoch = self._last_epoch = self._last_epoch + 1
        self._epochs.clear()
        self.heard_s = self._steady_s()
        generation = self.client._coordinator.generation  # noqa: SLF001 - the client has no public way
        self.app.consumer_generation_id = generation
        self.stop_flow()
        await self._cancel_fetch()
        self._waiting.clear()
        self._paused.clear()
        self.seek_offsets, self._next_begins, self._known_positions = {}, {}, {}
        self.client.pause(*(TopicPartition(*tp) for tp in assigned))
        if self.app.has_tables:
            for tp in assigned:  # until a partition seeks; without a position the client would look for one, and fail
                self.client.seek(TopicPartition(*tp), 0)
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
            # Where a position has moved and no record came, there are only markers and aborted transactions.
            self._known_positions |= {tp: now for tp in self.seek_offsets if (now := self._position(tp)) is not None}
            timeout_ms = FETCH_TIMEOUT_PAUSED_MS if self._paused else FETCH_TIMEOUT_MS
            fetching = self._fetching = asyncio.create_task(
                self.client.getmany(timeout_ms=timeout_ms, max_records=FETCH_RECORDS_MAX)
            )
            await asyncio.wait({fetching})
            if fetching.cancelled():
                continue
            if (error := fetching.exception()) is not None:
                self._on_fetch_error(error)
                continue
            fetched = fetching.result()
            if epoch != self.epoch or not self.flow_active:
                continue  # an assignment has begun, which seeks: what was fetched is void
            for partition, records in fetched.items():
                if epoch != self.epoch:
                    break  # an assignment has begun while a batch was handed over
                tp = TP(partition.topic, partition.partition)
                if tp in self.seek_offsets:  # else its partition has failed since, and seeks before it goes on
                    await self._hand_over(tp, records)
            await asyncio.sleep(0)

    def _on_fetch_error(self, error: BaseException) -> None:
        """Let the partitions that an error concerns open again.

        A position out of range concerns its own partition. After any other error the client
        may have removed records of all from its buffers, and thrown them away.

        Raises:
            BaseException: the error itself, for an app without tables.
        """
        if not self.app.has_tables or not isinstance(error, KafkaError):
            raise error
        log.warning("fetch-failed", error=repr(error))
        is_place = isinstance(error, OffsetOutOfRangeError)
        places = error.args[0] if is_place else self.seek_offsets
        for number in sorted({tp.partition for tp in places}):
            self.void(number)
            self.app.fail_partition(number, error)

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
        end = self._position(tp)
        assert end is not None
        assert end > records[-1].offset, f"{tp} is at {end} after offset {records[-1].offset}"
        if tp.topic not in self._without_holes:
            # Records that are read a second time make a batch that begins before the last one ended.
            await self._hand_over_run(tp, min(self._next_begins[tp], records[0].offset), end, records)
            return
        for run in runs_of(records):
            await self._hand_over_run(tp, run[0].offset, run[-1].offset + 1, run)

    async def _hand_over_run(self, tp: TP, begin: int, end: int, records: list[Any]) -> None:
        self._next_begins[tp] = self._known_positions[tp] = end
        epoch = self._epochs.get(tp.partition, self.epoch)
        waiting = self._waiting.get(tp)
        if waiting is not None and waiting.join(begin, end, records):
            batch = waiting
        else:
            batch = self._waiting[tp] = Batch(tp.topic, tp.partition, epoch, begin, end, records)
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

    async def seek_committed(self) -> None:
        """Seek all inputs to the group's committed offsets, or to their beginnings, for an app without tables."""
        inputs = [TopicPartition(*tp) for tp in sorted(self.assignment()) if not self._is_changelog_tp(tp)]
        if not inputs:
            return
        await self._cancel_fetch()
        committed = await asyncio.gather(*(self.client.committed(tp) for tp in inputs))
        unknown = [tp for tp, offset in zip(inputs, committed, strict=True) if offset is None]
        beginnings = await self.client.beginning_offsets(unknown) if unknown else {}
        for tp, offset in zip(inputs, committed, strict=True):
            self._seek_input(tp, beginnings[tp] if offset is None else offset)
        self.client.resume(*inputs)

    def _seek_input(self, tp: TopicPartition, offset: int) -> None:
        place = ensure_TP(tp)
        self.seek_offsets[place] = self._next_begins[place] = self._known_positions[place] = offset
        self.client.seek(tp, offset)

    def _inputs_of(self, number: int) -> list[TopicPartition]:
        return [
            TopicPartition(*tp)
            for tp in sorted(self.assignment())
            if tp.partition == number and not self._is_changelog_tp(tp)
        ]

    def void(self, number: int) -> None:
        """Stop the inputs of a partition: nothing that was fetched of them, or is on its way, counts any more."""
        self._epochs[number] = self._last_epoch = self._last_epoch + 1
        inputs = self._inputs_of(number)
        self.client.pause(*inputs)
        for tp in map(ensure_TP, inputs):
            self._waiting.pop(tp, None)
            self._paused.discard(tp)
            for places in (self.seek_offsets, self._next_begins, self._known_positions):
                places.pop(tp, None)

    async def suspend(self, number: int) -> None:
        """Stop the inputs of a partition, and return when no fetch of them is under way."""
        self.void(number)
        await self._cancel_fetch()

    def resume_at(self, number: int, next_offsets: Mapping[str, int]) -> int:
        """Let a partition's inputs go on at these offsets, by topic; return the epoch that their batches have."""
        inputs = self._inputs_of(number)
        prefix = self.app.engine_config.topic_prefix
        for tp in inputs:
            self._seek_input(tp, next_offsets[tp.topic.removeprefix(prefix)])
        self.client.resume(*inputs)
        return self._epochs.get(number, self.epoch)

    def step_over_markers(self, topic: str, number: int, offset: int) -> int:
        """Return up to where there are only markers of transactions after an offset, if all before it is handed over.

        The next batch begins there.
        """
        tp = TP(self.app.engine_config.topic_prefix + topic, number)
        if self._next_begins.get(tp) != offset or tp.topic in self._without_holes:
            return offset
        self._next_begins[tp] = self._known_positions[tp]
        return self._known_positions[tp]

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
        """Do nothing where Faust would seek: partitions seek when they are opened."""

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Do nothing where Faust would seek: partitions seek when they are opened."""
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
