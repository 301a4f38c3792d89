"""What the audit finds at a cut between two partitions, and on topics whose beginning is no longer kept."""

from __future__ import annotations

import pytest

from clearinghub.tools.audit.accounts import CAP_SLACK_MS, Caps
from clearinghub.tools.audit.rules import Rule
from clearinghub.tools.audit.seen import SeenIds
from clearinghub.tools.audit.transfers import Kept
from tests.unit.tools.audit.topics import AMOUNT, PAYEE, PAYER, SETTLE_MS, START_MS, Topics

HOUR_MS = 3_600_000


@pytest.fixture
def topics() -> Topics:
    topics = Topics()
    topics.funded()
    return topics


def _commit_without_credit(topics: Topics) -> None:
    topics.reserved()
    topics.fulfil()
    topics.end("COMMITTED")


def test_a_credit_on_its_way_is_awaited(topics: Topics) -> None:
    _commit_without_credit(topics)
    found = topics.audit(later_ms=SETTLE_MS - 1)

    assert {} == found.broken
    assert ("t-1",) == found.closing.pending
    positions = found.closing.balances[0]
    assert (AMOUNT, 0, AMOUNT) == (positions.total, positions.in_flight, positions.on_their_way)


def test_a_credit_that_does_not_come_is_missing(topics: Topics) -> None:
    _commit_without_credit(topics)
    found = topics.audit(later_ms=SETTLE_MS)

    assert {"committed": ["t-1"], "positions-balance": ["XTS"]} == found.broken
    assert () == found.closing.pending


@pytest.mark.parametrize("later_ms", [0, SETTLE_MS])
def test_a_credit_that_came_late_is_right(topics: Topics, later_ms: int) -> None:
    """The worker of its partition was away for a minute, in which other records came."""
    _commit_without_credit(topics)
    topics.now_ms += 60_000
    for _count in range(1_000):
        topics.fulfil("nobody")
    topics.move(PAYEE, -AMOUNT)
    found = topics.audit(later_ms)

    assert ({}, (2, 0, 0, 0)) == (found.broken, found.phases)


def test_a_movement_whose_final_state_is_not_in_the_cut(topics: Topics) -> None:
    topics.reserved()
    topics.fulfil()
    topics.move(PAYEE, -AMOUNT)

    assert ({}, 1) == ((young := topics.audit(1_000)).broken, len(young.closing.pending))
    assert {"in-flight", "positions-balance"} == set(topics.audit().broken)


def test_clocks_that_disagree(topics: Topics) -> None:
    """Movements come before their requests: the ledger's clock is slower than the broker's."""
    topics.move(PAYER, AMOUNT)
    topics.prepare()
    topics.fulfil()
    topics.move(PAYEE, -AMOUNT)
    topics.end("COMMITTED")

    assert ({}, (2, 0, 0, 0)) == ((found := topics.audit()).broken, found.phases)


def test_the_same_id_of_two_payers_is_two_transfers(topics: Topics) -> None:
    """ADR 6: an id is unique for its payer."""
    topics.committed()
    topics.prepare(payer=PAYEE, payee=PAYER, amount=AMOUNT // 2)
    topics.move(PAYEE, AMOUNT // 2)
    topics.end("ABORTED_ERROR", payer=PAYEE, payee=PAYER, amount=AMOUNT // 2)
    topics.move(PAYEE, -AMOUNT // 2)
    found = topics.audit()

    assert ({}, (3, 0, 0, 0)) == (found.broken, found.phases)


def test_a_dead_letter_is_no_request(topics: Topics) -> None:
    topics.dead("prepare", 0, topics.prepare(amount=1))
    topics.dead("command", 0, topics.funds("in-9"))
    topics.committed()
    found = topics.audit()

    assert ({}, (2, 0, 0, 0)) == (found.broken, found.phases)


def test_callbacks_that_were_given_up_are_no_business_of_the_books(topics: Topics) -> None:
    topics.write("dead-letter", 0, b'{"v":1,"topic":"notification","receiver":"payer"}\n{}')

    assert {} == topics.audit().broken


def test_requests_that_are_no_longer_kept() -> None:
    """After a week prepares are gone, final states and changes are not: the books still balance."""
    topics = Topics(kept=Kept(requests_ms=START_MS + HOUR_MS))
    topics.funded()
    for transfer_id in ("t-1", "t-2"):
        topics.move(PAYER, AMOUNT, transfer_id)
    topics.now_ms += 2 * HOUR_MS
    topics.end("COMMITTED", "t-1")
    topics.move(PAYEE, -AMOUNT, "t-1")
    topics.committed("t-3")
    found = topics.audit()

    assert ({}, (3, 1, 0, 0)) == (found.broken, found.phases)
    topics.move(PAYEE, -AMOUNT, "t-9")
    assert "asked-for" in topics.audit().broken, "it is young enough that somebody must have asked for it"


def test_books_that_are_no_longer_whole() -> None:
    """Accounts begin with the first change that is kept, and what began before is not judged."""
    topics = Topics(kept=Kept(START_MS + HOUR_MS, START_MS + HOUR_MS))
    topics.values[PAYER, "POSITION"], topics.numbers[PAYER, "POSITION"] = 77, 12
    topics.move(PAYER, AMOUNT, "t-1")
    topics.move(PAYEE, -AMOUNT, "t-0")
    topics.now_ms += 2 * HOUR_MS
    topics.end("COMMITTED", "t-1")
    topics.now_ms += HOUR_MS
    topics.reserved("t-2")
    topics.fulfil("t-2")
    topics.end("COMMITTED", "t-2", preparedAt="2023-11-15T01:30:00.000Z")
    topics.move(PAYEE, -AMOUNT, "t-2")
    for _count in range(1_000):
        topics.fulfil("nobody")
    found = topics.audit()

    assert ({}, ()) == (found.broken, found.closing.balances)
    assert (1, 1) == (found.closing.finished, found.closing.unjudged)
    assert "no longer kept" in str(found.books.findings.tallies[Rule.POSITIONS].left_out)
    assert 0 == found.books.findings.tallies[Rule.FUNDS].checked, "its funds are not known either"
    topics.move(PAYER, 1, "t-2", value=5)
    assert {"running-balance", "committed"} <= set(topics.audit().broken)


def test_memory_holds_what_is_open_only(topics: Topics) -> None:
    for number in range(3_000):
        topics.aborted(f"t-{number}")
        topics.now_ms += 100
    found = topics.audit()

    assert ({}, 3_001) == (found.broken, found.closing.finished)
    assert len(list(found.books._transfers.open())) < 300


def test_ids_that_were_seen() -> None:
    seen = SeenIds()
    for number in range(10_000):
        seen.add((number % 7, f"id-{number}"))
        seen.add((number % 7, f"id-{number}"))

    assert 10_000 == len(seen)
    assert all((number % 7, f"id-{number}") in seen for number in range(10_000))
    assert not any((number % 7 + 1, f"id-{number}") in seen for number in range(10_000))


def test_caps() -> None:
    caps = Caps()
    assert caps.loosest("a", 0) is None
    caps.adjust("a", 100_000, 50, None)
    caps.adjust("a", 200_000, 80, 50)
    caps.adjust("a", 200_000, 20, 80)

    assert [None, 50, 50, 80, 80, 20] == [
        caps.loosest("a", at_ms)
        for at_ms in (1, 100_000 - CAP_SLACK_MS, 150_000, 199_000, 200_000 + CAP_SLACK_MS, 300_000)
    ]
    caps.adjust("b", 100_000, 50, 70)
    assert 70 == caps.loosest("b", 1)
