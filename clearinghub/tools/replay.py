"""`clearinghub replay`: sends callbacks again that were given up, from the dead letters."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Annotated, Final

import typer
from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import UNSET
from rich.console import Console
from rich.table import Table

from clearinghub.config import Settings
from clearinghub.kafka.access import kafka_access
from clearinghub.kafka.broker import on_running_broker
from clearinghub.kafka.recorder import KafkaRecorder
from clearinghub.messages import DeadLetterMessage, MalformedMessageError, NotificationMessage, decode_as
from clearinghub.tools.command_line import EXIT_OK, App
from clearinghub.tools.options import whole

FETCH_TIMEOUT_MS: Final = 2_000
MS_PER_HOUR: Final = 3_600_000


app = App(exits="0 done, 2 wrong usage, 3 no broker")


@app.add(
    "replay",
    examples=["replay --dry-run", "replay --receiver alphabank --hours 2"],
)
async def replay(
    *,
    receiver: Annotated[str | None, typer.Option("--receiver", metavar="NAME", help="Only those to this DFSP.")] = None,
    hours: Annotated[
        int,
        typer.Option("--hours", metavar="HOURS", parser=whole(0), help="Only those given up in the last hours."),
    ] = 24,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count them, send nothing.")] = False,
) -> int:
    """Send callbacks again that were given up.

    They are read from the dead letters and delivered as any other. A second replay does no harm: a DFSP may get a
    callback twice.
    """
    settings = on_running_broker(Settings())
    since_ms = int(time.time() * 1000) - hours * MS_PER_HOUR
    counts: Counter[tuple[str, str]] = Counter()
    recorder = KafkaRecorder(settings)
    await recorder.start()
    try:
        async for letter, value in given_up(settings):
            name = str(letter.receiver)
            if letter.timestamp_ms < since_ms or (receiver and name != receiver):
                continue
            counts[name, letter.error] += 1
            if not dry_run:
                await recorder.record("notification", name, value)
    finally:
        await recorder.stop()
    _show(counts, dry_run=dry_run)
    return EXIT_OK


async def given_up(settings: Settings) -> AsyncIterator[tuple[DeadLetterMessage, bytes]]:
    """Yield every dead letter that is a callback, with the callback's record, up to the topic's present end."""
    places = [TopicPartition(settings.topic("dead-letter"), number) for number in range(settings.partitions)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap,
        isolation_level="read_committed",
        enable_auto_commit=False,
        **kafka_access(settings),
    )
    await consumer.start()
    try:
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        for place, beginning in (await consumer.beginning_offsets(places)).items():
            consumer.seek(place, beginning)
        for place in places:
            while await consumer.position(place) < ends[place]:
                for at, records in (await consumer.getmany(timeout_ms=FETCH_TIMEOUT_MS)).items():
                    for record in records:
                        found = _callback(record.value)
                        if found is not None and record.offset < ends[at]:
                            yield found
    finally:
        await consumer.stop()


def _callback(value: bytes) -> tuple[DeadLetterMessage, bytes] | None:
    """Return a dead letter and the record that it holds, if that is a callback that was given up."""
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
