"""The audit's rules on windows and settlements."""

from __future__ import annotations

from typing import Any

import pytest

from clearinghub.tools.audit.transfers import Kept
from tests.unit.tools.audit.topics import AMOUNT, PAYEE, PAYER, SETTLE_MS, START_MS, Topics

RECIPIENT = {"entryType": "SETTLEMENT_NET_RECIPIENT"}
SENDER = {"entryType": "SETTLEMENT_NET_SENDER"}
NETS = {PAYER: (AMOUNT, 0, 1, 0), PAYEE: (0, AMOUNT, 0, 1)}
MULTILATERAL = "HUB_MULTILATERAL_SETTLEMENT"


def traded(topics: Topics) -> Topics:
    """One transfer in window 1, which is closed."""
    topics.funded()
    topics.committed()
    topics.marker()
    topics.window(nets=NETS)
    return topics


def recipient_moved(topics: Topics, sign: int = 1) -> None:
    topics.move(PAYEE, sign * AMOUNT, "s-payee", **RECIPIENT)
    topics.move("Hub", -sign * AMOUNT, "s-payee", MULTILATERAL, **RECIPIENT)


def sender_moved(topics: Topics) -> None:
    topics.move(PAYER, -AMOUNT, "s-payer", **SENDER)
    topics.move("Hub", AMOUNT, "s-payer", MULTILATERAL, **SENDER)


@pytest.mark.parametrize("state", ["PENDING_SETTLEMENT", "PS_TRANSFERS_RECORDED", "ABORTED"])
def test_nothing_is_moved_before_reserved(state: str) -> None:
    topics = traded(Topics())
    topics.settlement(state)

    assert {} == topics.audit().broken


@pytest.mark.parametrize("state", ["PS_TRANSFERS_RESERVED", "PS_TRANSFERS_COMMITTED", "SETTLED", "ABORTED"])
def test_what_must_be_moved(state: str) -> None:
    topics = traded(Topics())
    topics.settlement(state)
    recipient_moved(topics)
    if state == "ABORTED":
        recipient_moved(topics, -1)
    elif state != "PS_TRANSFERS_RESERVED":
        sender_moved(topics)

    found = topics.audit()
    assert {} == found.broken
    assert (
        1
        == found.books.findings.tallies[
            next(r for r in found.books.findings.tallies if r.label == "settlement")
        ].checked
    )


@pytest.mark.parametrize("state", ["PS_TRANSFERS_RECORDED", "PS_TRANSFERS_COMMITTED"])
def test_a_move_too_much_and_one_that_is_missing(state: str) -> None:
    topics = traded(Topics())
    topics.settlement(state)
    recipient_moved(topics)

    found = topics.audit()
    assert {"settlement": ["settlement 1"]} == found.broken
    assert "was moved by" in found.details


def test_the_hubs_side_is_missing() -> None:
    topics = traded(Topics())
    topics.settlement("PS_TRANSFERS_RESERVED")
    topics.move(PAYEE, AMOUNT, "s-payee", **RECIPIENT)

    assert {"settlement": ["settlement 1"], "positions-balance": ["XTS"]} == topics.audit().broken


@pytest.mark.parametrize(("moving", "later_ms"), [(True, 60_000), (False, SETTLE_MS // 2)])
def test_what_is_under_way_is_pending(moving: bool, later_ms: int) -> None:
    topics = traded(Topics())
    topics.move(PAYEE, AMOUNT, "s-payee", **RECIPIENT)
    topics.settlement("PS_TRANSFERS_RESERVED", moving=moving)

    found = topics.audit(later_ms)
    assert {} == found.broken
    assert "settlement 1" in found.closing.pending
    assert found.books.is_pending(topics.now_ms + later_ms)


def test_nets_that_do_not_add_up_to_zero() -> None:
    topics = traded(Topics())
    topics.settlement("PENDING_SETTLEMENT", nets=(AMOUNT, 1 - AMOUNT))

    assert "nets in XTS do not add up to zero" in topics.audit().details


@pytest.mark.parametrize(
    ("nets", "detail"),
    [
        ({PAYER: (AMOUNT, 0, 1, 0)}, "payee XTS NET: told nothing"),
        ({PAYER: (2 * AMOUNT, 0, 2, 0), PAYEE: (0, 2 * AMOUNT, 0, 2)}, "payee XTS NET: told 0 in 0 debits and 200"),
        ({**NETS, "other": (1, 1, 1, 1)}, "its transfers are nothing"),
    ],
)
def test_a_window_with_other_nets_than_its_transfers(nets: Any, detail: str) -> None:
    topics = Topics()
    topics.funded()
    topics.committed()
    topics.window(nets=nets)

    found = topics.audit()
    assert {"window-nets": ["window 1"]} == found.broken
    assert detail in found.details


def test_a_window_that_failed_and_one_that_is_not_closed_yet() -> None:
    topics = Topics()
    topics.funded()
    topics.committed()
    topics.window("PROCESSING")
    assert {} == topics.audit().broken

    topics.window("FAILED")
    assert "FAILED: r" in topics.audit().details


def test_nets_whose_transfers_were_not_read_yet_are_pending() -> None:
    topics = Topics()
    topics.funded()
    topics.window(nets=NETS)

    assert ("window 1",) == topics.audit(SETTLE_MS // 2).closing.pending
    assert {"window-nets": ["window 1"]} == topics.audit().broken


def settled_at_once(topics: Topics) -> None:
    """A transfer under an immediate gross model."""
    topics.reserved()
    topics.fulfil()
    topics.move(PAYER, -AMOUNT, **SENDER)
    topics.move(PAYER, AMOUNT, account_type="SETTLEMENT", **SENDER)
    topics.end("SETTLED")
    topics.credit()
    topics.move(PAYEE, -AMOUNT)
    topics.move(PAYEE, AMOUNT, **RECIPIENT)


def test_an_immediate_gross_transfer() -> None:
    topics = Topics()
    topics.funded()
    settled_at_once(topics)
    topics.move(PAYEE, -AMOUNT, account_type="SETTLEMENT", **RECIPIENT)

    assert {} == topics.audit().broken


def test_an_immediate_gross_transfer_that_lacks_a_leg() -> None:
    topics = Topics()
    topics.funded()
    settled_at_once(topics)

    assert {"committed": ["t-1"], "reconciliation-balance": ["XTS"]} == topics.audit().broken


def test_a_settlement_entry_of_nothing() -> None:
    topics = Topics()
    topics.funded()
    recipient_moved(topics)

    assert "s-payee" in topics.audit().broken["asked-for"]


def test_without_the_first_transfers_nets_are_not_judged() -> None:
    topics = traded(Topics(Kept(START_MS, START_MS)))
    topics.settlement("SETTLED")

    found = topics.audit()
    assert {} == found.broken
