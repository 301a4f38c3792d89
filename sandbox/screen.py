"""What the sandbox prints beside the hops: the DFSPs, their positions, and a curl command for another transfer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final

from rich.console import Console
from rich.table import Table

from clearinghub.domain.money import format_amount
from clearinghub.tools.client.hub_urls import HubUrls
from clearinghub.tools.client.money import shown_amount
from sandbox.dfsp.behaviour import EXTENSION_KEY, Behaviour
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp
from sandbox.dfsp.wire import ACCEPT, CONTENT_TYPE, Terms

# Each command must make its own ids and times. uuidgen and `date -d` are not everywhere; Python is where this runs.
FRESH_ID: Final = "$(python3 -c 'import uuid; print(uuid.uuid4())')"
FRESH_DATE: Final = "$(LC_ALL=C date -u '+%a, %d %b %Y %H:%M:%S GMT')"
FRESH_EXPIRATION: Final = (
    "$(python3 -c 'import time; print(time.strftime(\"%Y-%m-%dT%H:%M:%S.000Z\", time.gmtime(time.time() + 30)))')"
)
ID_PLACE: Final = "@id@"
EXPIRATION_PLACE: Final = "@expiration@"


def print_scheme(
    console: Console, dfsps: Iterable[SimulatedDfsp], currency: str, net_debit_cap_units: int, funds_units: int
) -> None:
    """Print the DFSPs with their addresses, net debit caps and funds."""
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
    """Print the positions before and after the first transfer; a positive position is owed to the scheme."""
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
    """Print the positions in one line, after a later transfer."""
    shown = "   ".join(f"{name} {shown_amount(value_units)}" for name, value_units in positions.items())
    console.print(f"{'':10}positions ({currency}): {shown}", style="dim", highlight=False, soft_wrap=True)


def print_trouble(console: Console, text: str) -> None:
    """Print a problem that does not end the sandbox."""
    console.print(f"\n  {text}", style="red", markup=False, highlight=False, soft_wrap=True)


def print_invitation(
    console: Console, urls: HubUrls, payer: str, payee: str, amount_units: int, currency: str, terms: Terms
) -> None:
    """Print the hub's addresses and a command to paste that sends another transfer."""
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
    command = curl_command(urls.fspiop, payer, payee, amount_units, currency, terms)
    console.print(command, markup=False, highlight=False, soft_wrap=True, style="cyan")
    console.print(
        f'\n  Its hops are shown here. For another outcome, replace "commit" by one of: {others}.\n  Ctrl-C stops.',
        markup=False,
        highlight=False,
        style="dim",
    )


def curl_command(hub_url: str, payer: str, payee: str, amount_units: int, currency: str, terms: Terms) -> str:
    """Return a command for bash, in one line, that sends a new transfer each time; all have the same terms."""
    body = json.dumps(
        {
            "transferId": ID_PLACE,
            "payerFsp": payer,
            "payeeFsp": payee,
            "amount": {"currency": currency, "amount": format_amount(amount_units)},
            "expiration": EXPIRATION_PLACE,
            "extensionList": {"extension": [{"key": EXTENSION_KEY, "value": Behaviour.COMMIT.value}]},
            "condition": terms.condition,
            "ilpPacket": terms.ilp_packet,
        },
        separators=(",", ":"),
    )
    assert "'" not in body, "it goes between single quotes"
    # '...'"$(...)"'...': end the single quotes, substitute, begin them again.
    body = body.replace(ID_PLACE, f"'\"{FRESH_ID}\"'").replace(EXPIRATION_PLACE, f"'\"{FRESH_EXPIRATION}\"'")
    return (
        f"curl -isS -X POST {hub_url}/transfers -H 'Accept: {ACCEPT}' -H 'Content-Type: {CONTENT_TYPE}'"
        f" -H \"Date: {FRESH_DATE}\" -H 'FSPIOP-Source: {payer}' -H 'FSPIOP-Destination: {payee}'"
        f" -d '{body}'"
    )
