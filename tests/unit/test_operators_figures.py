"""The figures of settings in docs/operators.md are their defaults."""

from __future__ import annotations

import re
from pathlib import Path

from clearinghub.config import Settings

PAGE = Path(__file__).parents[2] / "docs" / "operators.md"
FIGURE = re.compile(r"`(?:\.\.\.|CLEARINGHUB)_([A-Z_]+)`\s+\((\d+)[;)]")


def test_the_figures_are_the_defaults() -> None:
    figures = {name.lower(): int(figure) for name, figure in FIGURE.findall(PAGE.read_text())}

    assert {"overload_full_ms", "overload_none_ms", "requests_begun_max"} <= set(figures)
    assert figures == {name: Settings.model_fields[name].default for name in figures}
