"""Every table and every kind of message between partitions has a rule for another number of partitions."""

from __future__ import annotations

from agents.handlers import INPUT_TOPICS
from clearinghub.copies.regroup.messages import ROUTED
from clearinghub.copies.regroup.rows import NOT_RESTORED, PER_PARTITION, RULES
from clearinghub.kafka.topology import load_topology

# Written by ingress, callbacks and operators only: such a record is never between two partitions.
FROM_OUTSIDE = {
    "AgreementMessage",
    "BulkPrepareMessage",
    "CommandMessage",
    "OracleAnswerMessage",
    "PartyBatchMessage",
    "PartyImportMessage",
    "PartyMessage",
    "PrepareMessage",
}


def test_every_table_has_a_rule() -> None:
    ruled = RULES.keys() | PER_PARTITION | NOT_RESTORED | {"claims"}

    assert set(load_topology().tables) == ruled
    assert len(ruled) == len(RULES) + len(PER_PARTITION) + len(NOT_RESTORED) + 1


def test_every_message_that_the_ledger_decides_has_a_rule_or_comes_from_outside() -> None:
    decided = {message for topic in INPUT_TOPICS for message in topic.handlers}

    assert {message.__name__ for message in decided} == {message.__name__ for message in ROUTED} | FROM_OUTSIDE
