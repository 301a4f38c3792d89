"""Whatever happens to bulks and in whatever order, each item ends once and the books agree; see tests/PROPERTIES.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from random import Random

import orjson
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from clearinghub.domain.bulk.bulk import BULK_TRANSITIONS, Bulk, BulkState, Tally
from clearinghub.domain.settlement.netting import Net, NettingGroup, Party
from clearinghub.domain.transfers.transfer import State, Transfer
from tables.nets import NetKey
from tables.windows import OPEN, WINDOWS, open_window
from tests.fakes import fields_of
from tests.nets import nets_of
from tests.property.bulk_world import EXPIRES_AFTER_MS, ROOM, SETTINGS, BulkWorld, History, Punctuator, histories


def run(history: History) -> BulkWorld:
    world = BulkWorld()
    for message, now_ms in history:
        world.apply(message, now_ms)
    return world


def items_of(bulk: Bulk, transfers: dict[str, Transfer]) -> list[Transfer]:
    consumed = {place for place, _error in bulk.consumed_ids}
    return [transfers[one] for place, one in enumerate(bulk.transfer_ids) if place not in consumed]


def recount(bulk: Bulk, transfers: dict[str, Transfer]) -> Tally:
    """The tally by looking at every item."""
    states = Counter(item.state for item in items_of(bulk, transfers))
    refused = states[State.ABORTED_REJECTED] + states[State.INVALID] + len(bulk.consumed_ids)
    return Tally(
        refused,
        states[State.RESERVED],
        states[State.COMMITTED],
        states[State.ABORTED_ERROR],
        states[State.EXPIRED_RESERVED],
    )


def stories(world: BulkWorld) -> dict[str, Transfer]:
    """Return the transfers without the offsets of their messages."""
    return {name: replace(row, prepare_offset=None) for name, row in world.transfers().items()}


@given(histories())
def test_counters_are_what_a_recount_finds(history: History) -> None:
    world = BulkWorld()
    for message, now_ms in history:
        world.apply(message, now_ms)

        transfers = world.transfers()
        for bulk in world.bulks().values():
            assert recount(bulk, transfers) == bulk.tally
            assert len(bulk.transfer_ids) == sum(
                getattr(bulk.tally, name) for name in ("refused", "pending", "committed", "aborted", "expired")
            )


@given(histories())
def test_the_payer_owes_what_is_held_and_what_was_paid(history: History) -> None:
    world = BulkWorld()
    for message, now_ms in history:
        world.apply(message, now_ms)

        held = sum(row.amount for row in world.transfers().values() if row.state is State.RESERVED)
        paid = sum(-credit["change"] for credit in world.credits)
        assert held + paid == world.position
        assert 0 <= world.position <= ROOM


@given(histories())
def test_an_item_ends_once_and_is_paid_once_if_it_commits(history: History) -> None:
    world = BulkWorld()
    ended: dict[str, Transfer] = {}
    committed: set[str] = set()
    for message, now_ms in history:
        before = world.transfers()
        world.apply(message, now_ms)

        for name, row in world.transfers().items():
            assert sum(state.is_final for state, _ in row.history) <= 1
            if name in before and before[name].state.is_final:
                assert before[name].history == row.history
            elif row.state.is_final:
                ended[name] = row
                if row.state is State.COMMITTED:
                    committed.add(f"{name} {row.bulk_id} {row.history[0]}")
    assert len(committed) == len(world.credits)


@given(histories(), st.lists(st.integers(0, 29), max_size=3))
def test_what_was_paid_is_in_the_nets_of_the_window_that_was_open(history: History, closings: list[int]) -> None:
    world = BulkWorld()
    windows: list[int] = []  # of each payment
    for number, (message, now_ms) in enumerate(history):
        paid = len(world.credits)
        world.apply(message, now_ms)
        windows += [open_window(world.view)] * (len(world.credits) - paid)
        if number in closings:
            world.view.put(WINDOWS, OPEN, open_window(world.view) + 1)

    assert windows == [credit["window"] for credit in world.credits]
    for window in set(windows):
        amounts = [-credit["change"] for credit in world.credits if credit["window"] == window]
        netting_group, party = NettingGroup("USD", "POSITION", "NET"), Party("payer")
        expected = {NetKey(window, netting_group, party): Net(debits=sum(amounts), debit_count=len(amounts))}
        assert expected == nets_of(world.view, window)


@given(histories())
def test_a_bulk_is_final_when_and_only_when_no_item_is_pending(history: History) -> None:
    world = BulkWorld()
    for message, now_ms in history:
        world.apply(message, now_ms)

        for bulk in world.bulks().values():
            assert bulk.state.is_final == (bulk.tally.pending == 0)
            states = [state for state, _ in bulk.history]
            assert BulkState.RECEIVED is states[0]
            assert all(after in BULK_TRANSITIONS[one].values() for one, after in pairwise(states))


@given(histories())
def test_every_bulk_ends_once_its_time_is_over(history: History) -> None:
    world = run(history)
    end_ms = history[-1][1] + max(EXPIRES_AFTER_MS) + 1
    from_here = len(world.notifications)

    pending = [bulk.bulk_id for bulk in world.bulks().values() if not bulk.state.is_final]
    world.apply(Punctuator(), end_ms)

    assert all(world.bulks()[one].state.is_final for one in pending)
    notified = [fields_of(one.value)[0]["id"] for one in world.notifications[from_here:]]
    assert Counter(dict.fromkeys(pending, 2)) == Counter(notified), "payer and payee"
    world.apply(Punctuator(), end_ms + SETTINGS.transfer_retention_s * 1000 + 1)
    assert {} == world.bulks()
    assert all(row.bulk_id is None for row in world.transfers().values())


@given(histories())
def test_what_is_sent_again_at_once_moves_nothing(history: History) -> None:
    twice, once = BulkWorld(), BulkWorld()
    for message, now_ms in history:
        once.apply(message, now_ms)
        twice.apply(message, now_ms)
        twice.apply(message, now_ms)

        assert (stories(once), once.bulks(), once.position) == (stories(twice), twice.bulks(), twice.position)


@given(histories())
def test_the_payee_is_shown_what_it_was_sent_and_the_payer_everything(history: History) -> None:
    world = BulkWorld()
    for message, now_ms in history:
        before = len(world.notifications)
        world.apply(message, now_ms)

        transfers = world.transfers()
        for one in world.notifications[before:]:
            header, body = fields_of(one.value)
            bulk = world.bulks().get(header["id"])
            shown = orjson.loads(body or b"{}").get("individualTransferResults")
            if bulk is None or shown is None:
                continue
            sent = [row.transfer_id for row in items_of(bulk, transfers) if row.was_reserved]
            expected = list(bulk.transfer_ids) if header["receiver"] == bulk.payer else sent
            assert expected == [result["transferId"] for result in shown]


def seen(history: History) -> Iterator[Bulk]:
    """Every bulk after every message."""
    world = BulkWorld()
    for message, now_ms in history:
        world.apply(message, now_ms)
        yield from world.bulks().values()


MIXED: dict[str, Callable[[Bulk], object]] = {
    **{state.value: lambda bulk, state=state: bulk.state is state for state in BulkState if state.is_final},  # type: ignore[misc]
    "PROCESSING": lambda bulk: bulk.state is BulkState.PROCESSING,
    "committed and expired": lambda bulk: bulk.tally.committed and bulk.tally.expired,
    "refused and committed": lambda bulk: bulk.tally.refused and bulk.tally.committed,
    "aborted after a partial answer": lambda bulk: bulk.error_hash and bulk.tally.committed and bulk.tally.aborted,
}


@pytest.mark.parametrize("end", MIXED)
def test_histories_reach_every_end_and_mixed_ones(end: str) -> None:
    """The properties above say nothing about what never happens."""

    def reaches(history: History) -> bool:
        return any(MIXED[end](bulk) for bulk in seen(history))

    first_found = settings(max_examples=2_000, phases=[Phase.generate], database=None, deadline=None)

    assert reaches(find(histories(), reaches, settings=first_found, random=Random(3)))
