"""Closes windows during the day, and finds out in which window the hub lists each transfer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Final

from clearinghub.tools.client.admin import AdminClient, AdminError, HubNotReadyError, RefusedError
from clearinghub.tools.client.reports import TRANSFERS, Form, ReportPaths, WindowTransfer, in_form, read_report
from clearinghub.tools.client.settlement import SettlementOperations
from sandbox.demo.day.day_books import DayBooks
from sandbox.demo.day.problems import Problems
from sandbox.demo.day.traffic import SentTransfer

POLL_INTERVAL_S: Final = 0.02
CLOSE_WITHIN_S: Final = 60.0
TRANSFERS_AT_ONCE: Final = 2_000
_EMPTY: Final = "is empty"


@dataclass(frozen=True, slots=True)
class ClosedWindow:
    """A window that the demo closed; times of `time.perf_counter_ns`."""

    number: int
    requested_at_ns: int
    closed_at_ns: int

    @property
    def took_s(self) -> float:
        """The seconds from the request to the state CLOSED."""
        return (self.closed_at_ns - self.requested_at_ns) / 1_000_000_000


class Windows:
    """The settlement windows of a hub. All methods raise AdminError."""

    def __init__(self, admin: AdminClient, base_path: str) -> None:
        self._admin = admin
        self._paths = ReportPaths(base_path)
        self._operations = SettlementOperations(admin, base_path)

    async def close(self, reason: str) -> ClosedWindow:
        """Close the open window and wait until it is closed."""
        number = await self.open_window()
        requested_at_ns = perf_counter_ns()
        with suppress(HubNotReadyError):  # the request may have been accepted all the same: the window's state counts
            await self._operations.close_window(number, reason)
        deadline_s = asyncio.get_running_loop().time() + CLOSE_WITHIN_S
        while (window := await self._operations.window(number)).state in ("OPEN", "PROCESSING"):
            if asyncio.get_running_loop().time() > deadline_s:
                raise AdminError(f"window {number} is not closed after {CLOSE_WITHIN_S:.0f} s")
            await asyncio.sleep(POLL_INTERVAL_S)
        if window.state == "FAILED":
            raise AdminError(f"window {number} FAILED: {window.reason}")
        return ClosedWindow(number, requested_at_ns, perf_counter_ns())

    async def close_earlier_window(self) -> None:
        """Close the open window unless it is empty, so that the day begins with an empty one."""
        try:
            await self.close("before the day")
        except RefusedError as error:
            if _EMPTY not in error.description:
                raise

    async def open_window(self) -> int:
        """Return the number of the open window."""
        return (await self._operations.windows("OPEN"))[0].window_id

    async def transfers(self, number: int) -> list[WindowTransfer]:
        """Return all transfers that the hub lists for a window."""
        path: str | None = in_form(self._paths.transfers(number), Form.JSON, limit=TRANSFERS_AT_ONCE)
        found: list[WindowTransfer] = []
        while path is not None:
            page = await read_report(self._admin, path, TRANSFERS)
            found += page.transfers
            path = page.rest
        return found


def book_windows(
    sent: Sequence[SentTransfer],
    listed: dict[int, list[WindowTransfer]],
    closed: Sequence[ClosedWindow],
    books: DayBooks,
    problems: Problems,
) -> None:
    """Book each transfer that must commit in the window that lists it, with the amount that was sent.

    It must be listed in exactly one window; a transfer that must not commit in none. A transfer that ended before a
    window's close was requested cannot be in a later window; one that began after the window was closed not in it.
    """
    found: dict[str, list[tuple[int, WindowTransfer]]] = {}
    for number, rows in sorted(listed.items()):
        for row in rows:
            found.setdefault(row.transfer_id, []).append((number, row))
    for one_sent in sent:
        places = found.get(one_sent.transfer_id, [])
        problems.check(f"windows that have {one_sent.transfer_id}", int(one_sent.transfer.commits), len(places))
        for number, row in places[:1]:
            transfer = one_sent.transfer
            seen = (row.payer, row.payee, row.currency, row.amount_units)
            expected = (transfer.payer, transfer.payee, transfer.currency, transfer.amount_units)
            problems.check(f"{one_sent.transfer_id} in window {number}", expected, seen)
            problems.check(
                f"{one_sent.transfer_id} is in window {number} in time", None, _untimely(one_sent, number, closed)
            )
            if transfer.commits:
                books.commit(number, transfer)


def _untimely(sent: SentTransfer, number: int, closed: Sequence[ClosedWindow]) -> str | None:
    for window in closed:
        if sent.ended_at_ns is not None and sent.ended_at_ns < window.requested_at_ns and number > window.number:
            return f"ended before the close of window {window.number} was requested"
        if sent.posted_at_ns > window.closed_at_ns and number <= window.number:
            return f"began after window {window.number} was closed"
    return None
