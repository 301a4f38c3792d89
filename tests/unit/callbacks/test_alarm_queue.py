from __future__ import annotations

import asyncio

from clearinghub.callbacks.deliverer import Deliverer
from clearinghub.messages.callbacks import ALARM_RESOURCE
from tests.unit.callbacks.fakes import Endpoints, FakeDeadLetters, ScriptedTransport, notification, settings


async def test_an_alarm_that_nobody_takes_costs_the_receivers_payments_nothing() -> None:
    """One failure opens the breaker here, for a minute; it must be the breaker of the alarms."""
    transport, dead_letters = ScriptedTransport(a=[503]), FakeDeadLetters()
    calm = settings(callback_retries_max=0, callback_breaker_failures=1, callback_breaker_open_ms=60_000)
    deliverer = Deliverer(calm, Endpoints("a"), transport, dead_letters.write, lambda: 0)
    try:
        alarm = notification("a", "alarm").changed(resource=ALARM_RESOURCE)
        assert ("a", "a alarms") == (notification("a").message.queue, alarm.message.queue)
        await deliverer.submit(alarm)
        async with asyncio.timeout(5):
            await deliverer.submit(notification("a", "t-1"))
        assert (["retries-exhausted"], 2) == (dead_letters.reasons(), len(transport.sent))
    finally:
        await deliverer.close()
