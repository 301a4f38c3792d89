"""The report of a run in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.chaos.checks import SHOWN_MAX, Check
from tests.chaos.hub import KILLED
from tests.chaos.impact import Impact
from tests.chaos.plan import Fault, FaultKind


@dataclass(slots=True)
class Report:
    """All results of a run."""

    title: str
    impacts: Sequence[Impact] = ()
    checks: list[Check] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    exits: Mapping[tuple[str, int], int] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return bool(self.checks) and all(check.holds for check in self.checks)

    def markdown(self) -> str:
        parts = [f"# {self.title}", self._faults(), self._processes(), self._facts(), self._checks()]
        parts.append("**Nothing was lost.**" if self.passed else "**Something was not as it must be.**")
        return "\n\n".join(parts) + "\n"

    def _faults(self) -> str:
        lines = [
            "| s | fault | whom | nothing ended for | for one payer | again after | committed | p50 | p99 | POSTs |",
            "|---:|---|---|---:|---:|---:|---:|---:|---:|---|",
        ]
        lines += [_row(impact) for impact in self.impacts]
        return "\n".join(lines)

    def _processes(self) -> str:
        lines = ["| process | killed and started again | ended by itself and started again |", "|---|---:|---|"]
        for name in sorted({name for name, _code in self.exits}):
            codes = {code: number for (one, code), number in self.exits.items() if one == name}
            killed = codes.pop(KILLED, 0)
            others = ", ".join(f"{number} with code {code}" for code, number in sorted(codes.items())) or "-"
            lines.append(f"| {name} | {killed} | {others} |")
        return "\n".join(lines)

    def _facts(self) -> str:
        return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in self.facts.items())])

    def _checks(self) -> str:
        lines = ["| what must hold | checked | broken |", "|---|---:|---:|"]
        lines += [f"| {one.promise} | {one.checked:,} | {len(one.problems):,} |" for one in self.checks]
        for one in self.checks:
            if one.problems:
                shown = [f"- {problem}" for problem in one.problems[:SHOWN_MAX]]
                left = len(one.problems) - len(shown)
                lines += ["", f"Broken: {one.promise}", "", *shown, *([f"- and {left:,} more"] if left else [])]
        return "\n".join(lines)


def answer_counts(answers: Counter[str]) -> str:
    """Return the counts as `1,480x 202, 12x 503, 3x ServerDisconnectedError`."""
    return ", ".join(f"{number:,}x {what}" for what, number in answers.most_common())


def _row(impact: Impact) -> str:
    fault = impact.injected.fault
    cells = [
        f"{fault.at_s:.0f}",
        _what(fault),
        impact.injected.victim or "no process",
        _seconds(impact.standstill_s),
        _seconds(impact.standstill_one_s),
        _seconds(impact.again_s),
        f"{impact.committed} of {impact.sent}",
        _seconds(impact.p50_s),
        _seconds(impact.p99_s),
        impact.answers,
    ]
    return "| " + " | ".join(cells) + " |"


def _what(fault: Fault) -> str:
    if fault.kind is FaultKind.DFSP_DEAD:
        return f"a DFSP {'hangs' if fault.hangs else 'refuses'} for {fault.lasts_s:.1f} s"
    if fault.kind is FaultKind.WORKER_STOPPED:
        return f"SIGSTOP for {fault.lasts_s:.1f} s"
    return str(fault.kind.value)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"
