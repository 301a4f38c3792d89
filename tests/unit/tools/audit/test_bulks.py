"""Bulks in the audit: each item is a transfer like any other."""

from __future__ import annotations

import pytest

from clearinghub.domain.bulk.fulfil import ItemResult
from clearinghub.domain.errors import ErrorInformation
from clearinghub.messages import encode
from clearinghub.messages.bulk import BulkFulfilMessage, BulkGetMessage, BulkTimeoutMessage
from tests.unit.tools.audit.topics import AMOUNT, PAYEE, PAYER, PAYER_PARTITION, Topics


@pytest.fixture
def topics() -> Topics:
    topics = Topics()
    topics.funded()
    return topics


def committed(topics: Topics, transfer_id: str) -> None:
    topics.end("COMMITTED", transfer_id)
    topics.credit(transfer_id)
    topics.move(PAYEE, -AMOUNT, transfer_id)


def test_items_are_requested_and_answered_together(topics: Topics) -> None:
    topics.bulk("t-1", "t-2", "t-3")
    for transfer_id in ("t-1", "t-2"):
        topics.move(PAYER, AMOUNT, transfer_id)
    topics.end("ABORTED_REJECTED", "t-3")
    topics.bulk_fulfil(ItemResult("t-1"), ItemResult("t-2", error=ErrorInformation("5104", "no")))
    committed(topics, "t-1")
    topics.end("ABORTED_ERROR", "t-2")
    topics.move(PAYER, -AMOUNT, "t-2")

    audited = topics.audit()

    assert {} == audited.broken, audited.details
    assert (4, 0, 0, 0) == audited.phases


@pytest.mark.parametrize("source", [PAYEE, "mallory"])
def test_an_item_commits_by_its_payees_answer_alone(topics: Topics, source: str) -> None:
    topics.bulk("t-1")
    topics.move(PAYER, AMOUNT)
    topics.bulk_fulfil(ItemResult("t-1"), source=source)
    committed(topics, "t-1")

    assert ({} if source == PAYEE else {"committed-as-answered": ["t-1"]}) == topics.audit().broken


def test_a_bulk_that_is_refused_as_a_whole_leaves_its_items_free(topics: Topics) -> None:
    topics.bulk("t-1", "t-2", amount=1)
    topics.bulk("t-1")
    topics.move(PAYER, AMOUNT)

    audited = topics.audit()

    assert {} == audited.broken, audited.details
    assert (1, 1, 0, 0) == audited.phases, "nothing is missing of the item that was never decided"


def test_an_item_in_terms_that_nobody_requested(topics: Topics) -> None:
    topics.bulk("t-1", amount=1)
    topics.move(PAYER, AMOUNT)
    topics.end("ABORTED_ERROR")
    topics.move(PAYER, -AMOUNT)

    assert "final-as-asked" in topics.audit().broken


def test_other_messages_about_bulks_are_no_answers(topics: Topics) -> None:
    for message in (
        BulkGetMessage(id="b-1", source=PAYEE),
        BulkTimeoutMessage(id="b-1"),
        BulkFulfilMessage(id="b-1", action="abort", source=PAYEE, hash="h"),
    ):
        topics.write("bulk-fulfil", PAYER_PARTITION, encode(message, b"{}"))

    assert {} == topics.audit().broken


def test_a_bulk_that_is_a_dead_letter_is_no_request(topics: Topics) -> None:
    offset = topics.bulk("t-1")
    topics.dead("bulk-prepare", PAYER_PARTITION, offset)
    topics.move(PAYER, AMOUNT)

    assert "asked-for" in topics.audit().broken


@pytest.mark.parametrize(("items", "broken"), [(2, {}), (1, {"window-nets": ["window 1"]})])
def test_items_that_commit_are_in_the_nets_of_their_window(topics: Topics, items: int, broken: object) -> None:
    topics.bulk("t-1", "t-2")
    topics.bulk_fulfil(ItemResult("t-1"), ItemResult("t-2"))
    for transfer_id in ("t-1", "t-2"):
        topics.move(PAYER, AMOUNT, transfer_id)
        committed(topics, transfer_id)
    topics.marker()
    topics.window(nets={PAYER: (items * AMOUNT, 0, items, 0), PAYEE: (0, items * AMOUNT, 0, items)})

    assert broken == topics.audit().broken
