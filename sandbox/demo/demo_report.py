"""Prints the results of a demo: tables of the mixed transfers and the accounts, latencies, and all differences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console

from clearinghub.tools.client.money import shown_amount
from sandbox.demo.tables import NANOSECONDS_PER_MS, NOT_OK, OK, new_table, percentile, print_differences
from sandbox.demo.transfers.balances import AccountCheck
from sandbox.demo.transfers.expectations import EXPECTED, TransferKind
from sandbox.demo.transfers.verdict import Verdict


def print_transfers(console: Console, verdicts: Sequence[Verdict]) -> None:
    """Print a row for each kind: how many were sent, the end state that they must have and the one that they have."""
    table = new_table("Mixed transfers")
    table.add_column("kind")
    table.add_column("count", justify="right")
    table.add_column("expected")
    table.add_column("seen by GET")
    table.add_column("ok", justify="center")
    for kind in TransferKind:
        of_kind = [verdict for verdict in verdicts if verdict.result.case.kind is kind]
        endings = Counter(verdict.ending for verdict in of_kind)
        seen = ", ".join(f"{count} {ending}" for ending, count in endings.most_common())
        is_right = not any(verdict.problems for verdict in of_kind)
        table.add_row(kind.value, str(len(of_kind)), EXPECTED[kind].ending, seen, OK if is_right else NOT_OK)
    console.print(table)


def print_accounts(console: Console, checks: Sequence[AccountCheck], currency: str) -> None:
    """Print a row for each account: what it must hold and what the hub says."""
    table = new_table(f"Accounts ({currency})")
    table.add_column("participant")
    table.add_column("account")
    table.add_column("expected", justify="right")
    table.add_column("seen", justify="right")
    table.add_column("ok", justify="center")
    for check in checks:
        mark = OK if check.ok else NOT_OK
        table.add_row(check.participant, check.account_type, shown_amount(check.expected_units), _seen(check), mark)
    console.print(table)
    console.print("POSITION: owed to the scheme if positive. SETTLEMENT: funds, as a minus.", style="dim")


def print_latencies(console: Console, verdicts: Sequence[Verdict]) -> None:
    """Print p50, p95 and the maximum of the committed transfers, from the payer's POST to the PUT that it received."""
    latencies_ns = sorted(verdict.latency_ns for verdict in verdicts if verdict.latency_ns is not None)
    if not latencies_ns:
        return
    figures = "   ".join(
        f"{name} {percentile(latencies_ns, percent) / NANOSECONDS_PER_MS:.0f} ms"
        for name, percent in (("p50", 50), ("p95", 95), ("max", 100))
    )
    console.print(f"Committed in   {figures} (payer's POST to its PUT)", highlight=False)


def print_problems(
    console: Console, verdicts: Sequence[Verdict], checks: Sequence[AccountCheck], other: list[str]
) -> int:
    """Print the first of all differences and return how many there are."""
    problems = other + [
        f"{verdict.result.order.transfer_id} ({verdict.result.case.kind.value}): {problem}"
        for verdict in verdicts
        for problem in verdict.problems
    ]
    problems += [
        f"{check.participant} {check.account_type}: expected {shown_amount(check.expected_units)}, seen {_seen(check)}"
        for check in checks
        if not check.ok
    ]
    print_differences(console, problems)
    return len(problems)


def print_success(console: Console, payments: int, transfers: int, callbacks: int) -> None:
    """Print that nothing differs, and how many payments, transfers and callbacks were checked."""
    console.print(
        f"✓ All {payments} payments and {transfers} transfers ended as they had to ({callbacks:,} callbacks).\n"
        "✓ Every account is right to the last 1/10,000.",
        style="green",
        highlight=False,
        soft_wrap=True,
    )


def print_repeats(console: Console, verdicts: Sequence[Verdict]) -> None:
    """Print how many callbacks came more often than they had to, if any did."""
    repeats = sum(verdict.repeats for verdict in verdicts)
    if repeats:
        console.print(f"{repeats} callbacks came more than once, as at-least-once delivery allows.", style="yellow")


def _seen(check: AccountCheck) -> str:
    return shown_amount(check.seen_units) if check.seen_units is not None else "nothing"
