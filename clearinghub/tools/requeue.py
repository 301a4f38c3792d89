"""`clearinghub requeue`: puts a dead letter of a ledger's topic back on its topic (docs/operators.md)."""

from __future__ import annotations

import getpass
import time
from collections.abc import Mapping
from typing import Annotated, Final, NamedTuple

import msgspec
import typer
from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import UNSET
from rich.console import Console
from rich.table import Table

from clearinghub.config import Settings
from clearinghub.kafka.access import kafka_access
from clearinghub.kafka.broker import on_running_broker
from clearinghub.kafka.recorder import KafkaRecorder
from clearinghub.kafka.topology import load_topology
from clearinghub.messages import DeadLetterMessage, MalformedMessageError, decode_as
from clearinghub.tools.command_line import EXIT_FAILED, EXIT_OK, EXIT_WRONG_USAGE, App

FETCH_TIMEOUT_MS: Final = 2_000
REASON_CHARACTERS_MAX: Final = 512
_FRONT_ROLES: Final = frozenset({"ingress", "admin-api"})  # they write what others ask of the hub

app = App(exits="0 done, 1 no such letter or it was requeued before, 2 wrong usage, 3 no broker")


class Requeued(msgspec.Struct, frozen=True, tag_field="kind", tag="requeued"):
    """The note that a letter was requeued, on topic `dead-letter` like the letter: who decided it, why, and when."""

    place: str
    by: str
    reason: str
    at_ms: int
    v: int = 1


class Letter(NamedTuple):
    """A dead letter that can be requeued: the record that it holds, with the place and the key that it had.

    `is_decided` says that the ledger wrote the record, and an operator has decided that it becomes a dead letter.
    """

    place: str
    topic: str
    partition: int
    key: str
    value: bytes
    error: str
    bytes_left_out: int
    is_decided: bool


class Found(NamedTuple):
    """The dead letters of the ledger's topics, by place, and what was requeued of them before."""

    letters: Mapping[str, Letter]
    requeued: Mapping[str, Requeued]


@app.add("requeue", examples=["requeue", "requeue prepare/3/1207 --reason 'mended by 1.0.1, ticket 4711'"])
async def requeue(
    place: Annotated[
        str | None, typer.Argument(metavar="TOPIC/PARTITION/OFFSET", help="Without it, list what can be requeued.")
    ] = None,
    *,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Kept with the letter.")] = "",
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who decides; else the system's user.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Requeue it although it was requeued before.")] = False,
) -> int:
    """Put a record that made the code raise back on its topic.

    It is decided as if it had just arrived: a transfer whose time is over is refused, and one that its DFSP has sent
    again meanwhile is a duplicate. A letter is requeued once.
    """
    settings = on_running_broker(Settings())
    found = await dead_letters(settings)
    console = Console()
    if place is None:
        _show(console, found)
        return EXIT_OK
    letter = found.letters.get(place)
    before = found.requeued.get(place)
    if letter is None:
        console.print(f"no dead letter {place} that can be requeued")
        return EXIT_FAILED
    if letter.bytes_left_out:
        console.print(f"the letter has not its {letter.bytes_left_out} bytes; read them from {place}")
        return EXIT_FAILED
    if before is not None and not force:
        console.print(f"requeued before, by {before.by}: {before.reason}; --force does it again")
        return EXIT_FAILED
    if not 0 < len(reason) <= REASON_CHARACTERS_MAX:
        console.print(f"say why, with --reason, in at most {REASON_CHARACTERS_MAX} characters")
        return EXIT_WRONG_USAGE
    note = Requeued(place, by or getpass.getuser(), reason, int(time.time() * 1000))
    await _requeue(settings, letter, note)
    console.print(f"{place} is on topic {letter.topic} again")
    return EXIT_OK


async def _requeue(settings: Settings, letter: Letter, note: Requeued) -> None:
    """Note it first: if this process dies in between, the letter counts as requeued, and is not decided twice."""
    recorder = KafkaRecorder(settings)
    await recorder.start()
    try:
        await recorder.record_in_partition("dead-letter", letter.partition, letter.key, msgspec.json.encode(note))
        await recorder.record_in_partition(letter.topic, letter.partition, letter.key, letter.value)
    finally:
        await recorder.stop()


async def dead_letters(settings: Settings) -> Found:
    """Return the dead letters of topics that requests are written to, up to the topic's present end.

    What the ledger writes itself becomes a dead letter by an operator's decision alone (ADR 25).
    """
    topics = {name for name, topic in load_topology().topics.items() if _FRONT_ROLES & set(topic.writers)}
    letters: dict[str, Letter] = {}
    requeued: dict[str, Requeued] = {}
    for key, value in await _records(settings):
        note = _note(value)
        if note is not None:
            requeued[note.place] = note
            continue
        letter = _letter(key, value)
        if letter is not None and (letter.topic in topics or letter.is_decided):
            letters[letter.place] = letter
    return Found(letters, requeued)


async def _records(settings: Settings) -> list[tuple[str, bytes]]:
    places = [TopicPartition(settings.topic("dead-letter"), number) for number in range(settings.partitions)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap,
        isolation_level="read_committed",
        enable_auto_commit=False,
        **kafka_access(settings),
    )
    await consumer.start()
    found: list[tuple[str, bytes]] = []
    try:
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        for at, beginning in (await consumer.beginning_offsets(places)).items():
            consumer.seek(at, beginning)
        for at in places:
            while await consumer.position(at) < ends[at]:
                for records in (await consumer.getmany(timeout_ms=FETCH_TIMEOUT_MS)).values():
                    found.extend(((one.key or b"").decode(errors="replace"), one.value or b"") for one in records)
    finally:
        await consumer.stop()
    return found


def _note(value: bytes) -> Requeued | None:
    try:
        return msgspec.json.decode(value, type=Requeued)
    except (msgspec.MsgspecError, ValueError):
        return None


def _letter(key: str, value: bytes) -> Letter | None:
    """Return a dead letter that says which place its record had, or None."""
    try:
        message, record = decode_as(DeadLetterMessage, value)
    except MalformedMessageError:
        return None
    if message.partition is UNSET or message.offset is UNSET:
        return None
    place = f"{message.topic}/{message.partition}/{message.offset}"
    is_decided = message.decision is not UNSET
    return Letter(
        place, message.topic, message.partition, key, record, message.error, message.bytes_left_out, is_decided
    )


def _show(console: Console, found: Found) -> None:
    if not found.letters:
        console.print("no dead letter of the ledger")
        return
    table = Table("place", "key", "raised", "requeued")
    for place, letter in sorted(found.letters.items()):
        before = found.requeued.get(place)
        table.add_row(
            place, letter.key, letter.error[:80], "" if before is None else f"by {before.by}: {before.reason}"
        )
    console.print(table)
