"""Which headers of a request travel with its message."""

from __future__ import annotations

import pytest

from clearinghub.messages.headers import first_unsafe, forwarded_headers, trace_headers, trace_of

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

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


@pytest.mark.parametrize(
    ("tracestate", "kept"),
    [
        (None, None),
        ("", None),
        (" ", None),
        ("a=\u00e9", None),
        ("a=1,b=2", "a=1,b=2"),
        ("a=" + "x" * 510, "a=" + "x" * 510),
        ("a=" + "x" * 511, None),
        ("a=1, b=" + "x" * 300 + ",c=" + "y" * 300, "a=1, b=" + "x" * 300),
        ("a=" + "x" * 509 + " ,b=2", "a=" + "x" * 509),
    ],
)
def test_a_trace_context_is_one_text_of_limited_length(tracestate: str | None, kept: str | None) -> None:
    sent = {"traceparent": PARENT} | ({} if tracestate is None else {"tracestate": tracestate})
    expected = {"traceparent": PARENT} | ({} if kept is None else {"tracestate": kept})

    assert expected == trace_headers(trace_of(sent))


@pytest.mark.parametrize("sent", [{}, {"tracestate": "a=1"}, {"traceparent": "x", "tracestate": "a=1"}])
def test_without_a_valid_traceparent_there_is_no_trace(sent: dict[str, str]) -> None:
    assert {} == trace_headers(trace_of(sent))
