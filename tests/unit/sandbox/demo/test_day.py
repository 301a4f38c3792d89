"""The day's plan, its books, and how it notices that something is wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clearinghub.tools.client.admin import HubNotReadyError, Reply
from clearinghub.tools.client.reports import WindowTransfer
from sandbox.behaviour import Behaviour
from sandbox.demo.day.books import DayBooks, Gross
from sandbox.demo.day.patience import PatientAdmin
from sandbox.demo.day.plan import AMOUNT_UNITS_MAX, CAP_UNITS, TRANSFERS_MAX, TRANSFERS_MIN, DayTransfer, make_day
from sandbox.demo.day.problems import Problems
from sandbox.demo.day.traffic import ENDINGS, Sent
from sandbox.demo.day.windows import ClosedWindow, book_windows

PAID = DayTransfer(Behaviour.COMMIT, "amber", "birch", "KES", 100)
BACK = DayTransfer(Behaviour.RESERVE, "birch", "amber", "KES", 30)
REFUSED = DayTransfer(Behaviour.REJECT, "amber", "coral", "TZS", 7)
CLOSED = [
    ClosedWindow(1, asked_at_ns=1_000, closed_at_ns=1_100),
    ClosedWindow(2, asked_at_ns=2_000, closed_at_ns=2_100),
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


def test_a_seed_gives_the_same_day_again() -> None:
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


def sent(transfer: DayTransfer, transfer_id: str, posted_at_ns: int, heard_at_ns: int | None) -> Sent:
    return Sent(transfer, transfer_id, posted_at_ns, heard_at_ns)


def line(transfer: DayTransfer, transfer_id: str) -> WindowTransfer:
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
    one: list[Sent], listed: dict[int, list[WindowTransfer]], closed: list[ClosedWindow] = CLOSED
) -> tuple[DayBooks, list[str]]:
    books, problems = DayBooks(), Problems()
    book_windows(one, listed, closed, books, problems)
    return books, problems.told


def test_each_transfer_is_booked_in_the_window_that_lists_it() -> None:
    paid, back, refused = (
        sent(PAID, "t-1", 10, 500),
        sent(BACK, "t-2", 900, 1_500),
        sent(REFUSED, "t-3", 20, 600),
    )
    foreign = replace(PAID, payer="somebody")
    books, told = booked([paid, back, refused], {1: [line(PAID, "t-1"), line(foreign, "f")], 2: [line(BACK, "t-2")]})

    assert [] == told
    assert (["amber", "birch"], 70) == (list(books.gross([1], "KES")), books.position(("KES", "amber")))
    assert 30 == books.gross([2], "KES")["birch"].debits


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        ({1: [], 2: []}, "windows that have t-1: expected 1, seen 0"),
        ({1: ["t-1"], 2: ["t-1"]}, "windows that have t-1: expected 1, seen 2"),
        ({2: ["t-1"]}, "seen was over before window 1 was asked to close"),
    ],
)
def test_one_that_is_lost_or_doubled_or_late(listed: dict[int, list[str]], told: str) -> None:
    lines = {number: [line(PAID, each) for each in ids] for number, ids in listed.items()}
    _books, problems = booked([sent(PAID, "t-1", 10, 500)], lines)

    assert any(told in problem for problem in problems), problems


def test_one_that_is_early_or_changed_or_was_refused() -> None:
    _books, told = booked([sent(PAID, "t-1", 1_200, 1_300)], {1: [line(PAID, "t-1")]})
    assert "began when window 1 was closed" in told[0]
    _books, told = booked([sent(PAID, "t-1", 10, 1_050)], {1: [line(replace(PAID, amount_units=101), "t-1")]})
    assert "t-1 in window 1: expected" in told[0]
    books, told = booked([sent(REFUSED, "t-1", 10, 500)], {1: [line(REFUSED, "t-1")]})
    assert "windows that have t-1: expected 0, seen 1" in told[0]
    assert {} == books.gross([1], "TZS")


def test_one_that_was_under_way_may_be_in_either() -> None:
    for number in (1, 2):
        assert [] == booked([sent(PAID, "t-1", 900, 1_050)], {number: [line(PAID, "t-1")]})[1]


def test_problems() -> None:
    problems = Problems()
    assert problems.check("a", 1, 1)
    assert problems.check_amount("b", 10_000, 10_000)
    assert [] == problems.told
    assert not problems.check("c", 1, 2)
    assert not problems.check_amount("d", 10_000, None)
    problems.add("e")
    assert ["c: expected 1, seen 2", "d: expected 1, seen nothing", "e"] == problems.told
    assert 5 == problems.checked


class Busy(PatientAdmin):
    """A hub that does not answer so many times."""

    def __init__(self, times: int) -> None:
        super().__init__("http://127.0.0.1:9")
        self.times = times

    async def _request(self, method: str, path: str, body: object = None) -> Reply:
        self.times -= 1
        if self.times >= 0:
            raise HubNotReadyError("busy")
        return Reply(200, {"path": path})


async def test_what_is_safe_to_ask_again_is_asked_again() -> None:
    async with Busy(1) as admin:
        assert {"path": "/a"} == await admin.get("/a")
    async with Busy(1) as admin:
        assert 200 == (await admin.call("PUT", "/a")).status
    async with Busy(1) as admin:
        with pytest.raises(HubNotReadyError):
            await admin.call("POST", "/a")
