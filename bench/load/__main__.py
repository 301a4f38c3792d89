"""`python -m bench.load`: measure a hub with the load generator and write a report.

Exit codes: 0 measured; 1 a goal was missed (with --require); 2 wrong options; 3 nothing could be measured.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from rich.console import Console

from bench.load import BenchError
from bench.load.bench import Bench
from bench.load.generator import ROOT
from bench.load.goals import Verdict, checks_of
from bench.load.hub import Hub, own_hub, running_hub
from bench.load.plot import draw
from bench.load.report import markdown
from bench.load.results import Run
from bench.load.scenarios import CONCURRENCY, MILLION, SETS, Choice, Scenario, chosen_scenarios
from clearinghub.roles.all import ROLES

EXIT_OK: Final = 0
EXIT_MISSED: Final = 1
EXIT_WRONG_OPTIONS: Final = 2
EXIT_NO_FIGURES: Final = 3
RESULTS: Final = "results.json"
WARM_UP_S: Final = 20.0
console = Console(stderr=True, highlight=False)


def options() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.load", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument(
        "scenarios",
        nargs="*",
        default=["default"],
        metavar="SCENARIO",
        help="rest hot overload sustained sustained-hot million closed-N open-N, -hot after the last two; "
        f"sets: {', '.join(SETS)}",
    )
    parser.add_argument(
        "--hub",
        choices=("own", "running"),
        default="own",
        help="own: a new hub on clean data and free ports; running: the hub that runs from this folder",
    )
    parser.add_argument("--duration", type=_positive, help="measured seconds of every scenario")
    parser.add_argument("--warmup", type=_positive, help="seconds before them")
    parser.add_argument("--concurrency", type=int, default=CONCURRENCY, help="in flight, of sustained and million")
    parser.add_argument("--rate", type=_positive, default=0.0, help="transfers/s of sustained: open loop")
    parser.add_argument("--transfers", type=int, default=MILLION, help="how far `million` fills the tables")
    parser.add_argument(
        "--first-warmup",
        type=float,
        default=WARM_UP_S,
        metavar="S",
        help="seconds of load before the first scenario, for the broker's JVM; 0: none",
    )
    parser.add_argument(
        "--processes",
        action="append",
        default=[],
        type=_count,
        metavar="ROLE=N",
        help="own hub: how many processes of a role",
    )
    parser.add_argument(
        "--listen-port", type=int, default=0, help="where the generator receives callbacks; 0: any free port"
    )
    parser.add_argument("--audit", choices=("end", "each", "none"), default="end", help="when the books are audited")
    parser.add_argument("--out", type=Path, help="folder for report, plots and raw data; bench/out/TIME")
    parser.add_argument("--require", action="store_true", help="a missed goal is exit code 1")
    parser.add_argument("--render", type=Path, metavar="FOLDER", help="only make the report of an earlier run again")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the report, and return the exit code."""
    chosen = options().parse_args(arguments)
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # so that SIGTERM, too, stops the hub that was started here
    try:
        if chosen.render:
            return _report(_read(chosen.render), chosen.render, is_required=chosen.require)
        choice = Choice(chosen.duration, chosen.warmup, chosen.concurrency, chosen.rate, chosen.transfers)
        scenarios = chosen_scenarios(chosen.scenarios, choice)
    except BenchError as error:
        console.print(str(error), markup=False)
        return EXIT_WRONG_OPTIONS
    folder = chosen.out or ROOT / "bench" / "out" / datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    folder = folder.resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        run, problem = _measure(chosen, scenarios, folder)
    except (BenchError, ValidationError) as error:
        console.print(str(error), markup=False)
        return EXIT_NO_FIGURES
    (folder / RESULTS).write_text(run.model_dump_json())
    code = _report(run, folder, is_required=chosen.require)
    if problem is not None:
        console.print(str(problem), markup=False)
        return EXIT_NO_FIGURES
    return code


def _measure(chosen: argparse.Namespace, scenarios: Sequence[Scenario], folder: Path) -> tuple[Run, BenchError | None]:
    """Return the results and, if the run ended early, why; what was measured until then is kept."""
    processes = dict(chosen.processes)
    hub_of: AbstractContextManager[Hub] = (
        running_hub() if chosen.hub == "running" else own_hub(folder / "hub", processes)
    )
    origin = "running before" if chosen.hub == "running" else "of its own, clean data"
    console.print("looking for the hub" if chosen.hub == "running" else "starting a hub")
    with hub_of as hub:
        bench = Bench(hub, folder, lambda sentence: console.print(sentence, markup=False), chosen.listen_port)
        problem = None
        try:
            bench.run(scenarios, origin, chosen.first_warmup, chosen.audit)
        except (BenchError, KeyboardInterrupt) as error:
            if not bench.results.measured:
                raise
            problem = error if isinstance(error, BenchError) else BenchError("interrupted")
        return bench.results, problem


def _report(run: Run, folder: Path, *, is_required: bool) -> int:
    checks = checks_of(run)
    plots = draw(run, folder)
    (folder / "report.md").write_text(markdown(run, checks, plots))
    for check in checks:
        console.print(f"{check.verdict.value:<11} {check.goal}: {check.measured}", markup=False)
    console.print(f"report: {folder / 'report.md'}", markup=False, soft_wrap=True)
    missed = any(check.verdict is Verdict.MISSED for check in checks)
    return EXIT_MISSED if is_required and missed else EXIT_OK


def _read(folder: Path) -> Run:
    try:
        return Run.model_validate_json((folder / RESULTS).read_bytes())
    except (OSError, ValidationError) as error:
        raise BenchError(f"No results of an earlier run in {folder}: {error}") from error


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def _count(text: str) -> tuple[str, int]:
    role, _, number = text.partition("=")
    if role not in ROLES or not number.isdecimal() or int(number) < 1:
        raise argparse.ArgumentTypeError(f"ROLE=N with a role of {', '.join(ROLES)}")
    return role, int(number)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
