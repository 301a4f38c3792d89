"""The generator is built and its output is read: figures, seconds, and every error by its code."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.generator.provision import party_number
from bench.load import BenchError
from bench.load.generator import SOURCE, Target, build_generator, command_of, error_kind, read_figures, read_series
from bench.load.scenarios import Choice, chosen_scenarios

# A report of the generator's -out, shortened where it only repeats itself.
REPORT = {
    "label": "open-200",
    "mode": "open",
    "rate": 200,
    "concurrency": 1,
    "hot": 0,
    "warmup_s": 10,
    "duration_s": 30,
    "completed": 5_990,
    "completed_per_s": 199.667,
    "sent_in_window": 6_000,
    "sent_per_s": 200,
    "latency_ms": {"n": 5_990, "mean": 31.2, "p50": 30.1, "p95": 44.9, "p99": 61.5, "max": 90.4, "min": 9.1},
    "latency_from_schedule_ms": {"n": 5_990, "p50": 30.4, "p95": 45.1, "p99": 62.0, "max": 91.0},
    "post_202_ms": {"n": 0},
    "errors": {
        "post": 7,
        "put_fulfil": 1,
        "error_callbacks": 2,
        "timeouts": 3,
        "late_after_timeout": 1,
        "unknown_callbacks": 0,
        "duplicate_puts": 0,
    },
    "inflight_at_window_end": 6,
    "not_completed_after_drain": 0,
    "total_sent": 8_001,
    "total_completed": 7_988,
    "cpu_cores": {"ledger": 0.31},
    "system": {"steal_cores": 0.01},
    "per_second": [200, 199],
    "max_inflight": 12,
}


def test_figures_are_read_from_the_last_report() -> None:
    earlier = REPORT | {"completed": 1}

    figures = read_figures(f"{json.dumps(earlier)}\n{json.dumps(REPORT)}\n")

    assert 5_990 == figures.completed
    assert 30.4 == figures.latency.p50, "open loop: from the schedule"
    assert figures.post_202_ms.p50 is None
    assert 7_994 == figures.accepted
    assert 3 == figures.unfinished, "of 7,994 accepted 7,988 completed, 2 failed and 1 ended late"
    assert 7 + 1 + 2 + 3 == figures.failed


def test_closed_loop_has_no_schedule() -> None:
    closed = {key: value for key, value in REPORT.items() if key != "latency_from_schedule_ms"}

    assert 30.1 == read_figures(json.dumps(closed)).latency.p50


@pytest.mark.parametrize("output", ["", "preflight ok", "{}", "[1]"])
def test_output_without_a_report_is_an_error(output: str) -> None:
    with pytest.raises(BenchError, match="cannot be read"):
        read_figures(output)


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ('POST 503 {"errorInformation":{"errorCode":"2003"}}', "POST 503"),
        ('POST error: Post "http://127.0.0.1:4000/transfers": EOF', "POST without an answer"),
        ("PUT fulfil: 503 {} <nil>", "PUT 503"),
        ('PUT fulfil: 0  Put "http://127.0.0.1:4000/transfers/1": EOF', "PUT without an answer"),
        ('error callback /a/transfers/1/error {"errorInformation":{"errorCode":"3303"}}', "error callback 3303"),
        ("error callback /a/transfers/1/error nonsense", "error callback without a code"),
        ('PUT callback state "ABORTED"', "callback of another state"),
        ("timeout 0f2a", "timeout"),
        ("preflight ok 14.2 ms", None),
        ("http: superfluous response.WriteHeader call", None),
    ],
)
def test_errors_by_code(entry: str, kind: str | None) -> None:
    assert kind == error_kind(entry + "\n")


def test_seconds_are_read_without_an_incomplete_last_one(tmp_path: Path) -> None:
    second = {
        "at_s": 1.5,
        "completed": 3,
        "latency_ms": {"n": 3, "p50": 9.5},
        "in_flight": 2,
        "sent_total": 7,
        "refused_total": 1,
    }
    path = tmp_path / "series.jsonl"
    path.write_text(f'{json.dumps(second)}\n{json.dumps(second | {"at_s": 2.5})}\n{{"at_s": 3.')

    assert [1.5, 2.5] == [one.at_s for one in read_series(path)]
    assert [] == read_series(tmp_path / "none")


def test_the_command_has_load_and_processes_to_watch(tmp_path: Path) -> None:
    (hot,) = chosen_scenarios(["hot"], Choice(duration_s=60))
    target = Target("http://a", "http://b", "127.0.0.1:1", {"ledger": [7, 8], "kafka": [9], "callbacks": []})

    command = command_of(Path("loadgen"), hot, 0.0, target, tmp_path)

    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert ("300", "0", "0.7", "60") == (options["-c"], options["-rate"], options["-hot"], options["-duration"])
    assert ("http://a", "http://b") == (options["-hub"], options["-hub-put"])
    assert "ledger=7+8,kafka=9" == options["-pids"]


def test_a_missing_compiler_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BenchError, match="`go` is not installed"):
        build_generator(tmp_path)


@pytest.mark.skipif(shutil.which("go") is None, reason="the load generator is written in Go")
def test_the_generator_is_built_from_the_project_itself(tmp_path: Path) -> None:
    program = build_generator(tmp_path / "build")

    done = subprocess.run([program, "-help"], capture_output=True, text=True, check=False)
    assert "-stages" in done.stderr
    assert [] == list(SOURCE.glob("loadgen*")), "no program is left in the source folder"


def test_party_numbers_are_those_of_the_generator() -> None:
    assert "190503016000007" == party_number("payeefsp1", 7)
