"""Which headers of a request travel with its message."""

from __future__ import annotations

import pytest

from clearinghub.messages.headers import first_unsafe, forwarded_headers

DEFINED = {
    "accept": "a",
    "content-type": "c",
    "date": "d",
    "traceparent": "t",
    "tracestate": "s",
    "fspiop-source": "payerfsp",
    "fspiop-encryption": "jwe",
}
# Of the connection, of a gateway, of a login: what a request can carry beside its message.
OTHERS = (
    "authorization connection content-encoding content-length cookie expect host keep-alive set-cookie te upgrade "
    "user-agent x-api-key x-client-id x-forwarded-client-cert x-forwarded-for x-unknown"
)


def test_only_headers_of_the_message_travel() -> None:
    assert DEFINED == forwarded_headers(DEFINED | dict.fromkeys(OTHERS.split(), "x"))


def test_a_scheme_can_add_headers_of_its_own() -> None:
    assert {"x-scheme": "1"} == forwarded_headers({"x-scheme": "1", "x-other": "2"}, {"x-scheme"})


@pytest.mark.parametrize(("name", "value"), [("x-a", "1\n"), ("x-a", "\x00"), ("x a", "1"), ("X-A", "1"), ("", "1")])
def test_a_header_that_could_break_a_request_apart_is_found(name: str, value: str) -> None:
    assert name == first_unsafe({"date": "d", name: value})


def test_a_tab_and_text_of_any_script_are_safe() -> None:
    assert first_unsafe({"x-a": "a\tb", "x-b": "\u00e9"}) is None
