"""Build the load generator of bench/generator/, run it, and read its figures."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
from pydantic import ValidationError

from bench.load import BenchError
from bench.load.results import Figures, Second
from bench.load.scenarios import Scenario

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCE: Final = ROOT / "bench" / "generator"
BUILD_TIMEOUT_S: Final = 300
PROVISION_TIMEOUT_S: Final = 120
PROVISION_TRIES_MAX: Final = 3
PROVISION_PAUSE_S: Final = 5
STARTED: Final = re.compile(r"preflight ok")
# What the generator writes to stderr about an error, and the name under which the report counts it.
ERROR_PATTERNS: Final = (
    (re.compile(r"POST (\d+) "), "POST {0}"),
    (re.compile(r"POST error: "), "POST without an answer"),
    (re.compile(r"PUT fulfil: 0 "), "PUT without an answer"),
    (re.compile(r"PUT fulfil: (\d+) "), "PUT {0}"),
    (re.compile(r'error callback .*?"errorCode" ?: ?"(\d+)"'), "error callback {0}"),
    (re.compile(r"error callback "), "error callback without a code"),
    (re.compile(r"PUT callback state "), "callback of another state"),
    (re.compile(r"timeout "), "timeout"),
)
WITHOUT_ANSWER: Final = "POST without an answer"
REPORT: Final = "report.jsonl"
LOG_ENTRIES_MAX: Final = 1_000  # stored per run; errors are counted in all of them


def build_generator(folder: Path) -> Path:
    """Compile bench/generator/ into `folder` and return the program's path.

    Raises:
        BenchError: Go is not installed, or the source does not compile.
    """
    if shutil.which("go") is None:
        raise BenchError("The load generator is written in Go, and `go` is not installed (Debian: golang-go).")
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "loadgen"
    done = subprocess.run(
        ["go", "build", "-o", str(program), "."],  # noqa: S607 - where `go` is differs between systems
        cwd=SOURCE,
        timeout=BUILD_TIMEOUT_S,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"The load generator does not compile:\n{done.stderr.strip()}")
    return program


def provision(admin_url: str, callbacks_url: str, log: Path) -> None:
    """Set up the generator's participants at a hub; those that exist already stay.

    Raises:
        BenchError: they could not be set up; `log` has the reason.
    """
    urls = ["--api", admin_url, "--callbacks", callbacks_url]
    command = [sys.executable, "-m", "bench.generator.provision", *urls, "--separate-confirmations"]
    for _ in range(PROVISION_TRIES_MAX):  # a hub that has just started may answer 503
        with log.open("wb") as output:
            done = subprocess.run(
                command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, timeout=PROVISION_TIMEOUT_S, check=False
            )
        if not done.returncode:
            return
        time.sleep(PROVISION_PAUSE_S)
    raise BenchError(f"The participants could not be set up at {admin_url}: see {log}")


@dataclass(frozen=True)
class Target:
    """The hub under load: fulfilments may go to another ingress (`url_of_puts`) than transfers (`url`).

    `listen` is the address on which the generator receives callbacks; `pids` are the processes whose CPU it reports.
    """

    url: str
    url_of_puts: str
    listen: str
    pids: dict[str, list[int]]


@dataclass(frozen=True)
class Outcome:
    """The result of one run of the generator; `refusals` counts errors by name, `window_at_s` is the measured time."""

    figures: Figures
    refusals: dict[str, int]
    series: list[Second]
    window_at_s: tuple[float, float]


def command_of(program: Path, scenario: Scenario, rate: float, target: Target, folder: Path) -> list[str]:
    """Return the generator's command; `rate` is in transfers/s, 0 for a closed loop."""
    pids = ",".join(f"{role}={'+'.join(map(str, pids))}" for role, pids in target.pids.items() if pids)
    return [
        str(program),
        "-hub",
        target.url,
        "-hub-put",
        target.url_of_puts,
        "-listen",
        target.listen,
        "-c",
        str(scenario.concurrency),
        "-rate",
        f"{rate:g}",
        "-hot",
        f"{scenario.hot:g}",
        "-warmup",
        f"{scenario.warmup_s:g}",
        "-duration",
        f"{scenario.duration_s:g}",
        "-timeout",
        f"{scenario.patience_s:g}",
        "-drain",
        f"{scenario.patience_s:g}",
        "-expiry",
        f"{scenario.expiry_s:g}",
        "-log-errors",
        str(2**40),
        "-label",
        scenario.name,
        "-out",
        str(folder / REPORT),
        *(["-pids", pids] if pids else []),
    ]


def run_generator(command: list[str], scenario: Scenario, folder: Path, watch: Callable[[int], None]) -> Outcome:
    """Run the generator to its end and return its results; `watch` is called with its process id.

    Raises:
        BenchError: the generator failed or wrote no figures; the text has the end of its log.
    """
    series = folder / "series.jsonl"
    refusals: Counter[str] = Counter()
    began_at_s = 0.0
    kept: list[str] = []
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**os.environ, "LOADGEN_SERIES": str(series)},
    ) as process:
        try:
            watch(process.pid)
            assert process.stderr is not None
            for entry in process.stderr:
                if not began_at_s and STARTED.match(entry):
                    began_at_s = time.time() + scenario.warmup_s
                elif (kind := error_kind(entry)) is not None:
                    refusals[kind] += 1
                if len(kept) < LOG_ENTRIES_MAX:
                    kept.append(entry)
        except BaseException:
            process.kill()
            raise
    (folder / "generator.log").write_text("".join(kept))
    if process.returncode:
        tail = "".join(kept[-5:]).strip()
        raise BenchError(f"The generator ended with code {process.returncode} in {scenario.name}:\n{tail}")
    figures = read_figures((folder / REPORT).read_text())
    return Outcome(figures, dict(refusals), read_series(series), (began_at_s, began_at_s + scenario.duration_s))


def error_kind(entry: str) -> str | None:
    """Return the name under which a log entry of the generator is counted, e.g. `POST 503`; None if it is no error."""
    for pattern, kind in ERROR_PATTERNS:
        if match := pattern.match(entry):
            return kind.format(*match.groups())
    return None


def read_figures(output: str) -> Figures:
    """Return the last of the generator's reports in `output`, one JSON document per line.

    Raises:
        BenchError: `output` has no report.
    """
    reports = output.strip().splitlines()
    try:
        return Figures.model_validate(json.loads(reports[-1]))
    except (IndexError, ValueError, ValidationError) as error:
        raise BenchError(f"The generator's report cannot be read: {error}") from error


def read_series(path: Path) -> list[Second]:
    """Return the seconds that the generator has reported; an incomplete last one is left out."""
    seconds: list[Second] = []
    for entry in path.read_bytes().splitlines() if path.exists() else []:
        try:
            seconds.append(Second.model_validate(orjson.loads(entry)))
        except orjson.JSONDecodeError:
            break
    return seconds
