"""The feature level: raised by an operator, in force on each partition from one record on, and never lowered."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from clearinghub.engine.errors import PartitionStoppedError
from clearinghub.features import FIRST_LEVEL
from clearinghub.messages import encode, split
from clearinghub.messages.settlement import SchemeMessage
from tables.participants import PARTICIPANTS
from tables.scheme import may_write, scheme_copy
from tests.in_memory_hub import PARTITIONS, InMemoryHub

NEXT = FIRST_LEVEL + 1


def raise_level(hub: InMemoryHub, level: int) -> dict[str, Any]:
    """Return the error of the reply, None if there is none."""
    hub.command("raise-feature-level", "Hub", {"level": level, "reason": "all run the next release"})
    (reply,) = hub.new_records("reply")
    error: dict[str, Any] = reply.header["error"]
    return error


def test_nothing_new_may_be_written_at_first() -> None:
    hub = InMemoryHub(highest_level=NEXT)

    assert [(True, False)] * PARTITIONS == [(may_write(view, FIRST_LEVEL), may_write(view, NEXT)) for view in hub.views]


def test_each_partition_applies_a_level_from_the_record_that_says_so() -> None:
    hub = InMemoryHub(highest_level=NEXT)
    hub.hold_back("settlement")

    assert raise_level(hub, NEXT) is None
    assert not any(may_write(view, NEXT) for view in hub.views)

    hub.deliver(("settlement", 1))
    assert [False, True, False] == [may_write(view, NEXT) for view in hub.views]
    hub.release()
    assert all(may_write(view, NEXT) for view in hub.views)


def test_who_raised_it_and_why_is_kept_with_the_hub() -> None:
    hub = InMemoryHub(highest_level=NEXT)

    raise_level(hub, NEXT)

    stored = hub.coordinator.get(PARTICIPANTS, "Hub")
    assert stored is not None
    (raised,) = stored.feature_raises
    assert (NEXT, "all run the next release", hub.now_ms - PARTITIONS) == (raised.level, raised.reason, raised.at_ms)
    assert stored == hub.participants.get("Hub"), "every process reads it"


@pytest.mark.parametrize("level", [0, FIRST_LEVEL, NEXT])
def test_a_level_is_never_lowered_nor_set_again(level: int) -> None:
    hub = InMemoryHub(highest_level=NEXT)
    raise_level(hub, NEXT)

    error = raise_level(hub, level)

    assert "the feature level is 2 and is never lowered" in error["description"]
    assert all(may_write(view, NEXT) for view in hub.views)


def test_a_level_that_the_ledger_does_not_know_is_refused() -> None:
    hub = InMemoryHub()

    assert "the ledger knows feature levels up to 1" in raise_level(hub, NEXT)["description"]
    assert FIRST_LEVEL == scheme_copy(hub.coordinator).feature_level


def test_a_partition_stops_at_a_level_that_its_worker_does_not_know() -> None:
    hub = InMemoryHub()
    message = SchemeMessage(hub_version=9, models=(), feature_level=NEXT)

    with pytest.raises(PartitionStoppedError, match="partition 1 is at feature level 2, and this release knows 1"):
        hub.decide(("settlement", 1), "", encode(message))
    assert 0 == scheme_copy(hub.views[1]).hub_version


@pytest.mark.parametrize("topic", ["credit", "settlement", "prepare", "party"])
def test_a_partition_stops_at_a_message_of_a_later_release(topic: str) -> None:
    hub = InMemoryHub()

    with pytest.raises(PartitionStoppedError, match=f"unknown-message: {topic}/2 at 0 is a message of a later release"):
        hub.decide((topic, 2), "beta", b'{"kind":"credit-in-parts","v":1,"id":"t"}\n')


def test_a_fulfil_on_its_way_round_the_ring_keeps_what_a_later_release_wrote() -> None:
    hub = InMemoryHub(delivers_at_once=False)
    fields = {"id": "t", "action": "commit", "source": "beta", "hash": "h", "headers": {}, "later": [1]}

    hub.decide(("fulfil", 0), "Hub", b'{"kind":"fulfil","v":1,%b\nbody' % orjson.dumps(fields)[1:])

    (onward,) = hub.waiting_on("lookup")
    assert (1, [1]) == (onward.header["hops"], onward.header["later"])
    assert b"body" == split(onward.value)[1]
