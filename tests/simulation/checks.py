"""After a run, the model judges everything that is on the bus."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Final

from aiokafka.errors import KafkaError

from clearinghub.engine.errors import ContiguityError, PartitionLostError
from tests.analysts import TOPICS, check_record
from tests.model.books import PartitionBooks
from tests.model.bulk_ends import check_bulk_ends
from tests.model.deliveries import Received, check_deliveries
from tests.model.exchange import check_messages
from tests.model.journal import Round, activity_of
from tests.model.scheme import check_scheme
from tests.simulation.reading import between, messages_of, records_of, round_of
from tests.simulation.releases import narrowed_row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.simulation.bus import Bus, Transaction
    from tests.simulation.world import World

# A process may end of these: the outcome of its commit is unknown, or another worker owns its partition.
ONE_RECORD_BYTES: Final = 20_000  # what one record leads to, and a round's row of offsets
RIGHT_ENDS: Final = (KafkaError, PartitionLostError)


def check(world: World) -> None:
    """Raise AssertionError, with what is wrong, unless the run was right."""
    ended = wrong_end(world)
    assert ended is None, ended
    narrowed = narrowed_row(world)
    assert narrowed is None, narrowed
    bus = world.bus
    assert not bus.counts["parked beyond the bound"], "a receiver has more parked callbacks than it may have"
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
            at_once=world.settings.settlement_entries_at_once,
            answer_within_s=world.settings.answer_within_s,
        )
        for partition in range(world.swarm.partitions)
    ]
    sent, received = messages_of(bus, world.swarm.partitions)
    bus.counts["messages between partitions"] += len(sent)
    bus.counts["messages passed on again"] += check_messages(sent, received)
    for transaction in bus.committed:
        number = int(transaction.owner.rpartition("-")[2])
        one = round_of(number, transaction, world.settings.application_id)
        _check_just_timeouts(bus, one, books[number].decided)
        _check_size(world, transaction, one, books[number].decided)
        books[number].follow(one)
    check_scheme(books)
    _check_ids(world, books)
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


def _check_ids(world: World, books: list[PartitionBooks]) -> None:
    """Check that each id that two payers have used on two partitions is an alarm, once, and that no other id is."""
    places: Counter[str] = Counter(transfer_id for one in books for transfer_id in one.auditor.cases)
    twice = {transfer_id for transfer_id, partitions in places.items() if partitions > 1}
    events = [
        json.loads(seen.value or b"")
        for number in range(len(books))
        for seen in records_of(world.bus, "events", number)
    ]
    alarms = Counter(
        event["id"] for event in events if event["event"] == "id-used-twice" and event["kind"] == "transfer"
    )
    assert set(alarms) == twice, f"ids used twice: {sorted(twice)}, alarms: {sorted(alarms)}"
    for transfer_id, count in alarms.items():
        assert count == places[transfer_id] - 1, f"{transfer_id}: {count} alarms, {places[transfer_id]} payers"
    world.bus.counts["alarms of ids"] += len(alarms)


def _check_just_timeouts(bus: Bus, one: Round, before: Mapping[str, int]) -> None:
    """Check that a round decides no reminder before a fulfil that was written earlier, by the broker's own order."""
    row = one.rows.get(("offsets", "inputs"))
    if row is None:
        return
    decided: dict[str, int] = row[2]
    reminders = bus.logs["timeout", one.partition].entries[before["timeout"] : decided.get("timeout", 0)]
    last = max((entry.order for entry in reminders if entry.is_committed), default=-1)
    rest = bus.logs["fulfil", one.partition].entries[decided.get("fulfil", 0) :]
    assert not rest or rest[0].order > last, (
        f"fulfil@{rest[0].offset} of partition {one.partition} was written before a reminder, and is decided after it"
    )
    bus.counts["reminders decided"] += sum(entry.is_committed for entry in reminders)


def _check_size(world: World, transaction: Transaction, one: Round, before: Mapping[str, int]) -> None:
    """Check that a round has not more bytes than it may have, and those of one record more; bulks may have many."""
    row = one.rows.get(("offsets", "inputs"))
    after: dict[str, int] = {} if row is None else row[2]
    if any(after.get(topic, 0) > before[topic] for topic in ("bulk-prepare", "bulk-fulfil")):
        return
    size = sum(len(entry.value or b"") for entry in transaction.entries)
    allowed = world.settings.round_bytes_max + ONE_RECORD_BYTES
    assert size <= allowed, f"a round of partition {one.partition} has {size} bytes, and may have {allowed}"


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
        counts.update(one.answers.counts)
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
