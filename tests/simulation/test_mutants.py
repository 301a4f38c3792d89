"""The mutants fit the code, and MUTANTS.md describes each; `make mutants` shows that each is caught."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.simulation.mutants import ROOT
from tests.simulation.mutations import MUTANTS, Mutant

TABLE = Path(__file__).with_name("MUTANTS.md")


def test_the_table_names_every_mutant() -> None:
    named = re.findall(r"^\| `([a-z-]+)` \|", TABLE.read_text(), re.MULTILINE)

    assert [mutant.name for mutant in MUTANTS] == named


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_still_fits_the_code(mutant: Mutant) -> None:
    """A mutant whose text is gone from the code breaks nothing, and would prove nothing."""
    assert 1 == (ROOT / mutant.path).read_text().count(mutant.before)
    assert mutant.before != mutant.after
