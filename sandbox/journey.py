"""Prints payments as they happen: a line for each hop, a column for each DFSP, the hub between them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Container
from typing import Final

from rich.console import Console
from rich.text import Text

from sandbox.dfsp.messages import CallbackKind, Direction, Hop, Message

COLUMN_WIDTH: Final = 28  # two columns and the hub fit into 80 characters
TRANSFERS_KEPT_MAX: Final = 1_000
NAMES: Final = {  # resources that are shown; others, such as the registration of parties, are not
    "parties": "lookup",
    "quotes": "quote",
    "transfers": "transfer",
    "bulkQuotes": "bulk quote",
    "bulkTransfers": "bulk",
    "transactionRequests": "payment request",
    "authorizations": "authorization",
}
GOOD: Final = "green"
BAD: Final = "red"


class JourneyPrinter:
    """Prints hops as they happen; times are milliseconds since the first hop of the transfer, quote or lookup.

    `left` and `right` are the names of the two DFSPs. `on_outcome` is called for each callback about how a transfer
    ended.
    """

    def __init__(self, console: Console, left: str, right: str, on_outcome: Callable[[], None]) -> None:
        self._console = console
        self._left = left
        self._right = right
        self._on_outcome = on_outcome
        self._started: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._shown_id: str | None = None

    def observe(self, hop: Hop) -> None:
        """Print a hop, after the id of its transfer, quote or lookup if that is not the one of the last line."""
        begins = hop.message is not None and _begins(hop, hop.message, self._started)
        if hop.message is not None and begins:
            self._started[hop.transfer_id] = NAMES[hop.message.resource], hop.at_ns
            if len(self._started) > TRANSFERS_KEPT_MAX:
                self._started.popitem(last=False)
        if hop.transfer_id not in self._started:
            return
        name, started_at_ns = self._started[hop.transfer_id]
        if begins or hop.transfer_id != self._shown_id:
            self._print_head(name, hop.transfer_id)
        self._console.print(self._line(hop, started_at_ns), soft_wrap=True)
        if _is_outcome(hop):
            self._on_outcome()

    def _print_head(self, name: str, subject_id: str) -> None:
        self._shown_id = subject_id
        self._console.print()
        self._console.print(Text.assemble(f"  {name} ", (subject_id, "bold")), soft_wrap=True)
        head = f"{'ms':>8}  {self._left:<{COLUMN_WIDTH}}   {'hub':^5}   {self._right}"
        self._console.print(Text(head, style="dim"), soft_wrap=True)

    def _line(self, hop: Hop, started_at_ns: int) -> Text:
        elapsed_ms = (hop.at_ns - started_at_ns) / 1e6
        line = Text(f"{elapsed_ms:8.1f}  ")
        to_hub = hop.direction is Direction.TO_HUB
        if hop.dfsp == self._left:
            line.append(f"{hop.what:<{COLUMN_WIDTH}}", style=_style(hop.what))
            return line.append(" ──▶ │" if to_hub else " ◀── │", style="dim")
        line.append(f"{'':<{COLUMN_WIDTH}}     │")
        line.append(" ◀── " if to_hub else " ──▶ ", style="dim")
        return line.append(hop.what, style=_style(hop.what))


def _begins(hop: Hop, message: Message, started: Container[str]) -> bool:
    """Return whether a hop is the first of a transfer, quote or bulk that is shown, or begins a lookup of a party."""
    is_lookup = message.resource == "parties" and message.method == "GET" and hop.direction is Direction.TO_HUB
    return message.resource in NAMES and (is_lookup or hop.transfer_id not in started)


def _is_outcome(hop: Hop) -> bool:
    return hop.callback is not None and hop.callback.kind is not CallbackKind.PREPARE


def _style(what: str) -> str:
    """Return red for errors, green for COMMITTED, dim for other answers and bold for other messages."""
    if "error" in what or "ABORTED" in what or what[:1] in "45":
        return BAD
    if "COMMITTED" in what:
        return GOOD
    return "dim" if what[:1].isdigit() else "bold"
