"""`python -m bench.load`, from building the generator to the report, on a hub of its own, for some seconds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.load.results import Run
from tests.integration.hub_under_test import REPOSITORY

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(400)]
RUN_TIMEOUT_S = 300


@pytest.mark.skipif(shutil.which("go") is None, reason="the load generator is written in Go")
def test_a_small_run_reports_all_kinds_of_figures(kafka_bootstrap: str, tmp_path: Path) -> None:
    scenarios = ["open-20", "closed-5-hot", "million"]
    lengths = ["--duration", "3", "--warmup", "1", "--first-warmup", "2", "--transfers", "2000", "--concurrency", "20"]
    done = subprocess.run(
        [sys.executable, "-m", "bench.load", *scenarios, *lengths, "--processes", "ingress=2", "--out", str(tmp_path)],
        cwd=REPOSITORY,
        env={**os.environ, "KAFKA_BOOTSTRAP": kafka_bootstrap},
        timeout=RUN_TIMEOUT_S,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    run = Run.model_validate_json((tmp_path / "results.json").read_bytes())
    assert ["warm-up", "open-20", "closed-5-hot"] == [one.scenario for one in run.measured[:3]]
    for one in run.measured:
        assert one.figures.completed > 0
        assert [0, 0, {}] == [one.figures.failed, one.figures.unfinished, one.refusals]
        assert min(one.cpu_ms(role) for role in ("ingress", "ledger", "callbacks", "generator")) > 0
        # Our figure is of the same processes and time as the generator's own, which ignores child processes.
        assert one.window.cpu_s["ledger"] == pytest.approx(
            one.figures.cpu_cores["ledger"] * one.window.seconds, abs=0.5
        )
    parts = run.of("million")
    assert parts[-1].accepted_before + parts[-1].figures.accepted >= 2_000
    assert all(one.accepted_before < 2_000 for one in parts[1:]), "and no part more than it takes"
    assert run.books is not None
    assert run.books.ok
    assert sum(one.figures.accepted for one in run.measured) == run.books.accepted == run.books.finished
    report = (tmp_path / "report.md").read_text()
    assert "| open-20 (open 20/s, 3 s) |" in report
    assert "ingress 2" in run.facts["processes"]
    assert (tmp_path / "latency.png").read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "hub" / "data").exists()
