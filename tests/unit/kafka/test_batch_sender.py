"""What a sender says of a batch is true, whatever the brokers do; and no partition pays for another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, Final

import pytest
from aiokafka.errors import KafkaConnectionError, NodeNotReadyError
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.record.default_records import DefaultRecordBatch

from clearinghub.kafka.batch_sender import BatchSender, Place
from clearinghub.ports import RecorderUnavailableError, RecordOutcomeUnknownError

TOPIC: Final = "prepare"
TIMEOUT_S: Final = 0.4
NOT_LEADER, TIMED_OUT, NOT_ENOUGH_AFTER_APPEND, OUT_OF_ORDER, DUPLICATE = 6, 7, 20, 45, 46

WRITTEN_AND_REPLACED: Final = (NOT_LEADER, 7)  # with the offset that the batch got
OFFSET, NO_OFFSET = 7, -1

Reply = int | tuple[int, int] | Exception | Callable[[], Awaitable[int]]


class Broker:
    """Answers a client's requests; each partition by its script, and with success when the script is over."""

    def __init__(self) -> None:
        self.leaders: dict[int, int] = {}
        self.script: dict[int, list[Reply]] = {}
        self.batches: list[tuple[int, int, int, list[bytes]]] = []  # partition, producer id, sequence, values
        self.requests: list[int] = []  # how many batches each had
        self.producer_ids = 0
        self.looked_up = 0
        self.cluster = SimpleNamespace(leader_for_partition=lambda at: self.leaders.get(at.partition, 1))

    def get_random_node(self) -> int:
        return 1

    async def add_topic(self, _topic: str) -> bool:
        return True

    async def force_metadata_update(self) -> bool:
        self.looked_up += 1
        return True

    async def bootstrap(self) -> None:
        raise AssertionError("a node answers")

    async def send(self, _node: int, request: Any) -> Any:
        if isinstance(request, InitProducerIdRequest):
            self.producer_ids += 1
            return SimpleNamespace(error_code=0, producer_id=self.producer_ids, producer_epoch=0)
        await asyncio.sleep(0)
        answers = []
        ((topic, places),) = request._topics
        self.requests.append(len(places))
        for partition, data in places:
            batch = DefaultRecordBatch(data)
            values = [record.value for record in batch]
            self.batches.append((partition, batch.producer_id, batch.base_sequence, values))
            reply = self.script[partition].pop(0) if self.script.get(partition) else 0
            if isinstance(reply, Exception):
                raise reply
            if isinstance(reply, tuple):
                answers.append((partition, *reply))
                continue
            code = reply if isinstance(reply, int) else await reply()
            answers.append((partition, code, NO_OFFSET if code else OFFSET))
        return SimpleNamespace(topics=[(topic, answers)])


async def hang() -> int:
    await asyncio.sleep(3_600)
    return 0


@pytest.fixture
def broker() -> Broker:
    return Broker()


@asynccontextmanager
async def started(broker: Broker) -> AsyncIterator[BatchSender]:
    sender = BatchSender(broker, 1_000)
    await sender.start()
    try:
        yield sender
    finally:
        await sender.stop()


async def send(sender: BatchSender, place: Place, *values: bytes, timeout_s: float = TIMEOUT_S) -> None:
    await sender.send(place, [(b"key", value) for value in values], 1, timeout_s)


async def test_batches_of_a_partition_are_numbered(broker: Broker) -> None:
    place = Place(TOPIC, 3)
    async with started(broker) as sender:
        await send(sender, place, b"a", b"b")
        await send(sender, place, b"c")

    assert [(3, 1, 0, [b"a", b"b"]), (3, 1, 2, [b"c"])] == broker.batches


async def test_batches_for_one_node_go_in_one_request(broker: Broker) -> None:
    async with started(broker) as sender:
        await asyncio.gather(*(send(sender, Place(TOPIC, number), b"a") for number in range(5)))

    assert [5] == broker.requests


@pytest.mark.parametrize("reply", [NOT_LEADER, TIMED_OUT, NodeNotReadyError(), KafkaConnectionError("closed")])
async def test_a_batch_is_tried_again_under_its_number(broker: Broker, reply: Reply) -> None:
    broker.script = {0: [reply, reply]}
    async with started(broker) as sender:
        await send(sender, place := Place(TOPIC, 0), b"a")
        await send(sender, place, b"b")

    assert [(0, 1, 0, [b"a"])] * 3 + [(0, 1, 1, [b"b"])] == broker.batches
    assert broker.looked_up >= 2


async def test_an_earlier_attempt_that_arrived_is_a_success(broker: Broker) -> None:
    broker.script = {0: [KafkaConnectionError("closed"), DUPLICATE]}
    async with started(broker) as sender:
        await send(sender, Place(TOPIC, 0), b"a")


@pytest.mark.parametrize("reply", [NOT_LEADER, NodeNotReadyError()])
async def test_what_no_log_can_have_is_refused_and_never_sent_again(broker: Broker, reply: Reply) -> None:
    broker.script = {0: [reply] * 100}
    place = Place(TOPIC, 0)
    async with started(broker) as sender:
        with pytest.raises(RecorderUnavailableError):
            await send(sender, place, b"a")
        broker.script, attempts = {}, len(broker.batches)
        await asyncio.sleep(0.3)
        assert attempts == len(broker.batches), "it was given up, and sent again"
        await send(sender, place, b"b")

    assert (0, 2, 0, [b"b"]) == broker.batches[-1], "under the old id it could be mistaken for the lost one"


@pytest.mark.parametrize(
    "replies",
    [
        [KafkaConnectionError("closed")] + [NodeNotReadyError()] * 100,
        [NOT_ENOUGH_AFTER_APPEND] + [NOT_LEADER] * 100,
        [TIMED_OUT] * 100,
        [WRITTEN_AND_REPLACED] + [NOT_LEADER] * 100,
        [-1] * 100,
        [hang],
    ],
)
async def test_what_a_log_may_have_is_unknown_and_the_partition_continues_as_another_producer(
    broker: Broker, replies: list[Reply]
) -> None:
    broker.script = {0: list(replies)}
    place = Place(TOPIC, 0)
    async with started(broker) as sender:
        with pytest.raises(RecordOutcomeUnknownError):
            await send(sender, place, b"a")
        broker.script = {}
        broker.leaders[0] = 2  # the node that hangs is replaced
        await send(sender, place, b"b")

    assert (0, 2, 0, [b"b"]) == broker.batches[-1]


async def test_a_refused_producer_gets_another_id(broker: Broker) -> None:
    broker.script = {0: [OUT_OF_ORDER]}
    place = Place(TOPIC, 0)
    async with started(broker) as sender:
        with pytest.raises(RecorderUnavailableError):
            await send(sender, place, b"a")
        await send(sender, place, b"b")

    assert (0, 2, 0, [b"b"]) == broker.batches[-1]


async def test_a_partition_without_a_leader_costs_the_others_nothing(broker: Broker) -> None:
    broker.leaders = {0: -1}
    place = Place(TOPIC, 1)
    async with started(broker) as sender:
        stuck = asyncio.create_task(send(sender, Place(TOPIC, 0), b"a"))
        for _ in range(20):
            await send(sender, place, b"b", timeout_s=0.1)
        with pytest.raises(RecorderUnavailableError):
            await stuck
        await send(sender, place, b"c", timeout_s=0.1)

    assert {1} == {producer_id for _, producer_id, _, _ in broker.batches}


async def test_what_waits_for_a_node_that_hangs_goes_to_its_successor(broker: Broker) -> None:
    broker.script = {0: [hang]}
    async with started(broker) as sender:
        hanging = asyncio.create_task(send(sender, Place(TOPIC, 0), b"a", timeout_s=2))
        await asyncio.sleep(0.01)
        waiting = asyncio.create_task(send(sender, Place(TOPIC, 1), b"b", timeout_s=2))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        broker.leaders[1] = 2
        await waiting
        with pytest.raises(RecordOutcomeUnknownError):
            await hanging


async def test_what_comes_too_late_is_not_sent(broker: Broker) -> None:
    async with started(broker) as sender:
        with pytest.raises(RecorderUnavailableError):
            await send(sender, Place(TOPIC, 0), b"a", timeout_s=0)

    assert [] == broker.batches
