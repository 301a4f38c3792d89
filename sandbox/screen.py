"""What the sandbox prints around the journeys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.table import Table

from clearinghub.tools.client.hub_urls import HubUrls
from clearinghub.tools.client.money import shown_amount
from sandbox.behaviour import Behaviour
from sandbox.curl_line import curl_line
from sandbox.dfsp import SimulatedDfsp
from sandbox.wire import Terms


def print_scheme(
    console: Console, dfsps: Iterable[SimulatedDfsp], currency: str, net_debit_cap_units: int, funds_units: int
) -> None:
    """Who takes part, with what."""
    console.print()
    console.print("  [bold]Clearing hub sandbox[/bold]", highlight=False)
    for dfsp in dfsps:
        console.print(
            f"  {dfsp.name:<12} http://{dfsp.host}:{dfsp.port}  cap {shown_amount(net_debit_cap_units)} "
            f"{currency}, funds {shown_amount(funds_units)} {currency}",
            highlight=False,
            soft_wrap=True,
        )


def print_positions(
    console: Console, before: Mapping[str, int], after: Mapping[str, int], currency: str, net_debit_cap_units: int
) -> None:
    """The positions before and after the first transfer; a positive one is owed to the scheme."""
    table = Table(box=None, pad_edge=True, padding=(0, 2))
    table.add_column(f"position ({currency})", style="bold")
    for heading in ("before", "after", "change", "room to the cap"):
        table.add_column(heading, justify="right")
    for name, value_units in before.items():
        change_units = after[name] - value_units
        sign = "+" if change_units > 0 else ""
        table.add_row(
            name,
            shown_amount(value_units),
            shown_amount(after[name]),
            f"{sign}{shown_amount(change_units)}",
            shown_amount(net_debit_cap_units - after[name]),
        )
    console.print()
    console.print(table)


def print_now(console: Console, positions: Mapping[str, int], currency: str) -> None:
    """The positions in one line, after a later transfer."""
    told = "   ".join(f"{name} {shown_amount(value_units)}" for name, value_units in positions.items())
    console.print(f"{'':10}positions ({currency}): {told}", style="dim", highlight=False, soft_wrap=True)


def print_trouble(console: Console, text: str) -> None:
    """Something that the user should know, and that does not end the sandbox."""
    console.print(f"\n  {text}", style="red", markup=False, highlight=False, soft_wrap=True)


def print_invitation(
    console: Console, urls: HubUrls, payer: str, payee: str, amount_units: int, currency: str, terms: Terms
) -> None:
    """Where the hub is, and a line to paste that sends one more transfer."""
    console.print()
    for name, url in (
        ("FSPIOP", urls.fspiop),
        ("admin", f"{urls.admin}/participants"),
        ("health", f"{urls.fspiop}/health"),
        ("metrics", f"{urls.fspiop}/metrics"),
    ):
        console.print(f"  {name:<8} [cyan]{url}[/cyan]", highlight=False)
    others = ", ".join(member.value for member in Behaviour if member is not Behaviour.COMMIT)
    console.print(f"\n  Paste this into another terminal to send {shown_amount(amount_units)} {currency} more:\n")
    line = curl_line(urls.fspiop, payer, payee, amount_units, currency, terms)
    console.print(line, markup=False, highlight=False, soft_wrap=True, style="cyan")
    console.print(
        f'\n  Its way is shown here. For another ending put in place of "commit": {others}.\n  Ctrl-C stops.',
        markup=False,
        highlight=False,
        style="dim",
    )
