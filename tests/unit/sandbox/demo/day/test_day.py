"""The plan of a day, its books, and the differences that it finds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clearinghub.tools.client.admin import HubNotReadyError, Reply
from clearinghub.tools.client.reports import WindowTransfer
from sandbox.demo.day.day_books import DayBooks, Gross
from sandbox.demo.day.day_plan import AMOUNT_UNITS_MAX, CAP_UNITS, TRANSFERS_MAX, TRANSFERS_MIN, DayTransfer, make_day
from sandbox.demo.day.day_run import PatientAdmin
from sandbox.demo.day.problems import Problems
from sandbox.demo.day.traffic import ENDINGS, SentTransfer
from sandbox.demo.day.windows import ClosedWindow, book_windows
from sandbox.dfsp.behaviour import Behaviour

PAID = DayTransfer(Behaviour.COMMIT, "amber", "birch", "KES", 100)
BACK = DayTransfer(Behaviour.RESERVE, "birch", "amber", "KES", 30)
REFUSED = DayTransfer(Behaviour.REJECT, "amber", "coral", "TZS", 7)
CLOSED = [
    ClosedWindow(1, requested_at_ns=1_000, closed_at_ns=1_100),
    ClosedWindow(2, requested_at_ns=2_000, closed_at_ns=2_100),
]


@pytest.mark.parametrize("count", [TRANSFERS_MIN, 61, 200, TRANSFERS_MAX])
def test_a_plan(count: int) -> None:
    plan = make_day(count, 7, "x")

    assert (5, 3, 12) == (len(plan.names), len(plan.currencies), len(plan.accounts))
    assert count == len(plan.transfers)
    assert all(transfer.payer != transfer.payee for transfer in plan.transfers)
    assert all({one.payer, one.payee} <= set(plan.traders[one.currency]) for one in plan.transfers)
    assert len(plan.names[0]) <= 30
    third = count // 3
    for begin in (0, third, 2 * third):
        part = plan.transfers[begin : begin + third + 1]
        assert {(one.currency, one.payer) for one in part if one.commits} >= set(
            plan.accounts
        ) or count == TRANSFERS_MIN


def test_no_sum_of_a_day_reaches_a_cap() -> None:
    assert TRANSFERS_MAX * AMOUNT_UNITS_MAX < CAP_UNITS


def test_a_seed_repeats_the_same_day() -> None:
    assert make_day(100, 7, "x") == make_day(100, 7, "x") != make_day(100, 8, "x")
    everything = make_day(TRANSFERS_MAX, 1, "x").transfers
    assert set(ENDINGS) == {one.behaviour for one in everything}


def test_books() -> None:
    books = DayBooks()
    books.commit(1, PAID)
    books.commit(2, BACK)
    books.add_funds(("KES", "amber"), 1_000)

    assert {"amber": Gross(100, 0, 1, 0), "birch": Gross(0, 100, 0, 1)} == books.gross([1], "KES")
    assert {"amber": Gross(100, 30, 1, 1), "birch": Gross(30, 100, 1, 1)} == books.gross([1, 2], "KES")
    assert {} == books.gross([1, 2, 3], "TZS")
    assert (70, -70, -1_000, 1_000) == (
        books.position(("KES", "amber")),
        books.position(("KES", "birch")),
        books.settlement(("KES", "amber")),
        books.reconciliation("KES"),
    )


def test_books_of_a_settlement() -> None:
    books = DayBooks()
    books.commit(1, PAID)
    books.settle(("KES", "birch"), -100)
    assert (100, 0, -100) == (
        books.position(("KES", "amber")),
        books.position(("KES", "birch")),
        books.multilateral("KES"),
    )
    books.unsettle(("KES", "birch"), -100)
    assert (-100, 0) == (books.position(("KES", "birch")), books.multilateral("KES"))


def sent(transfer: DayTransfer, transfer_id: str, posted_at_ns: int, ended_at_ns: int | None) -> SentTransfer:
    return SentTransfer(transfer, transfer_id, posted_at_ns, ended_at_ns)


def row(transfer: DayTransfer, transfer_id: str) -> WindowTransfer:
    return WindowTransfer(
        transfer_id=transfer_id,
        payer=transfer.payer,
        payee=transfer.payee,
        currency=transfer.currency,
        amount_units=str(transfer.amount_units / 10_000),
        fee_units=0,
        finished_at="t",
    )


def booked(
    all_sent: list[SentTransfer], listed: dict[int, list[WindowTransfer]], closed: list[ClosedWindow] = CLOSED
) -> tuple[DayBooks, list[str]]:
    books, problems = DayBooks(), Problems()
    book_windows(all_sent, listed, closed, books, problems)
    return books, problems.found


def test_each_transfer_is_booked_in_the_window_that_lists_it() -> None:
    paid, back, refused = (
        sent(PAID, "t-1", 10, 500),
        sent(BACK, "t-2", 900, 1_500),
        sent(REFUSED, "t-3", 20, 600),
    )
    foreign = replace(PAID, payer="somebody")
    books, found = booked([paid, back, refused], {1: [row(PAID, "t-1"), row(foreign, "f")], 2: [row(BACK, "t-2")]})

    assert [] == found
    assert (["amber", "birch"], 70) == (list(books.gross([1], "KES")), books.position(("KES", "amber")))
    assert 30 == books.gross([2], "KES")["birch"].debits


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ({1: [], 2: []}, "windows that have t-1: expected 1, seen 0"),
        ({1: ["t-1"], 2: ["t-1"]}, "windows that have t-1: expected 1, seen 2"),
        ({2: ["t-1"]}, "seen ended before the close of window 1 was requested"),
    ],
)
def test_a_transfer_that_is_lost_or_doubled_or_late(listed: dict[int, list[str]], found: str) -> None:
    rows = {number: [row(PAID, each) for each in ids] for number, ids in listed.items()}
    _books, problems = booked([sent(PAID, "t-1", 10, 500)], rows)

    assert any(found in problem for problem in problems), problems


def test_a_transfer_that_is_early_or_changed_or_was_refused() -> None:
    _books, found = booked([sent(PAID, "t-1", 1_200, 1_300)], {1: [row(PAID, "t-1")]})
    assert "began after window 1 was closed" in found[0]
    _books, found = booked([sent(PAID, "t-1", 10, 1_050)], {1: [row(replace(PAID, amount_units=101), "t-1")]})
    assert "t-1 in window 1: expected" in found[0]
    books, found = booked([sent(REFUSED, "t-1", 10, 500)], {1: [row(REFUSED, "t-1")]})
    assert "windows that have t-1: expected 0, seen 1" in found[0]
    assert {} == books.gross([1], "TZS")


def test_a_transfer_in_flight_at_the_close_may_be_in_either() -> None:
    for number in (1, 2):
        assert [] == booked([sent(PAID, "t-1", 900, 1_050)], {number: [row(PAID, "t-1")]})[1]


def test_problems() -> None:
    problems = Problems()
    assert problems.check("a", 1, 1)
    assert problems.check_amount("b", 10_000, 10_000)
    assert [] == problems.found
    assert not problems.check("c", 1, 2)
    assert not problems.check_amount("d", 10_000, None)
    problems.add("e")
    assert ["c: expected 1, seen 2", "d: expected 1, seen nothing", "e"] == problems.found
    assert 5 == problems.checked


class Busy(PatientAdmin):
    """An admin client whose hub is not ready for so many requests."""

    def __init__(self, times: int) -> None:
        super().__init__("http://127.0.0.1:9")
        self.times = times

    async def _request(self, method: str, path: str, body: object = None) -> Reply:
        self.times -= 1
        if self.times >= 0:
            raise HubNotReadyError("busy")
        return Reply(200, {"path": path})


async def test_get_and_put_are_repeated_and_post_is_not() -> None:
    async with Busy(1) as admin:
        assert {"path": "/a"} == await admin.get("/a")
    async with Busy(1) as admin:
        assert 200 == (await admin.call("PUT", "/a")).status
    async with Busy(1) as admin:
        with pytest.raises(HubNotReadyError):
            await admin.call("POST", "/a")
