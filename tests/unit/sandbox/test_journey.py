"""The hops of payments as the sandbox prints them."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from sandbox.dfsp.messages import Direction, Hop, Message
from sandbox.journey import JourneyPrinter

MILLISECOND = 1_000_000


class Screen:
    """A printer for two DFSPs, with the text that it has printed."""

    def __init__(self) -> None:
        self._text = StringIO()
        self._printer = JourneyPrinter(Console(file=self._text, width=80), "ada", "bea", lambda: None)

    def observe(self, about: str, resource: str, at_ms: int, method: str = "GET", dfsp: str = "ada") -> None:
        message = Message(method, f"/{resource}/x", {}, b"")
        direction = Direction.TO_HUB if dfsp == "ada" else Direction.FROM_HUB
        self._printer.observe(Hop(dfsp, direction, about, f"{method} it", at_ms * MILLISECOND, message=message))

    def observe_answer(self, about: str, at_ms: int) -> None:
        self._printer.observe(Hop("ada", Direction.FROM_HUB, about, "202 Accepted", at_ms * MILLISECOND))

    @property
    def lines(self) -> list[str]:
        """The printed lines without blank ones and column heads."""
        return [
            " ".join(line.split()) for line in self._text.getvalue().splitlines() if line.strip() and "hub" not in line
        ]


def test_a_hop_has_the_time_since_its_first() -> None:
    screen = Screen()
    screen.observe("q1", "quotes", 5, "POST")
    screen.observe_answer("q1", 7)
    screen.observe("q1", "quotes", 9, "POST", "bea")

    assert ["quote q1", "0.0 POST it ──▶ │", "2.0 202 Accepted ◀── │", "4.0 │ ──▶ POST it"] == screen.lines


def test_a_payment_after_another_has_its_head_again() -> None:
    screen = Screen()
    screen.observe("q1", "quotes", 5, "POST")
    screen.observe("t1", "transfers", 6, "POST")
    screen.observe_answer("q1", 8)

    assert ["quote q1", "0.0 POST it ──▶ │", "transfer t1", "0.0 POST it ──▶ │"] == screen.lines[:4]
    assert ["quote q1", "3.0 202 Accepted ◀── │"] == screen.lines[4:]


def test_a_new_lookup_of_the_same_party_begins_anew() -> None:
    screen = Screen()
    screen.observe("MSISDN/1", "parties", 5)
    screen.observe("MSISDN/1", "parties", 60)

    assert ["lookup MSISDN/1", "0.0 GET it ──▶ │"] * 2 == screen.lines


def test_registering_parties_is_not_shown() -> None:
    screen = Screen()
    screen.observe("r1", "participants", 5, "POST")
    screen.observe_answer("r1", 6)

    assert [] == screen.lines
