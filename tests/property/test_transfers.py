"""Whatever the messages and their order, the ledger keeps its promises. tests/PROPERTIES.md names each property."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from clearinghub.domain.transfers import fulfil, prepare, timeout
from clearinghub.domain.transfers.transfer import TRANSITIONS, State, Transfer
from tests.model.auditor import Auditor
from tests.model.messages import Flags, Fulfil, Happening, Limits
from tests.property.messages import DFSPS, histories
from tests.property.world import Outcome, World

on_us = st.booleans()


def verdict(outcome: Outcome) -> str:
    """An outcome in the auditor's words."""
    match outcome:
        case None:
            return "done"
        case prepare.Reserved():
            return "reserved"
        case prepare.Modified() | prepare.Refused() | fulfil.Refused():
            return f"refused {outcome.rejection.code}"
        case prepare.Resent() | fulfil.Resent():
            return f"resent {outcome.transfer.state.enumeration}"
        case prepare.Ignored() | fulfil.Ignored():
            return "ignored"
        case fulfil.Committed():
            return "committed"
        case fulfil.Aborted() | fulfil.AbortedInvalid():
            assert outcome.transfer.error is not None
            return f"aborted {outcome.transfer.error.code}"
        case timeout.Expired():
            return "expired"
        case timeout.NotDue():
            return "not due"


def run(history: list[Happening], *, on_us_transfers: bool) -> tuple[World, list[Outcome]]:
    world = World(on_us_transfers=on_us_transfers)
    return world, [world.apply(happening) for happening in history]


@given(histories(), on_us)
def test_every_verdict_and_every_position_is_the_auditor_s(history: list[Happening], on_us_transfers: bool) -> None:
    world, auditor = World(on_us_transfers=on_us_transfers), Auditor(DFSPS, on_us_transfers=on_us_transfers)
    for happening in history:
        expected = auditor.predict(happening)

        assert expected == verdict(world.apply(happening))
        assert {name: auditor.owes(name) for name in world.positions} == {
            name: position.value for name, position in world.positions.items()
        }


@given(histories(), on_us)
def test_no_reservation_exceeds_a_limit(history: list[Happening], on_us_transfers: bool) -> None:
    world = World(on_us_transfers=on_us_transfers)
    for happening in history:
        before = {name: position.value for name, position in world.positions.items()}

        outcome = world.apply(happening)

        for name, position in world.positions.items():
            if position.value > before[name]:
                assert isinstance(outcome, prepare.Reserved)
                assert position.net_debit_cap is not None
                assert position.value <= position.net_debit_cap
                assert position.value <= -world.settlements[name].value


@given(histories(), on_us)
def test_positions_add_up_to_what_is_in_flight(history: list[Happening], on_us_transfers: bool) -> None:
    world = World(on_us_transfers=on_us_transfers)
    for happening in history:
        world.apply(happening)

        in_flight = sum(row.amount for row in world.transfers.values() if row.state is State.RESERVED)
        assert in_flight == sum(position.value for position in world.positions.values())


@given(histories(), on_us)
def test_final_state_is_reached_once_and_never_left(history: list[Happening], on_us_transfers: bool) -> None:
    world = World(on_us_transfers=on_us_transfers)
    finished: dict[str, Transfer] = {}
    for happening in history:
        world.apply(happening)

        for name, row in world.transfers.items():
            assert sum(state.is_final for state, _ in row.history) <= 1
            if name in finished:
                assert (finished[name].state, finished[name].history) == (row.state, row.history)
            elif row.state.is_final:
                finished[name] = row


@given(histories(), on_us)
def test_history_is_a_path_through_the_table(history: list[Happening], on_us_transfers: bool) -> None:
    world, _ = run(history, on_us_transfers=on_us_transfers)
    for row in world.transfers.values():
        states = [state for state, _ in row.history]

        assert states[0] in (State.RECEIVED_PREPARE, State.INVALID)
        assert row.state is states[-1]
        assert all(after in TRANSITIONS[before].values() for before, after in pairwise(states))


@given(histories(), on_us)
def test_replay_decides_the_same(history: list[Happening], on_us_transfers: bool) -> None:
    first, first_outcomes = run(history, on_us_transfers=on_us_transfers)
    second, second_outcomes = run(history, on_us_transfers=on_us_transfers)

    assert first_outcomes == second_outcomes
    assert (first.transfers, first.positions) == (second.transfers, second.positions)


@given(histories(), on_us)
def test_decision_changes_nothing_by_itself(history: list[Happening], on_us_transfers: bool) -> None:
    world = World(on_us_transfers=on_us_transfers)
    for happening in history:
        before = (dict(world.transfers), dict(world.positions))
        outcome = world.decide(happening)

        assert (world.transfers, world.positions) == before
        if not isinstance(happening.message, Limits | Flags):
            assert outcome == world.apply(happening)


@given(histories(), on_us)
def test_second_delivery_moves_nothing(history: list[Happening], on_us_transfers: bool) -> None:
    twice, once = World(on_us_transfers=on_us_transfers), World(on_us_transfers=on_us_transfers)
    for happening in history:
        once.apply(happening)
        twice.apply(happening)
        twice.apply(happening)

        assert (once.transfers, once.positions) == (twice.transfers, twice.positions)


@given(histories(), on_us)
def test_nobody_but_the_payee_moves_a_transfer(history: list[Happening], on_us_transfers: bool) -> None:
    heard, unheard = World(on_us_transfers=on_us_transfers), World(on_us_transfers=on_us_transfers)
    for happening in history:
        message = happening.message
        heard.apply(happening)
        if isinstance(message, Fulfil):
            row = unheard.transfers.get(message.transfer_id)
            if row is None or row.payee != message.source:
                continue
        unheard.apply(happening)

        assert (heard.transfers, heard.positions) == (unheard.transfers, unheard.positions)


VERDICTS = [
    *("reserved", "committed", "expired", "not due", "ignored", "done"),
    *("resent RESERVED", "resent COMMITTED", "resent ABORTED"),
    *("aborted 3100", "aborted 5104"),
    *("refused 2001", "refused 3100", "refused 3106", "refused 3303", "refused 4001", "refused 4200"),
]


@pytest.mark.parametrize("expected", VERDICTS)
def test_histories_reach_every_verdict(expected: str) -> None:
    """The properties above say nothing about what never happens."""

    def reaches(history: list[Happening]) -> bool:
        return expected in map(verdict, run(history, on_us_transfers=False)[1])

    first_found = settings(max_examples=2_000, phases=[Phase.generate], database=None)
    found = find(histories(), reaches, settings=first_found, random=Random(1))

    assert reaches(found)
