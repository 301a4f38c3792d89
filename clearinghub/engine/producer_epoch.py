"""A transactional producer with an epoch of its own for every transaction (ADR 34).

Kafka ends a transaction with a marker in each partition, and a partition takes every marker whose epoch is not older
than its last record's. aiokafka keeps one epoch for all transactions of a producer: the marker of a transaction that a
coordinator sends late, or again, then ends the next transaction in the partitions that it reaches, and there alone.
So this producer asks the coordinator for the next epoch after each transaction, before it writes anything else. A
coordinator returns it only when all markers of the last transaction are written, so this takes the place of a wait that
was before the next transaction's first write. When the epochs of a producer id are exhausted the coordinator returns
another id.

aiokafka's producer has no public way to do this: its sender is replaced by one that knows one more request.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.errors import IncompatibleBrokerVersion, ProducerFenced
from aiokafka.producer.sender import InitPIDHandler, Sender
from aiokafka.producer.transaction_manager import PidAndEpoch
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactString, Int16, Int32, Int64, Schema, TaggedFields

INIT_PRODUCER_ID: Final = 22
# The first version that continues a known producer id with its next epoch, and says "fenced" when it is not the last.
VERSION: Final = 4
FENCED: Final = frozenset((47, 90))  # invalid producer epoch; producer fenced, which aiokafka does not know


class _InitProducerIdResponse(Response):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = INIT_PRODUCER_ID
    API_VERSION = VERSION
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("tags", TaggedFields),
    )


class _InitProducerIdStruct(RequestStruct):  # type: ignore[misc]  # aiokafka ships no types
    FLEXIBLE_VERSION = True
    API_KEY = INIT_PRODUCER_ID
    API_VERSION = VERSION
    RESPONSE_TYPE = _InitProducerIdResponse
    SCHEMA = Schema(
        ("transactional_id", CompactString("utf-8")),
        ("transaction_timeout_ms", Int32),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("tags", TaggedFields),
    )


class InitProducerId(Request[_InitProducerIdStruct]):  # type: ignore[misc]  # aiokafka ships no types
    """Asks for a producer id and epoch: the next owner's if those given are -1, else the next ones of this owner."""

    API_KEY = INIT_PRODUCER_ID

    def __init__(self, transactional_id: str, timeout_ms: int, producer_id: int, epoch: int) -> None:
        self._fields: tuple[Any, ...] = (transactional_id, timeout_ms, producer_id, epoch, {})

    def build(self, request_struct_class: type[_InitProducerIdStruct]) -> _InitProducerIdStruct:
        return request_struct_class(*self._fields)

    def prepare(self, versions: dict[int, tuple[int, int]]) -> _InitProducerIdStruct:
        """Return the request; refuse a broker that does not know it, before anything is written."""
        if versions.get(INIT_PRODUCER_ID, (0, 0))[1] < VERSION:
            raise IncompatibleBrokerVersion("transactions need a broker of Kafka 2.7 or newer: InitProducerId 4")
        return self.build(_InitProducerIdStruct)


class _NextEpoch(InitPIDHandler):  # type: ignore[misc]  # aiokafka ships no types
    """Takes over the transactional id, or continues with this owner's next epoch."""

    group = ConnectionGroup.COORDINATION

    def create_request(self) -> InitProducerId:
        manager = self._sender._txn_manager  # noqa: SLF001 - as aiokafka's handlers do
        return InitProducerId(
            manager.transactional_id, manager.transaction_timeout_ms, manager.producer_id, manager.producer_epoch
        )

    def handle_response(self, answer: Any) -> float | None:
        """Note the id and epoch, and return None; or return the pause in seconds before the next attempt."""
        manager = self._sender._txn_manager  # noqa: SLF001
        if answer.error_code == 0 and manager.has_pid():
            manager._pid_and_epoch = PidAndEpoch(answer.producer_id, answer.producer_epoch)  # noqa: SLF001
            manager._sequence_numbers.clear()  # noqa: SLF001 - they count from 0 in each epoch
            return None
        if answer.error_code in FENCED:
            raise ProducerFenced
        pause_s: float | None = super().handle_response(answer)
        return pause_s


class _EpochSender(Sender):  # type: ignore[misc]  # aiokafka ships no types
    """aiokafka's sender; between a transaction's end and the next one's first request it gets the next epoch."""

    _is_epoch_used = False

    async def _do_init_pid(self, node_id: int) -> bool:
        return await self._next_epoch(node_id)

    async def _do_txn_commit(self, commit_result: Any) -> None:
        await super()._do_txn_commit(commit_result)
        self._is_epoch_used = self._txn_manager.needs_transaction_commit() is None

    def _maybe_do_transactional_request(self) -> asyncio.Task[Any] | None:
        if self._is_epoch_used:
            return asyncio.get_running_loop().create_task(self._continue())
        task: asyncio.Task[Any] | None = super()._maybe_do_transactional_request()
        return task

    async def _continue(self) -> None:
        """Ask once for the next epoch. The sender's loop asks again, and sends nothing of a transaction before."""
        node_id = await self._find_coordinator(CoordinationType.TRANSACTION, self._txn_manager.transactional_id)
        self._is_epoch_used = not await self._next_epoch(node_id)

    async def _next_epoch(self, node_id: int) -> bool:
        is_given: bool = await _NextEpoch(self).do(node_id)
        return is_given


class EpochProducer(AIOKafkaProducer):  # type: ignore[misc]  # aiokafka ships no types
    """aiokafka's transactional producer, with another epoch for every transaction."""

    _sender: Any

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        plain = self._sender
        self._sender = _EpochSender(
            self.client,
            acks=plain._acks,  # noqa: SLF001
            txn_manager=self._txn_manager,
            retry_backoff_ms=settings["retry_backoff_ms"],
            message_accumulator=self._message_accumulator,
            request_timeout_ms=plain._request_timeout_ms,  # noqa: SLF001
        )
