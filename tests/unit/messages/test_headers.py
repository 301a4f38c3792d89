"""Which headers of a request travel with its message."""

from __future__ import annotations

import pytest

from clearinghub.messages.headers import NOT_FORWARDED, first_unsafe, forwarded_headers


def test_headers_of_the_connection_do_not_travel() -> None:
    sent = {"fspiop-source": "a", "x-unknown": "1"}

    assert sent == forwarded_headers(sent | dict.fromkeys(NOT_FORWARDED, "x"))


def test_nor_do_those_that_the_connection_header_names() -> None:
    assert {"x-kept": "2"} == forwarded_headers({"connection": "keep-alive, X-Hop", "x-hop": "1", "x-kept": "2"})


@pytest.mark.parametrize(("name", "value"), [("x-a", "1\n"), ("x-a", "\x00"), ("x a", "1"), ("X-A", "1"), ("", "1")])
def test_a_header_that_could_break_a_request_apart_is_found(name: str, value: str) -> None:
    assert name == first_unsafe({"date": "d", name: value})


def test_a_tab_and_text_of_any_script_are_safe() -> None:
    assert first_unsafe({"x-a": "a\tb", "x-b": "\u00e9"}) is None
