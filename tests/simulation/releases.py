"""Two releases in one group: the next release's worker is this one, with a field more in rows and messages.

A row of it is a row with a field that this release does not know (`Row.later`), and a message has one more field. From
feature level 2 on it writes credits as a kind of their own, which this release cannot read.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from agents.handlers import INPUT_TOPICS
from clearinghub.engine.record import Handler, Record, View
from clearinghub.features import HIGHEST_LEVEL
from clearinghub.messages import encode_changed
from clearinghub.rows import Row
from tables.scheme import may_write
from tests.simulation import wire

if TYPE_CHECKING:
    from tests.simulation.workers import LedgerMember
    from tests.simulation.world import World

NEXT_LEVEL: Final = HIGHEST_LEVEL + 1
ADDED: Final = msgspec.Raw(b'"of the next release"')
CREDIT: Final = b'{"kind":"credit",'
NEXT_CREDIT: Final = b'{"kind":"credit-of-the-next-release",'
_MESSAGES: Final = frozenset((*(topic.name for topic in INPUT_TOPICS), "notification"))


class NextView:
    """A partition as the next release's handlers see and change it."""

    def __init__(self, view: View) -> None:
        self._view = view

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    def put(self, table: Any, key: str, row: Any) -> None:
        """Store a row with the field that this release does not know."""
        if isinstance(row, Row) and not row.later:
            row = msgspec.structs.replace(row, later=(ADDED,))
        self._view.put(table, key, row)

    def emit(self, topic: str, key: str, value: bytes) -> None:
        self._view.emit(topic, key, self._written(topic, value))

    def emit_to_partition(self, topic: str, partition: int, key: str, value: bytes) -> None:
        self._view.emit_to_partition(topic, partition, key, self._written(topic, value))

    def _written(self, topic: str, value: bytes) -> bytes:
        if topic not in _MESSAGES:
            return value
        value = encode_changed(value, added=ADDED)
        if value.startswith(CREDIT) and may_write(self._view, NEXT_LEVEL):
            return NEXT_CREDIT + value.removeprefix(CREDIT)
        return value


def as_this_release(value: bytes | None) -> bytes | None:
    """Return a record's value with the next release's credit as a credit."""
    if value is not None and value.startswith(NEXT_CREDIT):
        return CREDIT + value.removeprefix(NEXT_CREDIT)
    return value


def row_as_this_release(value: bytes | None) -> Any:
    """Return a row as JSON types, without the field of the next release; None for a row that is deleted."""
    if value is None:
        return None
    row = msgspec.json.decode(value)
    if isinstance(row[-1], str) and row[-1] == msgspec.json.decode(ADDED):
        return [row[0] - 1, *row[1:-1]]
    return row


def next_release_of(handler: Handler) -> Handler:
    """Return a handler of the next release."""

    def handle(record: Record, view: View) -> Iterator[None] | None:
        known = record._replace(value=as_this_release(record.value) or b"")
        return handler(known, NextView(view))

    return handle


async def mix_releases(world: World) -> None:
    """Roll single workers to the next release and back; in many runs then all, and raise the feature level."""
    # Draws of its own: with or without it, a seed has the same faults.
    draw = random.Random(f"releases of {world.swarm.seed}")
    members: Sequence[LedgerMember] = [one for one in world.groups[0].members if hasattr(one, "wants_next")]  # type: ignore[misc]
    for _ in range(draw.randint(1, 4)):
        await asyncio.sleep(draw.uniform(0.2, world.swarm.safety_s / 4))
        await _roll(world, draw.choice(members), to_next=draw.random() < 0.6)
    if draw.random() < 0.4:
        return
    for member in members:
        await _roll(world, member, to_next=True)
    while not all(member.is_next for member in members):
        await asyncio.sleep(0.1)
    reply = await world.operators.command("raise-feature-level", wire.HUB, level=NEXT_LEVEL, reason="all run it")
    assert reply["error"] is None, reply["error"]
    world.bus.counts["feature levels raised"] += 1


async def _roll(world: World, member: LedgerMember, *, to_next: bool) -> None:
    if member.wants_next is to_next:
        return
    member.wants_next = to_next
    world.bus.counts["mixed releases"] += 1
    await member.stop()


def narrowed_row(world: World) -> str | None:
    """Return the first row that lost what the next release had written; None if none did."""
    for (topic, _partition), log in world.bus.logs.items():
        if not topic.endswith("-changelog") or "-offsets-" in topic:
            continue
        widths: dict[bytes, int] = {}
        for entry in log.entries:
            if not entry.is_committed or entry.key is None:
                continue
            width = 0 if entry.value is None else int(entry.value[1 : entry.value.index(b",")])
            if 0 < width < widths.get(entry.key, 0):
                return f"row {entry.key!r} of {topic} had {widths[entry.key]} fields, then {width}"
            widths[entry.key] = width
    return None
