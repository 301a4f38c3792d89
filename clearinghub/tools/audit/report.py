"""The audit's result: tables for people, one JSON document for scripts."""

from __future__ import annotations

from typing import Any, Final

from rich.console import Console
from rich.table import Table

from clearinghub.tools.audit.books import Closing
from clearinghub.tools.audit.rules import Findings, Rule, Tally
from clearinghub.tools.client.money import shown_amount

SHOWN_OF_RULE_MAX: Final = 10
OK: Final = "[green]ok[/green]"
BROKEN: Final = "[bold red]broken[/bold red]"
LEFT_OUT: Final = "[yellow]not checked[/yellow]"


def as_json(findings: Findings, closing: Closing, *, records: int, cut: str, settle_s: int) -> dict[str, Any]:
    """Return the result for scripts; amounts are text in currency units."""
    return {
        "ok": findings.violations == 0,
        "cut": cut,
        "records": records,
        "transfers": {
            "finished": closing.finished,
            "inFlight": closing.in_flight,
            "undecided": closing.undecided,
            "unjudged": closing.unjudged,
            "pending": list(closing.pending),
        },
        "settleSeconds": settle_s,
        "rules": [_rule_json(rule, tally) for rule, tally in findings.tallies.items()],
        "balances": [
            {
                "rule": balance.rule.label,
                "currency": balance.currency,
                "total": _plain(balance.total),
                "inFlight": _plain(balance.in_flight),
                "onTheirWay": _plain(balance.on_their_way),
                "initial": _plain(balance.initial),
            }
            for balance in closing.balances
        ],
    }


def show(console: Console, findings: Findings, closing: Closing, *, records: int, cut: str, settle_s: int) -> None:
    """Print the result for people: rules, balances, and who breaks which rule."""
    console.print(_rules_table(findings))
    if closing.balances:
        console.print(_balances_table(closing))
    console.print(
        f"{records:,} records up to {cut}: {closing.finished:,} transfers finished, {closing.in_flight:,} in flight.",
        highlight=False,
    )
    if closing.pending:
        console.print(
            f"{len(closing.pending):,} changed within the last {settle_s} s and wait for a record of another "
            "partition; they are not judged yet.",
            style="yellow",
            highlight=False,
        )
    if closing.undecided:
        console.print(f"{closing.undecided:,} were asked for and nothing was decided.", style="yellow", highlight=False)
    if closing.unjudged:
        console.print(
            f"{closing.unjudged:,} began before the first record that is kept, and cannot be judged.",
            style="yellow",
            highlight=False,
        )
    for rule, tally in findings.tallies.items():
        _show_violations(console, rule, tally)
    if findings.violations == 0:
        console.print("The books are right.", style="green")


def _rules_table(findings: Findings) -> Table:
    table = Table(title="Rules", title_justify="left")
    table.add_column("rule")
    table.add_column("says")
    table.add_column("checked", justify="right")
    table.add_column("violations", justify="right")
    table.add_column("", justify="center")
    for rule, tally in findings.tallies.items():
        mark = BROKEN if tally.violations else OK
        if tally.left_out is not None and not tally.violations:
            mark = f"{LEFT_OUT}: {tally.left_out}" if not tally.checked else f"{OK} but for {tally.left_out}"
        table.add_row(rule.label, rule.sentence, f"{tally.checked:,}", f"{tally.violations:,}", mark)
    return table


def _balances_table(closing: Closing) -> Table:
    table = Table(title="Balances", title_justify="left")
    table.add_column("rule")
    table.add_column("currency")
    for column in ("on the accounts", "in flight", "on their way", "initially"):
        table.add_column(column, justify="right")
    for balance in closing.balances:
        amounts = (balance.total, balance.in_flight, balance.on_their_way, balance.initial)
        table.add_row(balance.rule.label, balance.currency, *map(shown_amount, amounts))
    return table


def _show_violations(console: Console, rule: Rule, tally: Tally) -> None:
    for violation in tally.shown[:SHOWN_OF_RULE_MAX]:
        line = f"{rule.label}: {violation.subject}: {violation.detail}"
        console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
    more = tally.violations - min(len(tally.shown), SHOWN_OF_RULE_MAX)
    if more > 0:
        console.print(f"{rule.label}: and {more:,} more (--json lists up to 1,000)", style="red", highlight=False)


def _rule_json(rule: Rule, tally: Tally) -> dict[str, Any]:
    return {
        "name": rule.label,
        "rule": rule.sentence,
        "checked": tally.checked,
        "violations": tally.violations,
        "leftOut": tally.left_out,
        "shown": [{"subject": one.subject, "detail": one.detail} for one in tally.shown],
    }


def _plain(amount: int) -> str:
    return shown_amount(amount).replace(",", "")
