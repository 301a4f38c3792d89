"""Windows that are closed during the day, and in which of them each transfer is."""

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
from sandbox.demo.day.books import DayBooks
from sandbox.demo.day.problems import Problems
from sandbox.demo.day.traffic import Sent

POLL_INTERVAL_S: Final = 0.02
CLOSE_WITHIN_S: Final = 60.0
TRANSFERS_AT_ONCE: Final = 2_000
_EMPTY: Final = "is empty"


@dataclass(frozen=True, slots=True)
class ClosedWindow:
    """A window that the day has closed; times of `time.perf_counter_ns`."""

    number: int
    asked_at_ns: int
    closed_at_ns: int

    @property
    def took_s(self) -> float:
        """From the request to the state CLOSED."""
        return (self.closed_at_ns - self.asked_at_ns) / 1_000_000_000


class Windows:
    """All methods raise AdminError."""

    def __init__(self, admin: AdminClient, base_path: str) -> None:
        self._admin = admin
        self._paths = ReportPaths(base_path)
        self._operations = SettlementOperations(admin, base_path)

    async def close(self, reason: str) -> ClosedWindow:
        """Close the open window and wait until it is."""
        number = await self.open_window()
        asked_at_ns = perf_counter_ns()
        with suppress(HubNotReadyError):  # it may have been recorded; what the window says counts
            await self._operations.close_window(number, reason)
        deadline_s = asyncio.get_running_loop().time() + CLOSE_WITHIN_S
        while (window := await self._operations.window(number)).state in ("OPEN", "PROCESSING"):
            if asyncio.get_running_loop().time() > deadline_s:
                raise AdminError(f"window {number} is not closed after {CLOSE_WITHIN_S:.0f} s")
            await asyncio.sleep(POLL_INTERVAL_S)
        if window.state == "FAILED":
            raise AdminError(f"window {number} FAILED: {window.reason}")
        return ClosedWindow(number, asked_at_ns, perf_counter_ns())

    async def close_what_was_before(self) -> None:
        """The day begins with an empty window."""
        try:
            await self.close("before the day")
        except RefusedError as error:
            if _EMPTY not in error.description:
                raise

    async def open_window(self) -> int:
        """The open window's number."""
        return (await self._operations.windows("OPEN"))[0].window_id

    async def transfers(self, number: int) -> list[WindowTransfer]:
        """The transfers of a window, as the hub lists them."""
        path: str | None = in_form(self._paths.transfers(number), Form.JSON, limit=TRANSFERS_AT_ONCE)
        found: list[WindowTransfer] = []
        while path is not None:
            page = await read_report(self._admin, path, TRANSFERS)
            found += page.transfers
            path = page.rest
        return found


def book_windows(
    sent: Sequence[Sent],
    listed: dict[int, list[WindowTransfer]],
    closed: Sequence[ClosedWindow],
    books: DayBooks,
    problems: Problems,
) -> None:
    """Book every transfer that had to commit in the window that lists it, as it was sent and not as it is listed.

    Each must be in exactly one, none other may be in any. What was over before a window was asked to close cannot be
    in a later one, what began when it was closed not in it.
    """
    found: dict[str, list[tuple[int, WindowTransfer]]] = {}
    for number, lines in sorted(listed.items()):
        for line in lines:
            found.setdefault(line.transfer_id, []).append((number, line))
    for one in sent:
        places = found.get(one.transfer_id, [])
        problems.check(f"windows that have {one.transfer_id}", int(one.transfer.commits), len(places))
        for number, line in places[:1]:
            transfer = one.transfer
            told = (line.payer, line.payee, line.currency, line.amount_units)
            expected = (transfer.payer, transfer.payee, transfer.currency, transfer.amount_units)
            problems.check(f"{one.transfer_id} in window {number}", expected, told)
            problems.check(f"{one.transfer_id} is in window {number} in time", None, _untimely(one, number, closed))
            if transfer.commits:
                books.commit(number, transfer)


def _untimely(sent: Sent, number: int, closed: Sequence[ClosedWindow]) -> str | None:
    for window in closed:
        if sent.heard_at_ns is not None and sent.heard_at_ns < window.asked_at_ns and number > window.number:
            return f"was over before window {window.number} was asked to close"
        if sent.posted_at_ns > window.closed_at_ns and number <= window.number:
            return f"began when window {window.number} was closed"
    return None
