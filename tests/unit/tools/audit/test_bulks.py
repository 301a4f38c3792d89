"""Bulks in the audit: each line is a transfer like any other."""

from __future__ import annotations

import pytest

from clearinghub.messages import VERSION, encode
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


def test_lines_are_asked_for_and_answered_together(topics: Topics) -> None:
    topics.bulk("t-1", "t-2", "t-3")
    for transfer_id in ("t-1", "t-2"):
        topics.move(PAYER, AMOUNT, transfer_id)
    topics.end("ABORTED_REJECTED", "t-3")
    topics.bulk_fulfil({"transferId": "t-1"}, {"transferId": "t-2", "errorInformation": {}})
    committed(topics, "t-1")
    topics.end("ABORTED_ERROR", "t-2")
    topics.move(PAYER, -AMOUNT, "t-2")

    audited = topics.audit()

    assert {} == audited.broken, audited.details
    assert (4, 0, 0, 0) == audited.standings


@pytest.mark.parametrize("source", [PAYEE, "mallory"])
def test_a_line_commits_by_its_payee_s_answer_alone(topics: Topics, source: str) -> None:
    topics.bulk("t-1")
    topics.move(PAYER, AMOUNT)
    topics.bulk_fulfil({"transferId": "t-1"}, source=source)
    committed(topics, "t-1")

    assert ({} if source == PAYEE else {"committed-as-answered": ["t-1"]}) == topics.audit().broken


def test_a_bulk_that_is_refused_as_a_whole_leaves_its_lines_free(topics: Topics) -> None:
    topics.bulk("t-1", "t-2", amount=1)
    topics.bulk("t-1")
    topics.move(PAYER, AMOUNT)

    audited = topics.audit()

    assert {} == audited.broken, audited.details
    assert (1, 1, 0, 0) == audited.standings, "nothing is missing of the line that was never decided"


def test_a_line_in_terms_that_nobody_asked_for(topics: Topics) -> None:
    topics.bulk("t-1", amount=1)
    topics.move(PAYER, AMOUNT)
    topics.end("ABORTED_ERROR")
    topics.move(PAYER, -AMOUNT)

    assert "final-as-asked" in topics.audit().broken


def test_other_messages_about_bulks_are_no_answers(topics: Topics) -> None:
    for kind, action in (("bulk-get", None), ("bulk-timeout", None), ("bulk-fulfil", "abort")):
        line = {"v": VERSION, "kind": kind, "id": "b-1", "action": action, "source": PAYEE}
        topics.write("bulk-fulfil", PAYER_PARTITION, encode(line, b"{}"))

    assert {} == topics.audit().broken


def test_a_bulk_that_is_a_dead_letter_was_not_asked(topics: Topics) -> None:
    offset = topics.bulk("t-1")
    topics.dead("bulk-prepare", PAYER_PARTITION, offset)
    topics.move(PAYER, AMOUNT)

    assert "asked-for" in topics.audit().broken


@pytest.mark.parametrize(("lines", "broken"), [(2, {}), (1, {"window-nets": ["window 1"]})])
def test_lines_that_commit_stand_in_the_nets_of_their_window(topics: Topics, lines: int, broken: object) -> None:
    topics.bulk("t-1", "t-2")
    topics.bulk_fulfil({"transferId": "t-1"}, {"transferId": "t-2"})
    for transfer_id in ("t-1", "t-2"):
        topics.move(PAYER, AMOUNT, transfer_id)
        committed(topics, transfer_id)
    topics.marker()
    topics.window(nets={PAYER: (lines * AMOUNT, 0, lines, 0), PAYEE: (0, lines * AMOUNT, 0, lines)})

    assert broken == topics.audit().broken
