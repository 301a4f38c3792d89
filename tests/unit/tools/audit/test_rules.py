"""The rules on transfers, tried on hand-made records: each holds on sound books, and each can be broken."""

from __future__ import annotations

from typing import Any

import pytest

from clearinghub.tools.audit.rules import SHOWN_MAX, Findings, Rule
from tests.unit.tools.audit.topics import AMOUNT, PAYEE, PAYEE_PARTITION, PAYER, Topics

IMBALANCED = {"positions-balance": ["XTS"]}


@pytest.fixture
def topics() -> Topics:
    topics = Topics()
    topics.funded()
    return topics


def test_sound_books(topics: Topics) -> None:
    """Every rule is checked, and none is broken."""
    topics.committed("t-1")
    topics.committed("t-2")
    topics.aborted("t-3")
    topics.aborted("t-4", "EXPIRED_RESERVED")
    topics.prepare("t-5")
    topics.end("ABORTED_REJECTED", "t-5")
    topics.prepare("t-6")
    topics.end("INVALID", "t-6")
    topics.reserved("t-7")
    topics.prepare("t-1")  # again
    topics.prepare("t-8")
    topics.window(nets={PAYER: (2 * AMOUNT, 0, 2, 0), PAYEE: (0, 2 * AMOUNT, 0, 2)})
    topics.settlement("PENDING_SETTLEMENT", nets=(2 * AMOUNT, -2 * AMOUNT))
    found = topics.audit()

    assert {} == found.broken
    assert (7, 1, 1, 0) == found.phases
    assert all(tally.checked and tally.left_out is None for tally in found.books.findings.tallies.values())
    positions, reconciliation = found.closing.balances
    assert (AMOUNT, AMOUNT, 0, 0) == (
        positions.total,
        positions.in_flight,
        positions.on_their_way,
        positions.initial,
    )
    assert (0, 0) == (reconciliation.total, reconciliation.in_flight)


def test_running_balance_value(topics: Topics) -> None:
    topics.move(PAYER, AMOUNT, value=AMOUNT + 1)
    topics.prepare()
    found = topics.audit()

    assert {"running-balance": ["payer/XTS/POSITION"]} | IMBALANCED == found.broken
    assert "change 1 of +100 by t-1 makes 0 to 100.0001" in found.details


@pytest.mark.parametrize("number", [1, 2, 4])
def test_running_balance_number(topics: Topics, number: int) -> None:
    topics.aborted()
    topics.prepare("t-2")
    topics.move(PAYER, AMOUNT, "t-2", changeNumber=number)
    found = topics.audit()

    assert {"running-balance": ["payer/XTS/POSITION"]} == found.broken
    assert f"change {number} follows change 2" in found.details


def test_running_balance_begins_with_the_first_change() -> None:
    topics = Topics()
    topics.move(PAYER, 5, "command-0-1", entryType="INITIAL_POSITION", changeNumber=2, value=10)

    assert {"running-balance": ["payer/XTS/POSITION"]} | IMBALANCED == topics.audit().broken


def test_a_change_that_nobody_requested(topics: Topics) -> None:
    topics.move(PAYER, AMOUNT, "t-ghost")
    found = topics.audit()

    assert {"asked-for": ["t-ghost"]} | IMBALANCED == found.broken


def test_a_change_after_the_books_are_closed(topics: Topics) -> None:
    topics.committed()
    _let_go(topics)
    topics.move(PAYEE, -AMOUNT)
    found = topics.audit()

    assert {"asked-for": ["t-1"]} | IMBALANCED == found.broken
    assert "payee/XTS/POSITION -100: no such transfer is open" in found.details


def test_a_transfer_that_nobody_requested(topics: Topics) -> None:
    topics.move(PAYER, AMOUNT)
    topics.fulfil()
    topics.end("COMMITTED")
    topics.move(PAYEE, -AMOUNT)
    topics.fulfil()

    assert {"asked-for": ["t-1"]} == topics.audit().broken


def test_a_kind_of_entry_that_is_unknown(topics: Topics) -> None:
    topics.move(PAYER, 5, "t-1", entryType="GIFT")

    assert {"asked-for": ["t-1"]} | IMBALANCED == topics.audit().broken


def test_an_initial_position_belongs_to_the_balance(topics: Topics) -> None:
    topics.move(PAYER, 70, "command-0-4", entryType="INITIAL_POSITION")
    found = topics.audit()

    assert {} == found.broken
    assert 70 == found.closing.balances[0].initial


@pytest.mark.parametrize("let_go", [False, True])
def test_two_final_states(topics: Topics, let_go: bool) -> None:
    topics.committed()
    if let_go:
        _let_go(topics)
    topics.end("ABORTED_ERROR")
    found = topics.audit()

    assert {"one-final-state": ["t-1"]} == found.broken
    assert f"ABORTED_ERROR after {'its books were closed' if let_go else 'COMMITTED'}" in found.details


@pytest.mark.parametrize("let_go", [False, True])
def test_settled_is_what_becomes_of_committed(topics: Topics, let_go: bool) -> None:
    topics.committed()
    if let_go:
        _let_go(topics)
    topics.end("SETTLED")

    assert {} == topics.audit().broken


@pytest.mark.parametrize("changes", [{"payer": PAYEE, "payee": PAYER}, {"amount": AMOUNT - 1}, {"currency": "XXX"}])
def test_a_final_state_of_other_terms(topics: Topics, changes: dict[str, Any]) -> None:
    topics.reserved()
    topics.fulfil()
    row = {"payer": PAYER} | changes
    topics.end("COMMITTED", **changes)
    topics.move(PAYEE, -AMOUNT)
    broken = topics.audit().broken

    # On another partition it is another transfer, which nobody requested and which has moved nothing.
    assert ("final-as-asked" if row["payer"] == PAYER else "committed") in broken


def test_a_commit_without_its_payees_fulfil(topics: Topics) -> None:
    topics.reserved()
    topics.fulfil(source="stranger")
    topics.fulfil(action="abort")
    topics.end("COMMITTED")
    topics.move(PAYEE, -AMOUNT)
    found = topics.audit()

    assert {"committed-as-answered": ["t-1"]} == found.broken
    assert "no fulfil by payee, only by stranger" in found.details


@pytest.mark.parametrize(
    ("moves", "detail"),
    [
        ([(PAYER, AMOUNT)], "missing payee/XTS/POSITION -100 (no credit is recorded)"),
        ([(PAYEE, -AMOUNT)], "missing payer/XTS/POSITION +100"),
        ([(PAYER, AMOUNT), (PAYEE, 1 - AMOUNT)], "too much payee/XTS/POSITION -99.9999"),
        ([(PAYER, AMOUNT), (PAYEE, -AMOUNT), (PAYEE, -AMOUNT)], "too much payee/XTS/POSITION -100"),
        ([(PAYER, AMOUNT), (PAYEE, -AMOUNT), (PAYER, -AMOUNT)], "too much payer/XTS/POSITION -100"),
        ([(PAYER, AMOUNT), ("Hub", -AMOUNT)], "too much Hub/XTS/POSITION -100"),
    ],
)
def test_a_commit_with_other_movements(topics: Topics, moves: list[tuple[str, int]], detail: str) -> None:
    topics.prepare()
    topics.fulfil()
    topics.end("COMMITTED")
    for name, change in moves:
        topics.move(name, change)
    found = topics.audit()

    assert ["t-1"] == found.broken["committed"]
    assert detail in found.details


def test_a_credit_that_is_a_dead_letter(topics: Topics) -> None:
    topics.reserved()
    topics.fulfil()
    topics.end("COMMITTED")
    topics.dead("credit", PAYEE_PARTITION, topics.credit())
    found = topics.audit()

    assert {"committed": ["t-1"]} | IMBALANCED == found.broken
    assert "its credit is a dead letter" in found.details


@pytest.mark.parametrize("state", ["ABORTED_ERROR", "ABORTED_REJECTED", "EXPIRED_RESERVED", "INVALID"])
@pytest.mark.parametrize(
    "moves",
    [
        [(PAYER, AMOUNT)],
        [(PAYER, AMOUNT), (PAYER, 1 - AMOUNT)],
        [(PAYER, AMOUNT), (PAYER, -AMOUNT), (PAYER, -AMOUNT)],
        [(PAYER, AMOUNT), (PAYER, -AMOUNT), (PAYEE, -AMOUNT)],
    ],
)
def test_an_abort_that_is_not_unwound(topics: Topics, state: str, moves: list[tuple[str, int]]) -> None:
    topics.prepare()
    for name, change in moves:
        topics.move(name, change)
    topics.end(state)

    assert {"aborted": ["t-1"]} | IMBALANCED == topics.audit().broken


@pytest.mark.parametrize(
    "moves",
    [
        [(PAYER, AMOUNT + 1)],
        [(PAYER, AMOUNT), (PAYER, AMOUNT)],
        [(PAYER, AMOUNT), (PAYER, -AMOUNT)],
        [(PAYER, AMOUNT), (PAYEE, -AMOUNT)],
        [(PAYEE, AMOUNT)],
    ],
)
def test_a_transfer_in_flight_with_other_movements(topics: Topics, moves: list[tuple[str, int]]) -> None:
    topics.prepare()
    for name, change in moves:
        topics.move(name, change)

    assert ["t-1"] == topics.audit().broken["in-flight"]


def test_a_record_of_the_ledger_that_cannot_be_read(topics: Topics) -> None:
    offset = topics.write("positions", 1, b'{"v": 1}')
    topics.write("transfers", 1, b"[]")
    topics.write("credit", 1, b"no line")
    topics.write("prepare", 1, b"whatever somebody wrote")
    found = topics.audit()

    assert {
        "readable": [f"positions-1-{offset}", f"transfers-1-{offset + 1}", f"credit-1-{offset + 2}"]
    } == found.broken


def test_violations_are_all_counted_and_not_all_kept() -> None:
    findings = Findings()
    for number in range(SHOWN_MAX + 5):
        findings.check(Rule.CAP, f"t-{number}", "too high")

    assert (SHOWN_MAX + 5, SHOWN_MAX) == (findings.violations, len(findings.tallies[Rule.CAP].shown))


def _let_go(topics: Topics) -> None:
    """Write enough later records that completed transfers leave the memory."""
    topics.now_ms += 60_000
    for _count in range(1_000):
        topics.fulfil("nobody")
