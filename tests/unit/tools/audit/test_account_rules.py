"""The rules on accounts, on caps and on funds, tried on hand-made records."""

from __future__ import annotations

import pytest

from clearinghub.tools.audit.rules import Rule
from tests.unit.tools.audit.topics import AMOUNT, FUNDS, HUB_PARTITION, PAYER, START_MS, Topics


@pytest.fixture
def topics() -> Topics:
    topics = Topics()
    topics.funded()
    return topics


def test_a_position_above_its_funds(topics: Topics) -> None:
    topics.cap(2 * FUNDS, before=FUNDS)
    topics.prepare(amount=FUNDS + 1)
    topics.move(PAYER, FUNDS + 1)
    found = topics.audit()

    assert {"within-funds": ["t-1"]} == found.broken
    assert "payer/XTS/POSITION is 10,000.0001, its funds are 10,000" in found.details


def test_a_position_with_a_reserve_above_its_funds(topics: Topics) -> None:
    topics.prepare(amount=FUNDS)
    topics.move(PAYER, FUNDS, reserved=1)

    assert {"within-funds": ["t-1"], "within-cap": ["t-1"]} == topics.audit().broken


def test_funds_that_leave_below_a_position_break_nothing(topics: Topics) -> None:
    """Funds may be withdrawn even if the open position uses them (protocol 5.2)."""
    topics.reserved()
    _reserve_out(topics, FUNDS)

    assert {} == topics.audit().broken


def test_a_position_above_its_cap(topics: Topics) -> None:
    topics.now_ms += 60_000
    topics.cap(AMOUNT - 1, before=FUNDS, at_ms=topics.now_ms - 30_000)
    topics.reserved()

    assert {"within-cap": ["t-1"]} == topics.audit().broken


@pytest.mark.parametrize(("moment_ms", "broken"), [(-30_000, False), (-1_000, False), (1_000, False), (30_000, True)])
def test_a_cap_counts_from_when_it_is_set(topics: Topics, moment_ms: int, broken: bool) -> None:
    """Within two seconds the order of the cap and the reservation is unknown."""
    topics.cap(AMOUNT - 1, before=FUNDS, at_ms=START_MS + 1)
    topics.now_ms += 60_000
    topics.cap(AMOUNT, before=AMOUNT - 1, at_ms=topics.now_ms + moment_ms)
    topics.reserved()

    assert broken == ("within-cap" in topics.audit().broken)


def test_a_cap_that_no_topic_tells() -> None:
    topics = Topics()
    topics.funded()
    topics.entries = [entry for entry in topics.entries if entry.topic != "events"]
    topics.reserved()
    found = topics.audit()

    assert {} == found.broken
    assert "1 reservations" in str(found.books.findings.tallies[Rule.CAP].left_out)


def test_funds_out(topics: Topics) -> None:
    for transfer_id, state in (("out-1", "COMMITTED"), ("out-2", "ABORTED_REJECTED"), ("out-3", None)):
        _reserve_out(topics, AMOUNT, transfer_id)
        if state == "COMMITTED":
            topics.move("Hub", -AMOUNT, transfer_id, "HUB_RECONCILIATION", entryType="RECORD_FUNDS_OUT")
        if state == "ABORTED_REJECTED":
            topics.move(PAYER, -AMOUNT, transfer_id, "SETTLEMENT", entryType="RECORD_FUNDS_OUT")
        if state:
            topics.end_funds(state, transfer_id, "funds-out", AMOUNT)
    topics.funds("out-4", 9 * FUNDS, out=True)
    topics.end_funds("ABORTED_REJECTED", "out-4", "funds-out", 9 * FUNDS)
    found = topics.audit()

    assert {} == found.broken
    assert (4, 1, 0, 0) == found.phases
    assert (AMOUNT, AMOUNT) == (found.closing.balances[1].total, found.closing.balances[1].in_flight)


def test_funds_that_were_refused_and_requested_in_other_terms(topics: Topics) -> None:
    topics.funds("in-2", amount=5)
    topics.funds("in-2", amount=6)
    topics.move(PAYER, -6, "in-2", "SETTLEMENT", entryType="RECORD_FUNDS_IN")
    topics.move("Hub", 6, "in-2", "HUB_RECONCILIATION", entryType="RECORD_FUNDS_IN")
    topics.end_funds("COMMITTED", "in-2", "funds-in", 6)
    topics.funds("in-3")  # refused altogether

    assert {} == topics.audit().broken
    assert 0 == topics.audit().closing.undecided


def test_funds_without_their_mirror(topics: Topics) -> None:
    topics.funds("in-2", amount=5)
    topics.move(PAYER, -5, "in-2", "SETTLEMENT", entryType="RECORD_FUNDS_IN")
    topics.end_funds("COMMITTED", "in-2", "funds-in", 5)
    topics.dead("credit", HUB_PARTITION, topics.credit("in-2", "Hub", "HUB_RECONCILIATION"))

    assert {"committed": ["in-2"], "reconciliation-balance": ["XTS"]} == topics.audit().broken


def _reserve_out(topics: Topics, amount: int, transfer_id: str = "out-1") -> None:
    topics.funds(transfer_id, amount, out=True)
    topics.move(PAYER, amount, transfer_id, "SETTLEMENT", entryType="RECORD_FUNDS_OUT")
