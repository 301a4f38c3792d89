"""`python -m tests.simulation.mutants`: break a copy of the code on purpose, and check that the simulation notices.

Each mutant is a small error that somebody could make. It is applied to a copy in a temporary folder, where seeds run
until one fails; the working tree is never touched. MUTANTS.md says what each error would cost.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.simulation.mutations import MUTANTS, Mutant

ROOT: Final = Path(__file__).resolve().parents[2]
COPIED: Final = (
    "agents",
    "clearinghub",
    "tables",
    "web",
    "docs/topics",
    "tests/simulation",
    "tests/model",
    "tests/analysts.py",
    "tests/topics.py",
    "topics.yaml",
)
SEEDS_MAX: Final = 400
LOSS_SEEDS: Final = 3
TIMEOUT_S: Final = 900


@dataclass(frozen=True, slots=True)
class Verdict:
    """The seed that failed on a mutant, and its problem; None if no seed failed."""

    mutant: Mutant
    seed: int | None
    problem: str

    def __str__(self) -> str:
        if self.seed is None:
            return f"{self.mutant.name}: NOT CAUGHT: {self.problem}"
        return f"{self.mutant.name}: caught at seed {self.seed} by {self.problem}"


def mutate(source: Path, folder: Path, mutant: Mutant) -> None:
    """Copy the tree to a folder and break the copy.

    Raises:
        LookupError: the code has changed; bring the mutant up to date.
    """
    for name in COPIED:
        if (source / name).is_dir():
            shutil.copytree(source / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source / name, folder / name)
    path = folder / mutant.path
    text = path.read_text()
    if text.count(mutant.before) != 1:
        raise LookupError(f"{mutant.name}: its text is {text.count(mutant.before)} times in {mutant.path}")
    path.write_text(text.replace(mutant.before, mutant.after))


def judge(mutant: Mutant, seeds: int = SEEDS_MAX) -> Verdict:
    """Run seeds on a mutant until one fails."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        folder = Path(name)
        mutate(ROOT, folder, mutant)
        run = subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.simulation",
                "--first",
                str(mutant.first_seed),
                "--seeds",
                str(LOSS_SEEDS if mutant.by_losses else seeds),
                "--stop",
                *(["--losses"] if mutant.by_losses else []),
                "--processes",
                "1",
            ],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    failed = re.search(r"^seed (\d+): (.*)$", run.stdout, re.MULTILINE)
    if failed is None:
        return Verdict(mutant, None, (run.stdout + run.stderr).strip()[-300:])
    return Verdict(mutant, int(failed[1]), failed[2][:160])


def main() -> int:
    """Judge all mutants, or those named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="only these")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if not options.names or mutant.name in options.names]
    survivors = 0
    with ThreadPoolExecutor(options.processes) as pool:
        for done in as_completed([pool.submit(judge, mutant) for mutant in chosen]):
            verdict = done.result()
            print(verdict, flush=True)
            survivors += verdict.seed is None
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants caught")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
