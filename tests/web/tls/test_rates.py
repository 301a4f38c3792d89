"""A participant beyond its rates is refused, and the others are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.web.tls.world import PAYEE, REQUESTS, request

BUSY = "503 2005 Server busy"


async def test_requests_beyond_a_rate_are_refused_by_participant_and_kind(make_hub: Callable[..., Any]) -> None:
    hub = await make_hub(rate_begun=1)
    payer, same_payer, payee = await hub.open("good"), await hub.open("good, RSA"), await hub.open("another's")

    answers = [await payer.ask(request(*REQUESTS["POST"])) for _ in range(10)]

    assert "202" == answers[0]
    assert BUSY == answers[-1] == await same_payer.ask(request(*REQUESTS["POST"]))
    assert answers.count("202") == len(hub.recorder.records) <= 4
    assert "200" == await payer.ask(request(*REQUESTS["PUT"]))
    assert "202" == await payee.ask(request(*REQUESTS["GET"], source=PAYEE))


async def test_bytes_beyond_a_rate_are_refused(make_hub: Callable[..., Any]) -> None:
    hub = await make_hub(rate_bytes=100)
    payer = await hub.open("good")

    assert ["202", BUSY] == [await payer.ask(request(*REQUESTS["POST"])) for _ in range(2)]
    assert BUSY == await payer.ask(request(*REQUESTS["GET"]))
