"""The hub's error callback to the sender of a message that could not be forwarded."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from clearinghub.callbacks.deliverer import Deliverer
from clearinghub.callbacks.failure import failure_callback, for_dead_letter
from clearinghub.callbacks.http_client import DestinationError, FailureKind
from clearinghub.callbacks.notification import Notification
from clearinghub.callbacks.sender import Reason, ReasonCode
from clearinghub.messages import FailureMessage, MalformedMessageError, NotificationMessage, encode, split
from tests.unit.callbacks.fakes import PUT_TYPE, Endpoints, FakeDeadLetters, ScriptedTransport, settings

ENDPOINT = "FSPIOP_CALLBACK_URL_QUOTES"
NOW_MS = 1_700_000_000_000
FORWARD = Notification(
    NotificationMessage(
        notification_id="agreement-1-7-0",
        id="q-1",
        receiver="payeefsp",
        source="payerfsp",
        method="POST",
        resource="quotes",
        endpoint=ENDPOINT,
        path="/quotes",
        variables={},
        headers={"traceparent": "t", "fspiop-source": "payerfsp", "fspiop-signature": "s"},
        trace="t",
        failure=FailureMessage(receiver="payerfsp", endpoint=ENDPOINT, path="/quotes/q-1/error", variables={}),
        deliver_by_ms=NOW_MS + 10_000,
    ),
    b'{"quoteId":"q-1"}',
)


def error_of(reason: Reason, notification: Notification = FORWARD) -> tuple[str, str]:
    callback = failure_callback(notification.message, reason, "Hub")
    assert callback is not None
    information = orjson.loads(callback.body)["errorInformation"]
    return information["errorCode"], information["errorDescription"]


def test_it_is_the_hubs_own_error_callback_and_names_nobody_in_turn() -> None:
    reason = Reason(ReasonCode.RETRIES_EXHAUSTED, "refused", None, 3)
    callback = failure_callback(FORWARD.message, reason, "Hub")
    assert callback is not None
    body = orjson.loads(callback.body)
    expected = FORWARD.changed(
        notification_id="agreement-1-7-0-failure",
        receiver="payerfsp",
        source="Hub",
        method="PUT",
        path="/quotes/q-1/error",
        headers={"traceparent": "t"},
        failure=None,
        deliver_by_ms=None,
    )._replace(body=callback.body)
    assert expected == callback
    assert {
        "errorInformation": {
            "errorCode": "1001",
            "errorDescription": "Destination communication error - Failed to send HTTP request to host",
            "extensionList": {
                "extension": [
                    {"key": "sourceFsp", "value": "payerfsp"},
                    {"key": "destinationFsp", "value": "payeefsp"},
                    {"key": "method", "value": "POST"},
                ]
            },
        }
    } == body
    assert callback == failure_callback(FORWARD.message, reason, "Hub")


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        (
            Reason(ReasonCode.NO_ENDPOINT),
            ("1001", f"Destination communication error - No {ENDPOINT} endpoint found for payeefsp"),
        ),
        (
            Reason(ReasonCode.UNKNOWN_RECEIVER),
            ("1001", f"Destination communication error - No {ENDPOINT} endpoint found for payeefsp"),
        ),
        (Reason(ReasonCode.REFUSED, status=400), ("3000", "Generic client error - payeefsp refused the request")),
        (Reason(ReasonCode.REFUSED, status=404), ("3000", "Generic client error - payeefsp refused the request")),
        (
            Reason(ReasonCode.REFUSED, status=302),
            ("1001", "Destination communication error - Failed to send HTTP request to host"),
        ),
        (
            Reason(ReasonCode.RETRIES_EXHAUSTED, status=503),
            ("1001", "Destination communication error - Failed to send HTTP request to host"),
        ),
        (
            Reason(ReasonCode.RECEIVER_DOWN),
            ("1001", "Destination communication error - Failed to send HTTP request to host"),
        ),
        (Reason(ReasonCode.UNSAFE_HEADER, "x-odd"), ("3101", "Malformed syntax - Invalid x-odd header")),
        (Reason(ReasonCode.INTERNAL_ERROR, "boom"), ("2001", "Internal server error")),
    ],
)
def test_each_end_has_its_error(reason: Reason, error: tuple[str, str]) -> None:
    assert error == error_of(reason)


def test_the_answers_status_is_in_the_error() -> None:
    callback = failure_callback(FORWARD.message, Reason(ReasonCode.REFUSED, status=400), "Hub")
    assert callback is not None
    extensions = orjson.loads(callback.body)["errorInformation"]["extensionList"]["extension"]
    assert {"key": "status", "value": "400"} in extensions


def test_a_transfers_payer_is_notified_only_of_a_missing_endpoint() -> None:
    assert FORWARD.message.failure is not None
    prepare = FORWARD.changed(failure=replace(FORWARD.message.failure, no_endpoint_only=True))
    assert "1001" == error_of(Reason(ReasonCode.NO_ENDPOINT), prepare)[0]
    assert failure_callback(prepare.message, Reason(ReasonCode.REFUSED, status=400), "Hub") is None
    assert failure_callback(prepare.message, Reason(ReasonCode.RETRIES_EXHAUSTED), "Hub") is None


def test_without_a_receiver_nobody_is_notified() -> None:
    assert failure_callback(FORWARD.changed(failure=None).message, Reason(ReasonCode.NO_ENDPOINT), "Hub") is None


def test_the_dead_letter_keeps_what_may_be_of_use_later_and_tells_nobody_again() -> None:
    assert for_dead_letter(FORWARD) is None
    lasting = FORWARD.changed(deliver_by_ms=None)
    assert lasting.changed(failure=None) == for_dead_letter(lasting)


def test_the_record_is_read_back_as_it_was_written() -> None:
    assert FORWARD == Notification.parse(FORWARD.as_value())


@pytest.mark.parametrize(
    "change",
    [
        {"failure": 1},
        {"failure": {"receiver": "a"}},
        {"failure": {"receiver": "a", "endpoint": "b", "path": "c", "variables": {"x": 1}}},
        {"deliver_by_ms": "soon"},
        {"deliver_by_ms": True},
    ],
)
def test_a_malformed_record_is_known(change: dict[str, Any]) -> None:
    header, body = split(FORWARD.as_value())
    with pytest.raises(MalformedMessageError):
        Notification.parse(encode(json.loads(header) | change, body))


class Clock:
    """The time as a test sets it."""

    now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


def impatient(number: int = 1) -> Notification:
    return FORWARD.changed(receiver="a", id=f"q-{number}", endpoint=PUT_TYPE, variables={"transferId": "q"})


async def test_after_its_end_it_is_not_even_tried() -> None:
    clock, transport, dead_letters = Clock(), ScriptedTransport(), FakeDeadLetters()
    deliverer = Deliverer(settings(), Endpoints("a"), transport, dead_letters.write, clock)
    clock.now_ms = NOW_MS + 10_000
    await deliverer.submit(impatient())
    assert ([], ["waited-too-long"]) == (transport.sent, dead_letters.reasons())
    await deliverer.close()


async def test_it_is_not_repeated_beyond_its_end() -> None:
    transport, dead_letters = ScriptedTransport(a=[503, 200]), FakeDeadLetters()
    clock = Clock()
    clock.now_ms = NOW_MS + 9_999
    deliverer = Deliverer(settings(), Endpoints("a"), transport, dead_letters.write, clock, jitter=lambda: 0.99)
    await deliverer.submit(impatient())
    assert (1, [Reason(ReasonCode.RETRIES_EXHAUSTED, status=503, attempts=1)]) == (
        len(transport.sent),
        [reason for _, reason in dead_letters.letters],
    )
    await deliverer.close()


async def test_while_the_receiver_is_known_to_be_down_it_is_given_up_at_once() -> None:
    refused = DestinationError(FailureKind.UNREACHABLE, "refused")
    transport, dead_letters = ScriptedTransport(a=[refused] * 3), FakeDeadLetters()
    changes = settings(callback_breaker_failures=3, callback_breaker_open_ms=60_000, callback_retries_max=0)
    deliverer = Deliverer(changes, Endpoints("a"), transport, dead_letters.write, Clock())
    await asyncio.gather(*(deliverer.submit(impatient(number)) for number in range(3)))
    async with asyncio.timeout(1):
        await deliverer.submit(impatient(4))
    assert ["retries-exhausted"] * 3 + ["receiver-down"] == dead_letters.reasons()
    assert 3 == len(transport.sent)
    await deliverer.close()


async def test_an_attempt_does_not_last_beyond_its_end() -> None:
    transport, dead_letters = ScriptedTransport(), FakeDeadLetters()
    transport.hold("a")
    clock = Clock()
    deliverer = Deliverer(settings(callback_retries_max=0), Endpoints("a"), transport, dead_letters.write, clock)
    async with asyncio.timeout(3):
        await deliverer.submit(impatient().changed(deliver_by_ms=NOW_MS + 10))
    [(_, reason)] = dead_letters.letters
    assert (ReasonCode.RETRIES_EXHAUSTED, "timeout: no answer while it was worth anything") == (
        reason.code,
        reason.detail,
    )
    await deliverer.close()
