"""How the demo computes and prints figures."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from sandbox.demo.tables import DIFFERENCES_SHOWN_MAX, percentile, print_differences


@pytest.mark.parametrize(("percent", "expected"), [(0, 10), (50, 20), (75, 30), (76, 40), (95, 40), (100, 40)])
def test_percentile_is_nearest_rank(percent: int, expected: int) -> None:
    assert expected == percentile([10, 20, 30, 40], percent)


@pytest.mark.parametrize("more", [0, 3])
def test_the_first_differences_are_printed_and_the_others_counted(more: int) -> None:
    text = StringIO()
    differences = [f"[{number}]" for number in range(DIFFERENCES_SHOWN_MAX + more)]

    print_differences(Console(file=text), differences, indent="  ")

    expected = [f"  ✗ [{number}]" for number in range(DIFFERENCES_SHOWN_MAX)] + (["  … and 3 more"] if more else [])
    assert expected == text.getvalue().splitlines()
