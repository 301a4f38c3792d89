"""After a run, the model judges everything that is on the bus."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from aiokafka.errors import KafkaError

from clearinghub.engine.errors import ContiguityError, PartitionLostError
from tests.analysts import TOPICS, check_record
from tests.model.books import PartitionBooks
from tests.model.bulk_ends import check_bulk_ends
from tests.model.deliveries import Received, check_deliveries
from tests.model.exchange import check_messages
from tests.model.journal import activity_of
from tests.model.scheme import check_scheme
from tests.simulation.reading import between, messages_of, records_of, round_of

if TYPE_CHECKING:
    from tests.simulation.world import World

# A process may end of these: the outcome of its commit is unknown, or another worker owns its partition.
RIGHT_ENDS: Final = (KafkaError, PartitionLostError)


def check(world: World) -> None:
    """Raise AssertionError, with what is wrong, unless the run was right."""
    ended = wrong_end(world)
    assert ended is None, ended
    bus = world.bus
    dfsps = world.dfsps.names
    partitions = range(world.swarm.partitions)
    activity = activity_of(seen for number in partitions for seen in records_of(bus, "participants", number))
    books = [
        PartitionBooks(
            partition,
            world.swarm.partitions,
            lambda topic, number, begin, end: between(bus, topic, number, begin, end),
            dfsps=dfsps,
            confirm_to_payee=world.settings.confirm_to_payee,
            activity=lambda name: activity.get(name, {False}),
            hub_partition=world.hub_partition,
            by_schedule=world.swarm.closes_by_schedule,
        )
        for partition in range(world.swarm.partitions)
    ]
    sent, received = messages_of(bus, world.swarm.partitions)
    bus.counts["messages between partitions"] += len(sent)
    bus.counts["messages passed on again"] += check_messages(sent, received)
    for transaction in bus.committed:
        number = int(transaction.owner.rpartition("-")[2])
        books[number].follow(round_of(number, transaction, world.settings.application_id))
    check_scheme(books)
    _check_analysts(world)
    callbacks = [
        Received(one.receiver, one.method, one.url.partition(".example")[2], one.body) for one in world.dfsps.received
    ]
    dead = (seen for number in partitions for seen in records_of(bus, "dead-letter", number))
    notifications = [list(records_of(bus, "notification", number)) for number in partitions]
    finals = (seen for number in range(world.swarm.partitions) for seen in records_of(bus, "transfers", number))
    bus.counts["bulks sent on"] += check_bulk_ends((seen for one in notifications for seen in one), finals)
    bus.counts["callbacks"] += check_deliveries(notifications, dead, callbacks)
    bus.counts["callbacks received"] += len(callbacks)
    _count(world, books)


def _check_analysts(world: World) -> None:
    """Check the analysts' topics against their schemas, and that final states are numbered without a gap."""
    for partition in range(world.swarm.partitions):
        for topic in TOPICS:
            for seen in records_of(world.bus, topic, partition):
                check_record(topic, seen.value or b"")
        finals = [json.loads(seen.value or b"") for seen in records_of(world.bus, "transfers", partition)]
        sequences = [final["sequence"] for final in finals]
        assert sequences == list(range(1, len(sequences) + 1)), f"final states of partition {partition}: {sequences}"


def wrong_end(world: World) -> str | None:
    """Return the first end of a process that is not allowed, or None."""
    for group in world.groups:
        for member in group.members:
            gaps = [error for error in member.failures if isinstance(error, ContiguityError)]
            if len(gaps) > member.batches_dropped:
                return f"{member.name} died of {gaps[0]!r}, and no batch was dropped"
            wrong = [error for error in member.failures if not isinstance(error, (*RIGHT_ENDS, ContiguityError))]
            if wrong:
                return f"{member.name} died of {wrong[0]!r}"
    return None


def _count(world: World, books: list[PartitionBooks]) -> None:
    counts = world.bus.counts
    for one in books:
        for case in one.auditor.cases.values():
            counts[f"transfers {case.fate}"] += 1
        counts["records decided once"] += one.records
        for item in (item for bulk in one.bulks.cases.values() for item in bulk.items):
            counts[f"items {item.fate}"] += 1
        counts["windows closed"] += len(one.coordinator.closed)
        counts["transfers settled at once"] += sum(leg.granularity == "GROSS" for leg in one.windows.legs.values())
    counts["crashes while a window closed"] += _crashes_while_closing(world)
    counts["records decided again"] = counts["records decided"] - counts["records decided once"]
    timeouts = (between(world.bus, "transfers", number, 0, 1 << 60) for number in range(world.swarm.partitions))
    counts["transfers expired"] += sum(b'"3303"' in (seen.value or b"") for part in timeouts for seen in part)


def _crashes_while_closing(world: World) -> int:
    """Count the crashes of ledger workers between the first and the last step of a window's closing."""
    begun: dict[bytes | None, int] = {}
    spans = []
    for transaction in world.bus.committed:
        for entry in transaction.entries:
            if entry.place[0] != "settlement-windows" or b'"kind":"window"' not in (entry.value or b""):
                continue
            if b'"state":"PROCESSING"' in (entry.value or b""):
                begun[entry.key] = transaction.sequence
            elif entry.key in begun:
                spans.append((begun.pop(entry.key), transaction.sequence))
    crashes = [after for group, after in world.bus.crashes if group == world.settings.application_id]
    return sum(any(first < after <= last for first, last in spans) for after in crashes)
