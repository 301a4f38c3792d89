"""The report of a run: a table for the terminal, and files beside the kit's own reports."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from tests.conformance.exclusions import COLLECTIONS, Exclusion
from tests.conformance.scoring import Count, Result

WIDTH: Final = 150
NAME_LENGTH_MAX: Final = 46
PROBLEMS_SHOWN_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Report:
    """The results of a run, the collections that were not run, and rows of EXCLUDED.md that are out of date."""

    results: Sequence[Result]
    not_run: Sequence[str]
    outdated: Sequence[Exclusion]
    faults: Sequence[str]
    ledgers: int
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether all that applies passes and no row of EXCLUDED.md is out of date."""
        return bool(self.results) and not (self.outdated or self.faults or any(one.problems for one in self.results))

    def table(self) -> Table:
        """Return a table with a row for each collection."""
        table = Table(title="Mojaloop's own hub tests", caption=self._caption(), caption_justify="left")
        table.add_column("#", justify="right", min_width=2)
        table.add_column("collection", no_wrap=True, max_width=NAME_LENGTH_MAX)
        table.add_column("group", no_wrap=True)
        for name in ("cases", "assertions", "effective", "discriminating", "excluded"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
        for one in self.results:
            name = Path(one.collection.file).stem
            table.add_row(str(one.collection.order), name, one.collection.entry["group"], *_cells([one]))
        table.add_section()
        table.add_row("", "all", "", *_cells(self.results))
        return table

    def show(self, console: Console) -> None:
        """Print the table and all problems."""
        console.print(self.table())
        for one in self.results:
            if one.problems:
                console.print(f"[red]{one.collection.file}", highlight=False)
            for problem in one.problems[:PROBLEMS_SHOWN_MAX]:
                console.print(f"  {problem}", markup=False, highlight=False)
            if len(one.problems) > PROBLEMS_SHOWN_MAX:
                console.print(f"  and {len(one.problems) - PROBLEMS_SHOWN_MAX} more")
        for row in self.outdated:
            console.print(f"{row}: passes; take the row out", markup=False, highlight=False)
        for fault in self.faults:
            console.print(fault, markup=False, highlight=False)

    def write(self, folder: Path) -> None:
        """Write report.txt, which has what `show` prints, and report.json, the same for programs."""
        with (folder / "report.txt").open("w") as file:
            self.show(Console(file=file, width=WIDTH))
        (folder / "report.json").write_text(json.dumps(self._as_json(), indent=1))

    def _as_json(self) -> dict[str, Any]:
        return {
            "passed": self.passed,
            "ledgers": self.ledgers,
            "seconds": round(self.seconds),
            "faults": list(self.faults),
            "outdated": [str(row) for row in self.outdated],
            "notRun": [file.removeprefix(COLLECTIONS) for file in self.not_run],
            "collections": [_result_as_json(one) for one in self.results],
        }

    def _caption(self) -> str:
        return (
            f"{self.seconds:.0f} s, ledger in {self.ledgers} process(es). effective: assertions that an empty hub does "
            f"not pass; discriminating: nor a blind forwarder; excluded: not applicable, by EXCLUDED.md.\n"
            f"{len(self.not_run)} collections were not run: none of their requests applies, by EXCLUDED.md."
        )


def _result_as_json(one: Result) -> dict[str, Any]:
    counts = {"cases": one.cases, "effective": one.effective, "discriminating": one.discriminating}
    return {
        "order": one.collection.order,
        "file": one.collection.file.removeprefix(COLLECTIONS),
        "group": one.collection.entry["group"],
        "assertions": one.assertions,
        "excluded": one.excluded,
        "notEvaluated": one.not_evaluated,
        **{name: {"passed": count.passed, "of": count.total} for name, count in counts.items()},
        "problems": one.problems,
    }


def _cells(results: Sequence[Result]) -> Iterator[str]:
    """Return the cells after the names, for one result or for all together."""
    yield str(_sum(one.cases for one in results))
    yield str(sum(one.assertions for one in results))
    yield str(_sum(one.effective for one in results))
    yield str(_sum(one.discriminating for one in results))
    yield str(sum(one.excluded for one in results) or "")
    yield "[red]FAILED" if any(one.problems for one in results) else "[green]passed"


def _sum(counts: Iterable[Count]) -> Count:
    return sum(counts, Count())
