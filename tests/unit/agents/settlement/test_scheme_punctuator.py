"""A hub whose models are older than the partitions' copies of them tells them once."""

from __future__ import annotations

from agents.settlement.scheme import make_scheme_punctuator, publish_scheme
from clearinghub.domain.participants.participant import Participant
from tables.participants import PARTICIPANTS
from tests.fakes import MemoryView
from tests.property.settlement_world import HUB, MODELS

HUBS_ROW = Participant(1, HUB, active=True, created_at_ms=1, models=MODELS, version=7)
NOW_MS = 1_700_000_000_000


def sent(view: MemoryView) -> list[tuple[int | None, int]]:
    return [(one.partition, one.header["hub_version"]) for one in view.take() if one.topic == "settlement"]


def test_models_that_no_partition_knows_are_sent_once() -> None:
    view, punctuate = MemoryView(0, 2), make_scheme_punctuator(0, HUB)
    punctuate(view, NOW_MS)
    view.put(PARTICIPANTS, HUB, Participant(1, HUB, active=True, created_at_ms=1))
    punctuate(view, NOW_MS)
    assert [] == sent(view)

    view.put(PARTICIPANTS, HUB, HUBS_ROW)
    for _ in range(3):
        punctuate(view, NOW_MS)
    assert [(0, 7), (1, 7)] == sent(view)


def test_known_models_are_not_sent_again_nor_by_other_partitions() -> None:
    view, other = MemoryView(0, 2), MemoryView(1, 2)
    for one in (view, other):
        one.put(PARTICIPANTS, HUB, HUBS_ROW)
    publish_scheme(view, HUBS_ROW)
    view.take()

    for one in (view, other):
        make_scheme_punctuator(0, HUB)(one, NOW_MS)
        assert [] == sent(one)
