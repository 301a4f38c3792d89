"""The table of the audit's rules in docs/operators.md has the names and sentences of the code."""

from __future__ import annotations

import re
from pathlib import Path

from clearinghub.tools.audit.rules import Rule

PAGE = Path(__file__).parents[4] / "docs" / "operators.md"
ROW = re.compile(r"^\| `([a-z-]+)` \| (.+) \|$", re.MULTILINE)


def test_the_table_of_the_rules_is_the_rules() -> None:
    (section,) = (part for part in PAGE.read_text().split("\n## ") if part.startswith("Auditing the books"))

    assert [(rule.label, rule.sentence) for rule in Rule] == ROW.findall(section)
