"""The simulation bites: each deliberate slip of mutations.py is caught, and MUTANTS.md tells of each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.simulation.mutants import ROOT, judge
from tests.simulation.mutations import MUTANTS, Mutant

TABLE = Path(__file__).with_name("MUTANTS.md")


def test_the_table_names_every_mutant() -> None:
    named = re.findall(r"^\| `([a-z-]+)` \|", TABLE.read_text(), re.MULTILINE)

    assert [mutant.name for mutant in MUTANTS] == named


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_still_fits_the_code(mutant: Mutant) -> None:
    """A slip whose text is gone breaks nothing, and would prove nothing."""
    assert 1 == (ROOT / mutant.path).read_text().count(mutant.before)
    assert mutant.before != mutant.after


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_caught(mutant: Mutant) -> None:
    verdict = judge(mutant)

    assert verdict.seed is not None, str(verdict)
