from __future__ import annotations

import pytest

from clearinghub.callbacks.headers import UnsafeHeader, outbound_headers
from clearinghub.callbacks.notification import Notification
from clearinghub.messages.callbacks import ALARM_RESOURCE
from tests.unit.callbacks.fakes import PLAIN

NOW_MS = 1_700_000_000_123
NOW = "Tue, 14 Nov 2023 22:13:20 GMT"
SENT = {
    "accept": "application/vnd.interoperability.transfers+json;version=1.1",
    "content-type": "application/vnd.interoperability.transfers+json;version=1.0",
    "date": "Mon, 13 Nov 2023 10:00:00 GMT",
    "fspiop-source": "payerfsp",
    "fspiop-destination": "payeefsp",
    "fspiop-uri": "/transfers",
    "fspiop-http-method": "POST",
    "fspiop-signature": '{"signature":"abc","protectedHeader":"def"}',
    "fspiop-encryption": "jwe",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tracestate": "a=1",
    "x-scheme": "1",
}
FORWARDED = PLAIN.changed(
    source="payerfsp", receiver="payeefsp", method="POST", path="/transfers", headers=SENT, trace=None
)


def outbound(notification: Notification) -> dict[str, str] | UnsafeHeader:
    return outbound_headers(notification.message, hub_name="Hub", content_version="1.1", now_ms=NOW_MS)


def headers_of(notification: Notification) -> dict[str, str]:
    headers = outbound(notification)
    assert not isinstance(headers, UnsafeHeader)
    return headers


def test_the_hubs_own_headers_are_built_anew() -> None:
    expected = {
        "content-type": "application/vnd.interoperability.transfers+json;version=1.1",
        "date": NOW,
        "fspiop-source": "Hub",
        "fspiop-destination": "payerfsp",
        "fspiop-http-method": "PUT",
        "fspiop-uri": "/transfers/t-1",
        "traceparent": SENT["traceparent"],
        "tracestate": "a=1",
    }
    assert expected == headers_of(PLAIN.changed(headers=SENT))


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_the_hubs_own_requests_say_which_version_they_want(method: str) -> None:
    """DFSPs refuse them otherwise: Accept is required on all but callbacks (protocol 1.1)."""
    headers = headers_of(PLAIN.changed(resource="bulkTransfers", method=method, path="/bulkTransfers"))

    assert "application/vnd.interoperability.bulkTransfers+json;version=1" == headers["accept"]
    assert "accept" not in headers_of(PLAIN.changed(resource=ALARM_RESOURCE, method=method))


def test_a_forwarded_post_is_left_as_it_came() -> None:
    assert SENT == headers_of(FORWARDED)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_forwarded_callback_has_no_accept(method: str) -> None:
    expected = SENT | {"fspiop-http-method": method, "fspiop-uri": "/transfers/t-1"}
    del expected["accept"]
    assert expected == headers_of(FORWARDED.changed(method=method, path="/transfers/t-1"))


def test_the_destination_is_the_receiver_even_if_the_sender_named_none() -> None:
    sent = {name: value for name, value in SENT.items() if name not in {"fspiop-destination", "fspiop-signature"}}
    assert "payeefsp" == headers_of(FORWARDED.changed(headers=sent))["fspiop-destination"]


def test_a_signature_without_destination_is_not_broken_by_adding_one() -> None:
    sent = {name: value for name, value in SENT.items() if name != "fspiop-destination"}
    assert sent == headers_of(FORWARDED.changed(headers=sent))


def test_a_participants_name_keeps_the_senders_spelling() -> None:
    sent = SENT | {"fspiop-source": "PayerFSP", "fspiop-destination": "PayeeFSP"}
    assert sent == headers_of(FORWARDED.changed(headers=sent))


def test_another_source_or_destination_is_corrected() -> None:
    sent = SENT | {"fspiop-source": "other", "fspiop-destination": "other"}
    assert SENT == headers_of(FORWARDED.changed(headers=sent))


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("Mon, 13 Nov 2023 10:00:00", "Mon, 13 Nov 2023 10:00:00"),
        ("2023-11-13T10:00:00.000Z", "Mon, 13 Nov 2023 10:00:00 GMT"),
        ("2023-11-13T12:00:00+02:00", "Mon, 13 Nov 2023 10:00:00 GMT"),
        ("2023-11-13T10:00:00", "Mon, 13 Nov 2023 10:00:00 GMT"),
        ("0001-01-01T00:00:00+14:00", NOW),
        ("yesterday", NOW),
        ("", NOW),
    ],
)
def test_the_date_is_an_http_date(sent: str, expected: str) -> None:
    assert expected == headers_of(FORWARDED.changed(headers=SENT | {"date": sent}))["date"]


def test_a_missing_date_is_now() -> None:
    sent = {name: value for name, value in SENT.items() if name != "date"}
    assert NOW == headers_of(FORWARDED.changed(headers=sent))["date"]


def test_the_records_trace_fills_in_for_a_missing_one() -> None:
    assert "00-ff" == headers_of(PLAIN.changed(trace="00-ff"))["traceparent"]
    assert SENT["traceparent"] == headers_of(FORWARDED.changed(trace="00-ff"))["traceparent"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("x-a", "1\r\nfspiop-source: evil"), ("x-a", "1\n"), ("x-a", "\x00"), ("x a", "1"), ("x:a", "1")],
)
def test_a_header_that_would_break_the_request_apart_is_reported(name: str, value: str) -> None:
    assert UnsafeHeader(name) == outbound(FORWARDED.changed(headers=SENT | {name: value}))


def test_a_path_with_a_line_break_is_reported() -> None:
    assert UnsafeHeader("fspiop-uri") == outbound(PLAIN.changed(path="/transfers/1\r\nx: y"))


def test_an_alarm_is_plain_json() -> None:
    headers = headers_of(PLAIN.changed(resource=ALARM_RESOURCE, method="POST", path="/"))

    assert ("application/json", "POST", "Hub") == (
        headers["content-type"],
        headers["fspiop-http-method"],
        headers["fspiop-source"],
    )
