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
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
from pydantic import ValidationError

from bench.load.errors import BenchError
from bench.load.results import Figures, Second
from bench.load.scenarios import Scenario

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCE: Final = ROOT / "bench" / "generator"
BUILD_TIMEOUT_S: Final = 300
PROVISION_TIMEOUT_S: Final = 120
PROVISION_TRIES_MAX: Final = 3
PROVISION_PAUSE_S: Final = 5
STARTED: Final = re.compile(r"preflight ok")
# The generator's lines about errors; what they are counted as.
LINES: Final = (
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
LOG_LINES_MAX: Final = 1_000  # kept of each run; all are counted


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
    """What the generator talks to. Fulfilments may go to another ingress than transfers."""

    url: str
    url_of_puts: str
    listen: str
    pids: dict[str, list[int]]


@dataclass(frozen=True)
class Outcome:
    """What one run of the generator gave."""

    figures: Figures
    refusals: dict[str, int]
    series: list[Second]
    window_at_s: tuple[float, float]


def command_of(program: Path, scenario: Scenario, rate: float, target: Target, folder: Path) -> list[str]:
    """The generator's command line; `rate` is 0 in closed loop."""
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
    """Run it to its end. `watch` is told its process id.

    Raises:
        BenchError: it gave no figures; the sentence has its last lines.
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
            for line in process.stderr:
                if not began_at_s and STARTED.match(line):
                    began_at_s = time.time() + scenario.warmup_s
                elif (kind := kind_of(line)) is not None:
                    refusals[kind] += 1
                if len(kept) < LOG_LINES_MAX:
                    kept.append(line)
        except BaseException:
            process.kill()
            raise
    (folder / "generator.log").write_text("".join(kept))
    if process.returncode:
        tail = "".join(kept[-5:]).strip()
        raise BenchError(f"The generator ended with code {process.returncode} in {scenario.name}:\n{tail}")
    figures = read_figures((folder / REPORT).read_text())
    return Outcome(figures, dict(refusals), read_series(series), (began_at_s, began_at_s + scenario.duration_s))


def kind_of(line: str) -> str | None:
    """What a line of the generator tells of, `POST 503` for example; None if it is no error."""
    for pattern, kind in LINES:
        if match := pattern.match(line):
            return kind.format(*match.groups())
    return None


def read_figures(output: str) -> Figures:
    """The last line of what the generator's reports are appended to.

    Raises:
        BenchError: it is no report of the generator's.
    """
    lines = output.strip().splitlines()
    try:
        return Figures.model_validate(json.loads(lines[-1]))
    except (IndexError, ValueError, ValidationError) as error:
        raise BenchError(f"The generator's report cannot be read: {error}") from error


def read_series(path: Path) -> list[Second]:
    """The seconds that the generator has told of; a last line that is cut off is left out."""
    return list(_seconds(path.read_bytes().splitlines())) if path.exists() else []


def _seconds(lines: Iterable[bytes]) -> Iterable[Second]:
    for line in lines:
        try:
            yield Second.model_validate(orjson.loads(line))
        except orjson.JSONDecodeError:
            return
