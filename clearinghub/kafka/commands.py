"""Commands to the ledger on topic `command`, and their replies on topic `reply` (design 8)."""

from __future__ import annotations

import asyncio
import uuid
from itertools import chain
from typing import Any, Final

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from clearinghub.config import Settings
from clearinghub.kafka.access import kafka_access
from clearinghub.messages import MalformedMessageError, decode, encode
from clearinghub.messages.commands import Command, CommandMessage, ReplyMessage, Result, encode_command, read_result
from clearinghub.messages.parties import PartyImportMessage
from clearinghub.ports import (
    ApprovalNeededError,
    CommandRejectedError,
    CommandTimeoutError,
    Recorder,
    RecorderBusyError,
)

log = structlog.get_logger(__name__)

COMMANDS_WAITING_MAX: Final = 1_000
READ_AGAIN_S: Final = 1.0


class KafkaCommandClient:
    """Sends commands under a name that no other process has, and reads the replies to that name."""

    def __init__(self, settings: Settings, recorder: Recorder) -> None:
        self._settings = settings
        self._recorder = recorder
        self._name = f"commands-{uuid.uuid4()}"
        self._places = [TopicPartition(settings.topic("reply"), number) for number in range(settings.partitions)]
        self._waiting: dict[str, asyncio.Future[ReplyMessage]] = {}
        self._consumer: AIOKafkaConsumer | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        consumer = self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="latest",
            **kafka_access(self._settings),
        )
        await consumer.start()
        consumer.assign(self._places)
        await consumer.seek_to_end(*self._places)
        for place in self._places:
            await consumer.position(place)
        self._task = asyncio.create_task(self._listen(consumer), name="replies")

    async def stop(self) -> None:
        """Stop reading replies; requests that still wait raise CommandTimeoutError."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._consumer is not None:
            await self._consumer.stop()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(CommandTimeoutError())

    async def execute(self, participant: str, command: Command, result_type: type[Result], by: str = "") -> Result:
        """Run a command; see `clearinghub.ports.CommandClient`."""
        correlation_id = str(uuid.uuid4())
        message = CommandMessage(
            participant=participant,
            correlation_id=correlation_id,
            reply_to=self._name,
            command=encode_command(command),
            by=by,
        )
        reply = await self._ask("command", participant, correlation_id, encode(message))
        return read_result(reply, result_type)

    async def ask(self, topic: str, key: str, message: PartyImportMessage) -> Any:
        """Write a message whose answer comes on topic `reply`, and return its result; it raises what `execute` does."""
        correlation_id = str(uuid.uuid4())
        addressed = msgspec.structs.replace(message, correlation_id=correlation_id, reply_to=self._name)
        reply = await self._ask(topic, key, correlation_id, encode(addressed))
        return msgspec.json.decode(reply.result)

    async def _ask(self, topic: str, key: str, correlation_id: str, value: bytes) -> ReplyMessage:
        if len(self._waiting) >= COMMANDS_WAITING_MAX:
            raise RecorderBusyError
        future = self._waiting[correlation_id] = asyncio.get_running_loop().create_future()
        try:
            await self._recorder.record(topic, key, value)
            async with asyncio.timeout(self._settings.command_timeout_ms / 1000):
                reply: ReplyMessage = await future
        except TimeoutError as error:
            log.warning("command-unanswered", topic=topic, key=key, correlation_id=correlation_id)
            raise CommandTimeoutError from error
        finally:
            del self._waiting[correlation_id]
        if reply.error is not None:
            raise CommandRejectedError(reply.error.code, reply.error.description, reply.error.status)
        if reply.approval is not None:
            raise ApprovalNeededError(reply.approval)
        return reply

    async def _listen(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            try:
                fetched = await consumer.getmany(timeout_ms=1_000)
            except Exception:  # whatever it is: without a listener every command would time out from now on
                log.exception("replies-read-failed")
                await asyncio.sleep(READ_AGAIN_S)
                continue
            for record in chain.from_iterable(fetched.values()):
                if record.key == self._name.encode():
                    self._answer(record.value)

    def _answer(self, value: bytes | None) -> None:
        try:
            reply, _body = decode(value or b"")
        except MalformedMessageError:
            log.exception("reply-unreadable")
            return
        if not isinstance(reply, ReplyMessage):
            log.error("reply-unreadable", kind=type(reply).__name__)
            return
        future = self._waiting.get(reply.correlation_id)
        if future is not None and not future.done():
            future.set_result(reply)
