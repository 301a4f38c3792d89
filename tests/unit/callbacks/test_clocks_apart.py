"""What is worthless later is judged by the broker's clock, which its record was timed by, not by the sender's."""

from __future__ import annotations

import pytest

from clearinghub.callbacks.deliverer import Deliverer
from clearinghub.clock import BrokerClock
from tests.unit.callbacks.fakes import Endpoints, FakeDeadLetters, ScriptedTransport, notification, settings

BROKER_MS = 1_700_000_000_000
PATIENCE_MS = 10_000


@pytest.mark.parametrize("ahead_ms", [-600_000, 0, 10_000, 600_000])
async def test_a_lookup_is_delivered_however_far_the_workers_clock_is_off(ahead_ms: int) -> None:
    clock = BrokerClock(lambda: BROKER_MS + ahead_ms)
    clock.note(BROKER_MS + ahead_ms, BROKER_MS, BROKER_MS + ahead_ms)
    transport, dead_letters = ScriptedTransport(a=[200]), FakeDeadLetters()
    deliverer = Deliverer(settings(), Endpoints("a"), transport, dead_letters.write, clock.now_ms)

    await deliverer.submit(notification("a").changed(deliver_by_ms=BROKER_MS + PATIENCE_MS))
    await deliverer.close()

    assert (1, []) == (len(transport.sent), dead_letters.letters)


async def test_a_lookup_that_has_waited_too_long_is_given_up_by_a_slow_clock_too() -> None:
    clock = BrokerClock(lambda: BROKER_MS - 600_000)
    clock.note(BROKER_MS - 600_000, BROKER_MS, BROKER_MS - 600_000)
    transport, dead_letters = ScriptedTransport(a=[200]), FakeDeadLetters()
    deliverer = Deliverer(settings(), Endpoints("a"), transport, dead_letters.write, clock.now_ms)

    await deliverer.submit(notification("a").changed(deliver_by_ms=BROKER_MS - 1))
    await deliverer.close()

    assert (0, ["waited-too-long"]) == (len(transport.sent), dead_letters.reasons())
