"""Audit the ledger's books before and after the load: has every accepted transfer ended?"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Final

import orjson

from bench.load import BenchError
from bench.load.generator import ROOT, WITHOUT_ANSWER
from bench.load.results import Books, Measured

AUDIT_TIMEOUT_S: Final = 1_800
EXITS_WITH_REPORT: Final = (0, 1)


def audit(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the report that `clearinghub audit --json` prints.

    Raises:
        BenchError: the audit failed, e.g. because it could not read the topics.
    """
    done = subprocess.run(
        [sys.executable, "-m", "clearinghub", "audit", "--json"],
        cwd=ROOT,
        env=dict(environment),
        timeout=AUDIT_TIMEOUT_S,
        capture_output=True,
        check=False,
    )
    if done.returncode not in EXITS_WITH_REPORT:
        raise BenchError(f"The audit ended with code {done.returncode}: {done.stderr.decode(errors='replace').strip()}")
    report: dict[str, Any] = orjson.loads(done.stdout)
    return report


def compare(before: Mapping[str, Any], after: Mapping[str, Any], runs: list[Measured]) -> Books:
    """Return what the books have of the transfers that the generator counted between the two audits."""
    rules = [rule for rule in after["rules"] if rule["violations"]]
    return Books(
        ok=after["ok"],
        broken=[f"{rule['name']}: {rule['violations']}" for rule in rules],
        accepted=sum(one.figures.accepted for one in runs),
        without_answer=sum(one.refusals.get(WITHOUT_ANSWER, 0) for one in runs),
        finished=after["transfers"]["finished"] - before["transfers"]["finished"],
        in_flight=after["transfers"]["inFlight"] - before["transfers"]["inFlight"],
        undecided=after["transfers"]["undecided"],
        pending=len(after["transfers"]["pending"]),
    )
