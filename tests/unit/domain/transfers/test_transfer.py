"""The table of a transfer's life, walked from end to end."""

from __future__ import annotations

import itertools

import pytest

from clearinghub.domain.transfers.transfer import TRANSITIONS, IllegalTransitionError, State, Step
from tests.unit.domain.samples import NOW_MS, PATHS, RECEIVED_AT_MS, transfer

# Written out once more, so that no entry of the table changes by accident.
STEPS = """
RECEIVED_PREPARE   reserve         RESERVED
RECEIVED_PREPARE   refuse          ABORTED_REJECTED
RECEIVED_PREPARE   expire          EXPIRED_PREPARED
RESERVED           accept-fulfil   RECEIVED_FULFIL
RESERVED           accept-error    RECEIVED_ERROR
RESERVED           accept-reject   RECEIVED_REJECT
RESERVED           expire          RESERVED_TIMEOUT
RECEIVED_FULFIL    commit          COMMITTED
RECEIVED_ERROR     abort           ABORTED_ERROR
RECEIVED_REJECT    abort           ABORTED_REJECTED
RESERVED_TIMEOUT   unwind          EXPIRED_RESERVED
COMMITTED          settle          SETTLED
"""
LEGAL = {
    (State(before), Step(step)): State(after)
    for before, step, after in (line.split() for line in STEPS.strip().splitlines())
}
ENUMERATIONS = """
RECEIVED_PREPARE RECEIVED    RESERVED RESERVED           RECEIVED_FULFIL RESERVED    RECEIVED_ERROR RESERVED
RECEIVED_REJECT RESERVED     RESERVED_TIMEOUT RESERVED   COMMITTED COMMITTED         SETTLED COMMITTED
INVALID ABORTED              ABORTED_REJECTED ABORTED    ABORTED_ERROR ABORTED       EXPIRED_PREPARED ABORTED
EXPIRED_RESERVED ABORTED
"""


def test_every_state_has_its_row() -> None:
    assert set(State) == set(TRANSITIONS)


@pytest.mark.parametrize(("state", "step"), LEGAL)
def test_legal_step_leads_on_and_is_remembered(state: State, step: Step) -> None:
    before = transfer(state)

    after = before.step(step, NOW_MS)

    assert after.state is LEGAL[state, step]
    assert after.history == (*before.history, (after.state, NOW_MS))
    assert after.changed_at_ms == NOW_MS


@pytest.mark.parametrize(("state", "step"), [pair for pair in itertools.product(State, Step) if pair not in LEGAL])
def test_missing_step_raises_and_nothing_changes(state: State, step: Step) -> None:
    row = transfer(state)

    with pytest.raises(IllegalTransitionError, match=f"{step.value} in {state.value}"):
        row.step(step, NOW_MS)

    assert transfer(state) == row


def test_states_are_shown_as_their_enumeration() -> None:
    words = ENUMERATIONS.split()

    assert dict(zip(words[::2], words[1::2], strict=True)) == {state.value: state.enumeration for state in State}


def test_no_step_leads_from_one_outcome_to_another() -> None:
    for (before, _), after in LEGAL.items():
        assert not before.is_final or before.enumeration == after.enumeration


@pytest.mark.parametrize("state", State)
def test_transfer_is_finished_when_its_outcome_is_decided(state: State) -> None:
    steps = len(PATHS.get(state, ()))
    decided_at_ms = RECEIVED_AT_MS + (3 if state is State.SETTLED else steps)

    assert (decided_at_ms if state.is_final else None) == transfer(state).finished_at_ms
