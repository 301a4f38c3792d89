"""Counts of what happened in many runs, and the faults that never happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from tests.simulation.swarm import CALLBACK_CRASH_POINTS, CRASH_POINTS, FAULTS

RUNS_FOR_ALL: Final = 200  # in so many runs every fault must happen

OUTCOMES: Final = (
    "transfers paid",
    "transfers void",
    "transfers expired",
    "records decided again",
    "transactions aborted",
    "writes fenced",
    "offset commits refused",
    "rebalances done",
    "orderly stops",
    "mixed releases",
    "feature levels raised",
    "commit's request lost",
    "commit's answer lost",
    "callbacks",
    "callbacks parked",
    "parked records read again",
    "windows closed",
    "crashes while a window closed",
    "transfers settled at once",
    "bulks sent on",
    "items refused",
    "items committed",
    "items aborted",
    "items expired",
    "answers passed on",
    "answers refused",
)


def missing(counts: Counter[str]) -> list[str]:
    """Return the faults and outcomes that never happened."""
    crashes = (f"crash at {point}" for point in dict.fromkeys((*CRASH_POINTS, *CALLBACK_CRASH_POINTS)))
    return [kind for kind in (*FAULTS, *OUTCOMES, *crashes) if not counts[kind]]


def rendered(runs: int, counts: Counter[str]) -> str:
    """Return the counts as a text for people."""
    groups: Iterable[tuple[str, list[str]]] = (
        ("faults", sorted(FAULTS)),
        ("crashes", sorted(kind for kind in counts if kind.startswith("crash at "))),
        ("what happened", sorted(kind for kind in counts if kind not in FAULTS and not kind.startswith("crash at "))),
    )
    lines = [f"{runs} runs"]
    for title, kinds in groups:
        lines.append(f"{title}: " + ", ".join(f"{kind} {counts[kind]:,}" for kind in kinds))
    return "\n".join(lines)
