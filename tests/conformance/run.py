"""Mojaloop's own hub tests against this hub, on clean data: `make conformance`.

Only what EXCLUDED.md names is left out. At the end the ledger's books must be right, too. Everything that is started
here is stopped at the end.
Exit codes: 0 all that applies passes; 1 it does not; 2 wrong options or a wrong EXCLUDED.md; 3 the kit, a tool or the
broker is missing, or something did not come up.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Final

from rich.console import Console

from clearinghub.kafka.broker import BrokerUnavailableError
from tests.conformance.chance import draw_again
from tests.conformance.exclusions import ExclusionError, read_exclusions
from tests.conformance.hub import HubStartError, audit_books, running_broker, running_hub
from tests.conformance.kit import ROOT, KitError, kit_source, prepare_kit, require_free_ports, require_tools
from tests.conformance.plan import Collection, read_plan
from tests.conformance.report import WIDTH, Report
from tests.conformance.scoring import Assertion, Result, judge, outdated, read_assertions, read_weak
from tests.conformance.toolkit import Toolkit, ToolkitError

EXIT_PASSED: Final = 0
EXIT_FAILED: Final = 1
EXIT_WRONG: Final = 2
EXIT_CANNOT_RUN: Final = 3
# The open set as it applies takes about 5 minutes on two busy cores.
RUN_S_MAX: Final = 18 * 60
LEDGERS_MAX: Final = 4
OUT_DEFAULT: Final = ROOT / "reports" / "conformance"


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.run", description="Mojaloop's own hub tests.")
    parser.add_argument(
        "--ledgers", type=int, default=1, choices=range(1, LEDGERS_MAX + 1), help="processes of the ledger (default 1)"
    )
    parser.add_argument("--out", type=Path, default=OUT_DEFAULT, help="for reports and logs (default %(default)s)")
    parser.add_argument(
        "--everything", action="store_true", help="run what EXCLUDED.md leaves out too, to see which rows may go"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print the report, and return the exit code."""
    chosen = options().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    try:
        report = run(chosen.out.resolve(), chosen.ledgers, console, everything=chosen.everything)
    except ExclusionError as error:
        console.print(str(error), markup=False, highlight=False)
        return EXIT_WRONG
    except (KitError, HubStartError, ToolkitError, BrokerUnavailableError) as error:
        console.print(str(error), markup=False, highlight=False)
        return EXIT_CANNOT_RUN
    except KeyboardInterrupt:
        console.print("interrupted; all that was started has been stopped")
        return EXIT_CANNOT_RUN
    report.show(console)
    console.print(f"reports: {chosen.out}", highlight=False)
    return EXIT_PASSED if report.passed else EXIT_FAILED


def _interrupt_once(_number: int, _frame: FrameType | None) -> None:
    """End the run at the first signal: a second one, from make, must not disturb the stop."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    raise KeyboardInterrupt


def run(out: Path, ledgers: int, console: Console, *, everything: bool) -> Report:
    """Prepare the kit, start a hub, run what applies and return the report; files are in `out`.

    Raises:
        KitError, HubStartError, ToolkitError, BrokerUnavailableError: the collections cannot be run.
        ExclusionError: EXCLUDED.md names what is not in the kit.
    """

    def tell(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    source = kit_source()
    require_tools()
    tell("preparing the kit (the first time takes some minutes)")
    kit = prepare_kit(source)
    plan = read_plan(kit, read_exclusions())
    chosen = [one for one in plan if one.applies or everything]
    require_free_ports(kit)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    began_at = time.monotonic()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clearinghub-conformance-")))
        tell("starting the hub on clean data")
        bootstrap = stack.enter_context(running_broker(scratch))
        stack.callback(_keep_logs, scratch / "hub", out / "hub")
        hub = stack.enter_context(running_hub(bootstrap, scratch / "hub", ledgers))
        toolkit = Toolkit(kit, out / "kit", scratch / "kit")
        stack.callback(toolkit.stop)
        tell(f"running {len(chosen)} collections")
        toolkit.run(hub.urls, chosen, RUN_S_MAX, tell)
        draw_again(chosen, toolkit.out, toolkit.run_again, tell)
        tell("auditing the books")
        faults = audit_books(hub, out / "audit.txt")
    report = judge_all(kit, out / "kit", plan, chosen, ledgers, time.monotonic() - began_at)
    report = replace(report, faults=[*report.faults, *faults])
    report.write(out)
    return report


def judge_all(
    kit: Path, reports: Path, plan: Sequence[Collection], chosen: Sequence[Collection], ledgers: int, seconds: float
) -> Report:
    """Return the report of the collections that were run."""
    weak = read_weak(kit)
    found = {one.order: read_assertions(reports / f"{one.order:03}.assertions.json", one, weak) for one in chosen}
    results = [judge(one, found[one.order]) for one in chosen]
    every: list[Assertion] = [assertion for assertions in found.values() for assertion in assertions or ()]
    return Report(
        results=[one for one in results if one.collection.applies],
        not_run=[one.file for one in plan if not one.applies],
        outdated=outdated(every),
        faults=_differences(results, json.loads((reports / "score.json").read_text())["files"]),
        ledgers=ledgers,
        seconds=seconds,
    )


def _keep_logs(hub: Path, out: Path) -> None:
    """Copy the hub's logs, and neither its data nor its key."""
    out.mkdir(exist_ok=True)
    for log in hub.glob("*.log"):
        shutil.copy(log, out)


def _differences(results: Sequence[Result], files: Sequence[dict[str, object]]) -> list[str]:
    """Return where our counts differ from the kit's score.json, for collections without exclusions."""
    scores = {score["file"]: score for score in files}
    faults = []
    for one in results:
        score = scores.get(one.collection.file)
        if one.excluded or score is None:
            continue
        ours = (one.effective.passed, one.effective.total, one.discriminating.passed, one.discriminating.total)
        kits = tuple(score[name] for name in ("effectivePassed", "effective", "discriminatingPassed", "discriminating"))
        if ours != kits:
            faults.append(f"{one.collection.file}: counted {ours} here, {kits} in the kit's score.json")
    return faults


if __name__ == "__main__":
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, _interrupt_once)
    sys.exit(main())
