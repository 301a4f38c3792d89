"""`python -m clearinghub replay`: send callbacks that were given up once more.

Reads the dead letters as they stand, counts those that are callbacks by receiver and reason, and writes them to topic
`notification` again, from where they are delivered as any other. Callbacks are idempotent, so a second replay does no
harm. `--dry-run` only counts.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import UNSET
from rich.console import Console
from rich.table import Table

from clearinghub.config import Settings
from clearinghub.kafka.access import kafka_access
from clearinghub.kafka.broker import find_running_broker
from clearinghub.kafka.recorder import KafkaRecorder
from clearinghub.messages import DeadLetterMessage, MalformedMessageError, NotificationMessage, decode_as

FETCH_TIMEOUT_MS: Final = 2_000
EXIT_OK: Final = 0
EXIT_NO_BROKER: Final = 3


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m clearinghub replay", description="Send given-up callbacks again.")
    parser.add_argument("--receiver", help="only those to this DFSP")
    parser.add_argument("--hours", type=int, default=24, help="only those given up in the last hours (default 24)")
    parser.add_argument("--dry-run", action="store_true", help="count, send nothing")
    return parser


async def run(settings: Settings, arguments: Sequence[str]) -> int:
    """Replay; gives the exit code."""
    chosen = options().parse_args(arguments)
    bootstrap = find_running_broker(settings)
    if bootstrap is None:
        Console(stderr=True).print("no broker runs: set KAFKA_BOOTSTRAP=host:port")
        return EXIT_NO_BROKER
    settings = settings.model_copy(update={"kafka_bootstrap": bootstrap})
    since_ms = int(time.time() * 1000) - chosen.hours * 3_600_000
    counted: Counter[tuple[str, str]] = Counter()
    recorder = KafkaRecorder(settings)
    await recorder.start()
    try:
        async for letter, value in given_up(settings):
            receiver = str(letter.receiver)
            if letter.timestamp_ms < since_ms or (chosen.receiver and receiver != chosen.receiver):
                continue
            counted[receiver, letter.error] += 1
            if not chosen.dry_run:
                await recorder.record("notification", receiver, value)
    finally:
        await recorder.stop()
    _show(counted, dry_run=chosen.dry_run)
    return EXIT_OK


async def given_up(settings: Settings) -> AsyncIterator[tuple[DeadLetterMessage, bytes]]:
    """Every dead letter that is a callback, with what is known of it, up to the topic's present end."""
    place = TopicPartition(settings.topic("dead-letter"), 0)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap,
        isolation_level="read_committed",
        enable_auto_commit=False,
        **kafka_access(settings),
    )
    await consumer.start()
    try:
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        consumer.seek(place, (await consumer.beginning_offsets([place]))[place])
        while await consumer.position(place) < end:
            for record in (await consumer.getmany(timeout_ms=FETCH_TIMEOUT_MS)).get(place, ()):
                letter = _callback(record.value)
                if letter is not None and record.offset < end:
                    yield letter
    finally:
        await consumer.stop()


def _callback(value: bytes) -> tuple[DeadLetterMessage, bytes] | None:
    """Return a dead letter and the callback in it, or None if it holds no callback that was given up."""
    try:
        letter, record = decode_as(DeadLetterMessage, value)
        if letter.topic != "notification" or letter.receiver is UNSET:
            return None
        decode_as(NotificationMessage, record)
    except MalformedMessageError:
        return None
    return letter, record


def _show(counted: Counter[tuple[str, str]], *, dry_run: bool) -> None:
    table = Table("receiver", "given up for", "callbacks")
    for (receiver, reason), count in sorted(counted.items()):
        table.add_row(receiver, reason, f"{count:,}")
    console = Console()
    if counted:
        console.print(table)
    verb = "would be sent" if dry_run else "sent"
    console.print(f"{sum(counted.values()):,} callbacks {verb} again")
