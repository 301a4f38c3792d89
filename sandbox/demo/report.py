"""What the demo prints: a table of the transfers, one of the accounts, latencies, and what differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from clearinghub.tools.client.money import shown_amount
from sandbox.demo.audit import AuditLine
from sandbox.demo.check import Verdict
from sandbox.demo.kinds import EXPECTED, Kind

PROBLEMS_SHOWN_MAX: Final = 20
NANOSECONDS_PER_MS: Final = 1_000_000
OK: Final = "[green]✓[/green]"
NOT_OK: Final = "[bold red]✗[/bold red]"


def a_table(title: str) -> Table:
    """As all tables of the demo look: columns, a line below their heads, no frame."""
    return Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False
    )


def print_transfers(console: Console, verdicts: Sequence[Verdict]) -> None:
    """One row a kind: how many were sent, how they had to end, how they ended."""
    table = a_table("Mixed transfers")
    table.add_column("kind")
    table.add_column("count", justify="right")
    table.add_column("expected")
    table.add_column("seen by GET")
    table.add_column("ok", justify="center")
    for kind in Kind:
        of_kind = [verdict for verdict in verdicts if verdict.played.case.kind is kind]
        endings = Counter(verdict.ending for verdict in of_kind)
        seen = ", ".join(f"{count} {ending}" for ending, count in endings.most_common())
        is_right = not any(verdict.problems for verdict in of_kind)
        table.add_row(kind.value, str(len(of_kind)), EXPECTED[kind].ending, seen, OK if is_right else NOT_OK)
    console.print(table)


def print_accounts(console: Console, lines: Sequence[AuditLine], currency: str) -> None:
    """One row an account."""
    table = a_table(f"Accounts ({currency})")
    table.add_column("participant")
    table.add_column("account")
    table.add_column("expected", justify="right")
    table.add_column("seen", justify="right")
    table.add_column("ok", justify="center")
    for line in lines:
        mark = OK if line.ok else NOT_OK
        table.add_row(line.participant, line.account_type, shown_amount(line.expected_units), _seen(line), mark)
    console.print(table)


def print_latencies(console: Console, verdicts: Sequence[Verdict]) -> None:
    """p50, p95 and maximum of the committed ones, from the POST sent to the PUT received by the payer."""
    latencies_ns = sorted(verdict.latency_ns for verdict in verdicts if verdict.latency_ns is not None)
    if not latencies_ns:
        return
    told = "   ".join(
        f"{name} {percentile(latencies_ns, percent) / NANOSECONDS_PER_MS:.0f} ms"
        for name, percent in (("p50", 50), ("p95", 95), ("max", 100))
    )
    console.print(f"Committed in   {told} (payer's POST to its PUT)", highlight=False)


def print_problems(console: Console, verdicts: Sequence[Verdict], lines: Sequence[AuditLine], other: list[str]) -> int:
    """What differs, the first of it in detail; gives how much differs in all."""
    problems = other + [
        f"{verdict.played.order.transfer_id} ({verdict.played.case.kind.value}): {problem}"
        for verdict in verdicts
        for problem in verdict.problems
    ]
    problems += [
        f"{line.participant} {line.account_type}: expected {shown_amount(line.expected_units)}, seen {_seen(line)}"
        for line in lines
        if not line.ok
    ]
    for problem in problems[:PROBLEMS_SHOWN_MAX]:
        console.print(f"✗ {problem}", style="red", markup=False, highlight=False, soft_wrap=True)
    if len(problems) > PROBLEMS_SHOWN_MAX:
        console.print(f"… and {len(problems) - PROBLEMS_SHOWN_MAX} more", style="red")
    return len(problems)


def print_success(console: Console, payments: int, transfers: int, callbacks: int) -> None:
    """That nothing differs, and how much was looked at."""
    console.print(
        f"✓ All {payments} payments and {transfers} transfers ended as they had to ({callbacks:,} callbacks).\n"
        "✓ Every account is right to the last 1/10,000.",
        style="green",
        highlight=False,
        soft_wrap=True,
    )


def print_repeats(console: Console, verdicts: Sequence[Verdict]) -> None:
    """A word on callbacks that came twice, if any did."""
    repeats = sum(verdict.repeats for verdict in verdicts)
    if repeats:
        console.print(f"{repeats} callbacks came more than once, as at-least-once delivery allows.", style="yellow")


def percentile(ascending: Sequence[int], percent: int) -> int:
    """The smallest value that at least `percent` of the values do not exceed (nearest rank)."""
    assert ascending
    rank = -(-len(ascending) * percent // 100)
    return ascending[max(rank, 1) - 1]


def _seen(line: AuditLine) -> str:
    return shown_amount(line.seen_units) if line.seen_units is not None else "nothing"
