"""Commands to the ledger and their answers: topic `command` there, topic `reply` back (design 8)."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any, Final

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from clearinghub.config import Settings
from clearinghub.kafka.access import kafka_access
from clearinghub.messages import VERSION, CommandMessage, MalformedMessageError, decode_fields, encode
from clearinghub.messages.parties import PartyImportMessage
from clearinghub.ports import CommandRejectedError, CommandTimeoutError, Recorder, RecorderBusyError

log = structlog.get_logger(__name__)

COMMANDS_WAITING_MAX: Final = 1_000
READ_AGAIN_S: Final = 1.0


class KafkaCommandClient:
    """Sends commands under this process's own name and reads the answers to it."""

    def __init__(self, settings: Settings, recorder: Recorder) -> None:
        self._settings = settings
        self._recorder = recorder
        self._name = f"ingress-{uuid.uuid4()}"
        self._place = TopicPartition(settings.topic("reply"), 0)
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._consumer: AIOKafkaConsumer | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen for answers from now on."""
        consumer = self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="latest",
            **kafka_access(self._settings),
        )
        await consumer.start()
        consumer.assign([self._place])
        await consumer.seek_to_end(self._place)
        await consumer.position(self._place)
        self._task = asyncio.create_task(self._listen(consumer), name="replies")

    async def stop(self) -> None:
        """Stop listening; who still waits is told that nobody answered."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._consumer is not None:
            await self._consumer.stop()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(CommandTimeoutError())

    async def execute(self, name: str, participant: str, args: dict[str, Any]) -> Any:
        """Run a command; see `clearinghub.ports.CommandClient`."""
        command: CommandMessage = {
            "v": VERSION,
            "kind": "command",
            "name": name,
            "participant": participant,
            "correlation_id": "",
            "reply_to": "",
            "args": args,
            "trace": None,
        }
        return await self.ask("command", participant, command)

    async def ask(self, topic: str, key: str, message: CommandMessage | PartyImportMessage) -> Any:
        """Write a message whose answer comes on topic `reply`, and give its result; see `execute` for the errors."""
        if len(self._waiting) >= COMMANDS_WAITING_MAX:
            raise RecorderBusyError
        correlation_id = str(uuid.uuid4())
        addressed: CommandMessage | PartyImportMessage
        if isinstance(message, PartyImportMessage):
            addressed = msgspec.structs.replace(message, correlation_id=correlation_id, reply_to=self._name)
        else:
            addressed = {**message, "correlation_id": correlation_id, "reply_to": self._name}
        future = self._waiting[correlation_id] = asyncio.get_running_loop().create_future()
        try:
            await self._recorder.record(topic, key, encode(addressed))
            async with asyncio.timeout(self._settings.command_timeout_ms / 1000):
                reply = await future
        except TimeoutError as error:
            log.warning("command-unanswered", topic=topic, key=key, correlation_id=correlation_id)
            raise CommandTimeoutError from error
        finally:
            del self._waiting[correlation_id]
        if reply["error"] is not None:
            error_line = reply["error"]
            raise CommandRejectedError(error_line["code"], error_line["description"], error_line["status"])
        return reply["result"]

    async def _listen(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            try:
                fetched = await consumer.getmany(timeout_ms=1_000)
            except Exception:  # whatever it is: without a listener every command would time out from now on
                log.exception("replies-read-failed")
                await asyncio.sleep(READ_AGAIN_S)
                continue
            for record in fetched.get(self._place, ()):
                if record.key == self._name.encode():
                    self._answer(record.value)

    def _answer(self, value: bytes | None) -> None:
        try:
            line, _body = decode_fields(value or b"")
            reply = {"result": line["result"], "error": line["error"]}
            future = self._waiting.get(line["correlation_id"])
        except (MalformedMessageError, KeyError, TypeError):
            log.exception("reply-unreadable")
            return
        if future is not None and not future.done():
            future.set_result(reply)
