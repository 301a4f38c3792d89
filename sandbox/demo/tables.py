"""Tables, lists of differences and percentiles, as the demo prints them; `bench` prints its tables the same way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

DIFFERENCES_SHOWN_MAX: Final = 20
NANOSECONDS_PER_MS: Final = 1_000_000
OK: Final = "[green]✓[/green]"
NOT_OK: Final = "[bold red]✗[/bold red]"


def new_table(title: str | None = None) -> Table:
    """Return an empty table without a frame: only a rule below the column heads."""
    return Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False
    )


def print_differences(console: Console, differences: Sequence[str], indent: str = "") -> None:
    """Print the first of the differences and how many more there are; nothing if there are none."""
    for difference in differences[:DIFFERENCES_SHOWN_MAX]:
        console.print(f"{indent}✗ {difference}", style="red", markup=False, highlight=False, soft_wrap=True)
    if len(differences) > DIFFERENCES_SHOWN_MAX:
        console.print(f"{indent}… and {len(differences) - DIFFERENCES_SHOWN_MAX:,} more", style="red")


def percentile(ascending: Sequence[int], percent: int) -> int:
    """Return the smallest value that at least `percent` of the values do not exceed (nearest rank)."""
    assert ascending
    rank = -(-len(ascending) * percent // 100)
    return ascending[max(rank, 1) - 1]
