from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from clearinghub.callbacks.dead_letters import DeadLetterQueue
from clearinghub.callbacks.deliverer import Deliverer
from clearinghub.callbacks.http_client import DestinationError, FailureKind
from clearinghub.callbacks.receiver_queue import IDLE_MS
from clearinghub.callbacks.sender import Reason, ReasonCode
from tests.unit.callbacks.fakes import Endpoints, FakeDeadLetters, ScriptedTransport, notification, settings

Start = Callable[..., Deliverer]
REFUSED = DestinationError(FailureKind.UNREACHABLE, "refused")


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    started: list[Deliverer] = []

    def make(
        transport: ScriptedTransport, dead_letters: FakeDeadLetters, endpoints: Endpoints, **changes: Any
    ) -> Deliverer:
        deliverer = Deliverer(
            settings(**changes), endpoints, transport, dead_letters.write, lambda: 0, jitter=lambda: 0.99
        )
        started.append(deliverer)
        return deliverer

    yield make
    for deliverer in started:
        await deliverer.close()


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"clearinghub_callback_{name}", labels) or 0.0


async def test_a_2xx_settles(start: Start) -> None:
    transport, dead_letters = ScriptedTransport(a=[202]), FakeDeadLetters()
    deliverer = start(transport, dead_letters, Endpoints("a"))
    before = sample("deliveries_total", receiver="a", outcome="delivered")
    await deliverer.submit(notification("a", "t-9", b"body"))
    assert [("http://a/transfers/t-9", b"body")] == transport.sent
    assert ([], 0) == (dead_letters.letters, deliverer.pending)
    assert before + 1 == sample("deliveries_total", receiver="a", outcome="delivered")


@pytest.mark.parametrize("failure", [500, 503, 408, 429, REFUSED, DestinationError(FailureKind.TIMEOUT, "20 s")])
async def test_what_may_pass_is_repeated(start: Start, failure: Any) -> None:
    transport, dead_letters = ScriptedTransport(a=[failure, failure, 200]), FakeDeadLetters()
    await start(transport, dead_letters, Endpoints("a")).submit(notification("a"))
    assert (3, []) == (len(transport.sent), dead_letters.letters)


@pytest.mark.parametrize("status", [301, 400, 401, 404, 422])
async def test_a_refusal_is_given_up_at_once_with_its_status(start: Start, status: int) -> None:
    transport, dead_letters = ScriptedTransport(a=[status]), FakeDeadLetters()
    sent = notification("a")
    await start(transport, dead_letters, Endpoints("a")).submit(sent)
    assert [(sent, Reason(ReasonCode.REFUSED, status=status, attempts=1))] == dead_letters.letters


async def test_after_the_last_retry_it_is_given_up(start: Start) -> None:
    transport, dead_letters = ScriptedTransport(a=[500, REFUSED, 503]), FakeDeadLetters()
    sent = notification("a")
    before = sample("dead_letters_total", receiver="a", reason="retries-exhausted")
    await start(transport, dead_letters, Endpoints("a")).submit(sent)
    assert [(sent, Reason(ReasonCode.RETRIES_EXHAUSTED, status=503, attempts=3))] == dead_letters.letters
    assert before + 1 == sample("dead_letters_total", receiver="a", reason="retries-exhausted")


async def test_a_server_that_is_not_believed_is_tried_again_and_has_a_reason_of_its_own(start: Start) -> None:
    untrusted = DestinationError(FailureKind.UNTRUSTED, "certificate has expired")
    transport, dead_letters = ScriptedTransport(a=[untrusted] * 3, b=[untrusted, 200]), FakeDeadLetters()
    before = sample("failures_total", receiver="a", kind="untrusted")
    deliverer = start(transport, dead_letters, Endpoints("a", "b"))
    await asyncio.gather(deliverer.submit(notification("a")), deliverer.submit(notification("b")))
    ((_, reason),) = dead_letters.letters
    assert Reason(ReasonCode.UNTRUSTED, "untrusted: certificate has expired", attempts=3) == reason
    assert before + 3 == sample("failures_total", receiver="a", kind="untrusted")


async def test_a_forbidden_address_ends_a_callback_at_once(start: Start) -> None:
    forbidden = DestinationError(FailureKind.FORBIDDEN, "a: 10.0.0.1 is a private address")
    transport, dead_letters = ScriptedTransport(a=[forbidden]), FakeDeadLetters()
    await start(transport, dead_letters, Endpoints("a")).submit(notification("a"))
    ((_, reason),) = dead_letters.letters
    assert Reason(ReasonCode.BAD_ENDPOINT, f"{forbidden}", attempts=1) == reason


@pytest.mark.parametrize(
    ("endpoints", "reason"),
    [
        (Endpoints(), Reason(ReasonCode.UNKNOWN_RECEIVER)),
        (Endpoints(a=""), Reason(ReasonCode.NO_ENDPOINT, "FSPIOP_CALLBACK_URL_TRANSFER_PUT")),
        (Endpoints(a="http://a/{{x}}"), Reason(ReasonCode.BAD_ENDPOINT, "unknown variable x")),
    ],
)
async def test_without_an_address_it_is_given_up(start: Start, endpoints: Endpoints, reason: Reason) -> None:
    transport, dead_letters = ScriptedTransport(), FakeDeadLetters()
    await start(transport, dead_letters, endpoints).submit(notification("a"))
    assert ([], [reason]) == (transport.sent, [reason for _, reason in dead_letters.letters])


async def test_a_bug_costs_one_callback_only(start: Start) -> None:
    transport, dead_letters = ScriptedTransport(a=[RuntimeError("bug"), 200]), FakeDeadLetters()
    deliverer = start(transport, dead_letters, Endpoints("a"))
    await asyncio.gather(deliverer.submit(notification("a", "1")), deliverer.submit(notification("a", "2")))
    assert (["internal-error"], 2) == (dead_letters.reasons(), len(transport.sent))


async def test_it_is_settled_only_when_the_dead_letter_is_written(start: Start) -> None:
    dead_letters = FakeDeadLetters(failures=1)
    deliverer = start(ScriptedTransport(a=[400]), dead_letters, Endpoints("a"))
    deliverer._dead_letters = DeadLetterQueue(pause_s=0.05)
    settled = deliverer.submit(notification("a"))
    await asyncio.sleep(0.02)
    assert (False, 1) == (settled.done(), deliverer.pending)
    await settled
    assert ["refused"] == dead_letters.reasons()


async def test_a_transfers_callbacks_go_one_by_one_in_order_even_over_retries(start: Start) -> None:
    transport = ScriptedTransport(a=[500, 500, 200, 400, 200])
    deliverer = start(transport, FakeDeadLetters(), Endpoints("a"))
    await asyncio.gather(*(deliverer.submit(notification("a", "t", body)) for body in (b"1", b"2", b"3")))
    assert [b"1", b"1", b"1", b"2", b"3"] == [body for _, body in transport.sent]
    assert 1 == transport.in_flight_max["a"]


async def test_transfers_go_side_by_side_up_to_the_limit(start: Start) -> None:
    transport = ScriptedTransport()
    deliverer = start(transport, FakeDeadLetters(), Endpoints("a"), callback_in_flight_per_receiver_max=3)
    await asyncio.gather(*(deliverer.submit(notification("a", str(number))) for number in range(50)))
    assert (50, 3) == (len(transport.sent), transport.in_flight_max["a"])


async def test_a_transfer_that_waits_to_be_repeated_holds_up_no_other(start: Start) -> None:
    transport = ScriptedTransport(a=[500, 200, 200])
    deliverer = start(
        transport,
        FakeDeadLetters(),
        Endpoints("a"),
        callback_in_flight_per_receiver_max=1,
        callback_retry_first_ms=50,
        callback_retry_longest_ms=50,
    )
    await asyncio.gather(*(deliverer.submit(notification("a", name, name.encode())) for name in ("1", "2", "3")))
    assert [b"1", b"2", b"3", b"1"] == [body for _, body in transport.sent]


async def test_a_receiver_that_hangs_delays_no_other(start: Start) -> None:
    transport = ScriptedTransport()
    held = transport.hold("slow")
    deliverer = start(transport, FakeDeadLetters(), Endpoints("slow", "fast"))
    stuck = [deliverer.submit(notification("slow", str(number))) for number in range(200)]
    async with asyncio.timeout(1):
        await asyncio.gather(*(deliverer.submit(notification("fast", str(number))) for number in range(200)))
    assert not any(future.done() for future in stuck)
    held.set()
    await asyncio.gather(*stuck)


async def test_the_breaker_spares_a_receiver_that_is_down_and_finds_it_again(start: Start) -> None:
    transport = ScriptedTransport(a=[REFUSED] * 4)
    deliverer = start(
        transport,
        FakeDeadLetters(),
        Endpoints("a"),
        callback_in_flight_per_receiver_max=1,
        callback_breaker_failures=3,
        callback_breaker_open_ms=200,
        callback_retries_max=50,
    )
    futures = [deliverer.submit(notification("a", str(number))) for number in range(20)]
    await asyncio.sleep(0.05)
    assert (3, 2.0) == (len(transport.sent), sample("breaker_state", receiver="a"))
    await asyncio.gather(*futures)
    assert (24, 0.0) == (len(transport.sent), sample("breaker_state", receiver="a"))


async def test_while_it_is_down_callbacks_wait_no_longer_than_they_may(start: Start) -> None:
    dead_letters = FakeDeadLetters()
    deliverer = start(
        ScriptedTransport(a=[REFUSED] * 1_000),
        dead_letters,
        Endpoints("a"),
        callback_breaker_failures=1,
        callback_retries_max=1_000,
        callback_wait_ms_max=100,
    )
    async with asyncio.timeout(1):
        await asyncio.gather(*(deliverer.submit(notification("a", str(number % 5))) for number in range(20)))
    assert ["waited-too-long"] * 20 == dead_letters.reasons()


async def test_without_a_place_to_park_what_a_full_queue_cannot_take_is_dead_lettered(start: Start) -> None:
    transport, dead_letters = ScriptedTransport(), FakeDeadLetters()
    held = transport.hold("a")
    deliverer = start(transport, dead_letters, Endpoints("a"), callback_queue_per_receiver_max=3)
    for number in range(3):
        deliverer.submit(notification("a", str(number)))
    await deliverer.submit(notification("a", "one more"))
    assert ["receiver-overloaded"] == dead_letters.reasons()
    held.set()


async def test_two_receivers_that_hang_leave_room_for_a_third(start: Start) -> None:
    transport, dead_letters = ScriptedTransport(), FakeDeadLetters()
    held = [transport.hold(name) for name in ("a", "b")]
    deliverer = start(transport, dead_letters, Endpoints("a", "b", "c"), callback_pending_max=30)
    for number in range(100):
        deliverer.submit(notification("a", str(number)))
        deliverer.submit(notification("b", str(number)))
    await asyncio.wait_for(deliverer.submit(notification("c")), 1)
    assert [10, 10] == [deliverer._queues.of(name).pending for name in ("a", "b")]
    for one in held:
        one.set()


async def test_a_flooding_receiver_leaves_connections_for_another(start: Start) -> None:
    transport = ScriptedTransport()
    held = transport.hold("flood")
    deliverer = start(transport, FakeDeadLetters(), Endpoints("flood", "calm"), callback_in_flight_max=10)
    flood = [deliverer.submit(notification("flood", str(number))) for number in range(100)]
    await asyncio.sleep(0.01)
    assert transport.in_flight["flood"] <= 6
    await asyncio.gather(*(deliverer.submit(notification("calm", str(number))) for number in range(20)))
    assert transport.in_flight_max["calm"] >= 2
    held.set()
    await asyncio.gather(*flood)


async def test_the_bytes_of_a_queue_are_bounded(start: Start) -> None:
    transport, dead_letters = ScriptedTransport(), FakeDeadLetters()
    held = transport.hold("a")
    deliverer = start(transport, dead_letters, Endpoints("a"), callback_queue_bytes_per_receiver_max=10_000)
    for number in range(5):
        deliverer.submit(notification("a", str(number)), size=4_000)
    await asyncio.sleep(0.01)
    assert ["receiver-overloaded"] * 3 == dead_letters.reasons()
    held.set()


async def test_closing_finishes_what_is_on_its_way_and_cancels_what_waits(start: Start) -> None:
    transport = ScriptedTransport(down=[REFUSED] * 1_000)
    held = transport.hold("a")
    long_ms = 60_000
    deliverer = start(
        transport,
        FakeDeadLetters(),
        Endpoints("a", "down"),
        callback_retry_first_ms=long_ms,
        callback_retry_longest_ms=long_ms,
    )
    on_its_way = deliverer.submit(notification("a"))
    waits = deliverer.submit(notification("down"))
    await asyncio.sleep(0.05)
    asyncio.get_running_loop().call_later(0.05, held.set)
    await deliverer.close()
    assert (False, True) == (on_its_way.cancelled(), waits.cancelled())
    assert deliverer.submit(notification("a")).cancelled()


async def test_closing_takes_no_longer_than_it_may(start: Start) -> None:
    transport = ScriptedTransport()
    transport.hold("a")
    deliverer = start(transport, FakeDeadLetters(), Endpoints("a"), stop_timeout_ms=1_000)
    hangs = deliverer.submit(notification("a"))
    await asyncio.sleep(0)
    await asyncio.wait_for(deliverer.close(), 1.5)
    assert hangs.cancelled()


async def test_an_idle_receiver_is_forgotten(start: Start) -> None:
    deliverer = start(ScriptedTransport(), FakeDeadLetters(), Endpoints("a"))
    await deliverer.submit(notification("a"))
    await asyncio.sleep(0)
    now_ms = deliverer._now_ms()
    deliverer._queues.forget_idle(now_ms + IDLE_MS - 1_000)
    assert ["a"] == [queue.receiver for queue in deliverer._queues.all()]
    deliverer._queues.forget_idle(now_ms + IDLE_MS)
    assert [] == deliverer._queues.all()
    assert REGISTRY.get_sample_value("clearinghub_callback_pending", {"receiver": "a"}) is None


async def test_a_header_that_cannot_be_sent_is_given_up(start: Start) -> None:
    transport, dead_letters = ScriptedTransport(), FakeDeadLetters()
    broken = notification("a").changed(headers={"tracestate": "a\r\nb"})
    await start(transport, dead_letters, Endpoints("a")).submit(broken)
    assert ([], [(broken, Reason(ReasonCode.UNSAFE_HEADER, "tracestate"))]) == (transport.sent, dead_letters.letters)


async def test_no_line_in_the_log_names_a_person(start: Start) -> None:
    """A callback about a party is called by its path."""
    transport, dead_letters = ScriptedTransport(a=[500, 500, 500]), FakeDeadLetters()
    sent = notification("a").changed(id="/parties/MSISDN/27710101999", resource="parties")

    with capture_logs() as logs:
        await start(transport, dead_letters, Endpoints("a")).submit(sent)

    assert ["callback-failed", "callback-failed", "callback-given-up"] == [log["event"] for log in logs]
    assert [] == [log for log in logs if "27710101999" in repr(log)]
    assert 1 == len({log["subject"] for log in logs})
    assert logs[0]["subject"].startswith("/parties/MSISDN/#")


async def test_a_transfer_s_callback_is_called_by_its_id(start: Start) -> None:
    with capture_logs() as logs:
        await start(ScriptedTransport(a=[400]), FakeDeadLetters(), Endpoints("a")).submit(notification("a", "t-9"))

    assert ["t-9"] == [log["subject"] for log in logs]
