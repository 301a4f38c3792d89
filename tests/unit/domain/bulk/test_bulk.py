"""A bulk's table of steps, its counters, and what no life of a bulk over HTTP shows (tests/web/test_bulk_lives.py)."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from clearinghub.domain.bulk.bulk import (
    BULK_TRANSITIONS,
    Bulk,
    BulkState,
    BulkStep,
    IllegalBulkTransitionError,
    Tally,
)
from clearinghub.domain.bulk.fulfil import close, decide_bulk_timeout
from clearinghub.domain.bulk.lookup import item_view
from clearinghub.domain.bulk.prepare import close_prepare
from clearinghub.domain.errors import ErrorInformation
from clearinghub.domain.transfers.fulfil import Action, FulfilRequest, Refused, decide_fulfil
from clearinghub.domain.transfers.prepare import Ignored, Modified, Resent
from clearinghub.domain.transfers.transfer import State
from tables.bulks import BULKS
from tables.transfers import TRANSFERS
from tests.unit.domain.samples import EXPIRES_AT_MS, FULFILMENT, NOW_MS, transfer

# protocol 8.4
ENUMERATIONS = {
    "RECEIVED": "RECEIVED",
    "PENDING_PREPARE": "PENDING",
    "PENDING_INVALID": "PENDING",
    "ACCEPTED": "ACCEPTED",
    "PROCESSING": "PROCESSING",
    "ABORTING": "PROCESSING",
    "EXPIRING": "PROCESSING",
    "COMPLETED": "COMPLETED",
    "REJECTED": "REJECTED",
    "INVALID": "REJECTED",
}


def bulk(state: BulkState = BulkState.ACCEPTED, *, pending: int = 2) -> Bulk:
    """A bulk in that state, however it came there."""
    history = ((BulkState.RECEIVED, NOW_MS - 1), (state, NOW_MS))
    ids = tuple(f"t{number}" for number in range(pending))
    return Bulk("b", "payerfsp", "payeefsp", EXPIRES_AT_MS, history, "hash", ids, tally=Tally(pending=pending))


def test_states_are_shown_as_the_api_has_them() -> None:
    assert ENUMERATIONS == {state.value: state.enumeration for state in BulkState}
    assert set(BULK_TRANSITIONS) == set(BulkState)
    assert ENUMERATIONS.keys() == {state.name for state in BulkState}


@pytest.mark.parametrize("state", BulkState)
@pytest.mark.parametrize("step", BulkStep)
def test_a_step_leads_where_the_table_says_or_is_a_bug(state: BulkState, step: BulkStep) -> None:
    before = bulk(state)
    following = BULK_TRANSITIONS[state].get(step)
    if following is None:
        with pytest.raises(IllegalBulkTransitionError, match=f"b: {step.value} in {state.value}"):
            before.step(step, NOW_MS)
        return

    after = before.step(step, NOW_MS + 1)

    assert (following, NOW_MS + 1) == (after.state, after.history[-1][1])
    assert (NOW_MS + 1 if following.is_final else None) == after.finished_at_ms


@pytest.mark.parametrize("state", [state for state in BulkState if state.is_final])
def test_what_is_final_stays(state: BulkState) -> None:
    assert {} == BULK_TRANSITIONS[state]


def test_lines_cannot_end_that_are_not_pending() -> None:
    with pytest.raises(AssertionError):
        Tally(pending=1).ended(committed=2)
    with pytest.raises(AssertionError):
        Tally(pending=1).ended(committed=-1, aborted=1)


def test_a_bulk_is_closed_with_its_last_line() -> None:
    answered = bulk().step(BulkStep.ANSWER, NOW_MS)

    first = close(answered, NOW_MS, committed=1)
    second = close(first.step(BulkStep.ANSWER, NOW_MS), NOW_MS, aborted=1)

    assert (BulkState.PROCESSING, Tally(pending=1, committed=1)) == (first.state, first.tally)
    assert (BulkState.COMPLETED, Tally(committed=1, aborted=1)) == (second.state, second.tally)


@pytest.mark.parametrize("outcome", [Modified(), Resent(transfer()), Ignored()])
def test_an_item_whose_id_is_consumed_keeps_its_error_in_the_bulk(outcome: Modified | Resent | Ignored) -> None:
    pending = replace(bulk(BulkState.PENDING_PREPARE, pending=1), tally=Tally())

    closed = close_prepare(pending, [outcome], NOW_MS)

    detail = "" if isinstance(outcome, Modified) else " - Individual transfer prepare duplicate"
    assert ((0, ErrorInformation("3106", f"Modified request{detail}")),) == closed.consumed_ids
    assert (BulkState.REJECTED, Tally(refused=1)) == (closed.state, closed.tally)


def test_only_a_bulk_that_is_due_and_open_expires() -> None:
    assert decide_bulk_timeout(None, EXPIRES_AT_MS + 1) is None
    assert decide_bulk_timeout(bulk(), EXPIRES_AT_MS) is None, "to the millisecond"
    assert decide_bulk_timeout(bulk(BulkState.COMPLETED), EXPIRES_AT_MS + 1) is None
    due = decide_bulk_timeout(bulk(), EXPIRES_AT_MS + 1)
    assert due is not None
    assert BulkState.EXPIRING is due.state


@pytest.mark.parametrize(("of_line", "of_message"), [("b", None), (None, "b"), ("b", "c")])
def test_a_line_is_moved_by_its_own_bulk_s_answer_alone(of_line: str | None, of_message: str | None) -> None:
    request = FulfilRequest("t", Action.COMMIT, "payeefsp", None, FULFILMENT, None, "hash", "", bulk_id=of_message)

    outcome = decide_fulfil(request, transfer(bulk_id=of_line), 1, NOW_MS)

    assert isinstance(outcome, Refused)
    assert outcome.transfer is None


def test_a_refused_item_s_extensions_are_not_shown() -> None:
    error = ErrorInformation("4001", "text", {"extension": [{"key": "k", "value": "v"}]})

    refused = item_view(transfer(State.ABORTED_REJECTED, error=error))
    aborted = item_view(transfer(State.ABORTED_ERROR, error=error))

    assert not refused.was_sent
    assert {"errorCode": "4001", "errorDescription": "text"} == refused.result["errorInformation"]
    assert aborted.was_sent
    assert error.as_json()["errorInformation"] == aborted.result["errorInformation"]


def test_rows_come_back_from_their_bytes() -> None:
    row = replace(
        bulk(BulkState.COMPLETED),
        consumed_ids=((1, ErrorInformation("3106", "Modified request")),),
        tally=Tally(1, 2, 3, 4, 5),
        fulfil_hash="f",
        error_hash="e",
    )
    item = transfer(bulk_id="b")

    assert row == BULKS.decode(BULKS.encode(row))
    assert item == TRANSFERS.decode(TRANSFERS.encode(item))


def test_lines_stand_in_no_order_of_time_but_their_bulk_does() -> None:
    assert TRANSFERS.index is not None
    assert BULKS.index is not None
    assert () == TRANSFERS.index("t", transfer(bulk_id="b"))
    assert [True] == [present for _entry, present in BULKS.index("b", bulk())]
    assert [False, True] == [present for _entry, present in BULKS.index("b", bulk(BulkState.REJECTED))]
