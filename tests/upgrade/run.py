"""Two releases in one hub: every process is rolled to the other release and back, under load: `make upgrade`.

Two processes of each role on a broker of their own. Exit codes: 0 all checks passed; 1 one failed; 2 wrong options;
3 no broker, no such release, or the hub did not start.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from clearinghub.kafka.broker import BrokerUnavailableError
from clearinghub.tools.client.hub_urls import HubDownError
from tests.chaos.checks import Check
from tests.chaos.dfsp import ChaosDfsp
from tests.chaos.hub import ChaosHub
from tests.chaos.impact import Impact
from tests.chaos.injector import Injected
from tests.chaos.plan import process_names
from tests.chaos.report import Report
from tests.chaos.run import EXIT_BROKEN, EXIT_CANNOT_RUN, EXIT_HELD, _interrupt
from tests.chaos.scenario import Scenario
from tests.integration.hub_under_test import PARTITIONS
from tests.topics import records_of
from tests.upgrade.next_release import NotMadeError
from tests.upgrade.releases import Checkout, CheckoutError, check_out, check_out_next, golden_faults, remove
from tests.upgrade.rolling import Roller, RollingHub

LOAD_S_MAX: Final = 900
ANSWERS_LOST_MAX: Final = 0.01
CHANGELOGS: Final = ("transfers", "positions")


class UpgradeScenario(Scenario):
    """The chaos run without its faults: what happens is the roll, and the load lasts as long as that."""

    def __init__(self, folder: Path, older: Checkout, newer: Checkout, rate: int) -> None:
        super().__init__(folder, 1, LOAD_S_MAX, rate, LOAD_S_MAX, tell)
        self._faults = []
        self._older = older
        self._newer = newer
        self._roller: Roller | None = None

    def _make_hub(self) -> ChaosHub:
        return RollingHub(self._folder, self._older)

    def _make_injector(self, hub: ChaosHub, dfsps: Mapping[str, ChaosDfsp]) -> Roller:
        del dfsps
        assert isinstance(hub, RollingHub)
        self._roller = Roller(hub, self._older, self._newer, tell)
        return self._roller

    def _is_over(self) -> bool:
        return self._roller is not None and self._roller.is_done

    def _impacts(self, *_facts: object) -> list[Impact]:
        return []

    def _title(self) -> str:
        return f"Upgrade: {self._older.release} -> {self._newer.release} -> {self._older.release} under load"

    async def _verdict(self, hub: ChaosHub, injected: list[Injected]) -> list[Check]:
        assert self._roller is not None
        rolls = self._roller.rolls
        tell(f"{len(rolls)} rolls; the longest took {max(rolls, default=0.0):.1f} s until the hub was healthy")
        kept, lost = await rows_of_the_newer(hub.bootstrap)
        checks = [
            one for one in await super()._verdict(hub, injected) if not one.promise.startswith("every planned fault")
        ]
        ended = [f"{name} with code {code}" for (name, code) in hub.exits if code]
        return [
            *checks,
            Check("every process was rolled there and back", len(rolls), tuple(self._roller.problems)),
            Check(
                "both ways, twice each process", len(rolls), () if len(rolls) == 2 * len(process_names()) else ("no",)
            ),
            Check("a row of the newer release keeps its fields when the older one changes it", kept, tuple(lost)),
            Check("each process stopped in order", sum(hub.exits.values()), tuple(ended)),
            Check("rows of the newer release were changed by the older one", kept, () if kept else ("none",)),
        ]


async def rows_of_the_newer(bootstrap: str) -> tuple[int, list[str]]:
    """Return how many rows were changed after the newer release had widened them, and those that were made narrower.

    Each row begins with its number of fields (ADR 23).
    """
    changed, lost = 0, []
    for table in CHANGELOGS:
        widths: dict[bytes, int] = {}
        narrowest: int | None = None
        for record in await records_of(bootstrap, f"clearinghub-{table}-changelog", PARTITIONS):
            if record.value is None:
                widths.pop(record.key, None)
                continue
            width = int(msgspec.json.decode(record.value)[0])
            narrowest = width if narrowest is None else min(narrowest, width)
            before = widths.get(record.key, 0)
            if width < before:
                lost.append(f"{table} {record.key!r}: {before} fields, then {width}")
            changed += before > narrowest
            widths[record.key] = width
    return changed, lost


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.upgrade.run", description="Roll a hub there and back.")
    parser.add_argument("--from", dest="older", default="HEAD", help="the older release, a tag (default %(default)s)")
    parser.add_argument(
        "--to", dest="newer", help="the newer one (default: HEAD with a field more in rows and messages)"
    )
    parser.add_argument("--rate", type=int, default=100, help="transfers a second (default %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("run") / "upgrade.md", help="the report (default %(default)s)")
    parser.add_argument("--keep", type=Path, help="keep the hub's data and logs in this folder")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print the report, and return the exit code."""
    chosen = options().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="clearinghub-upgrade-") as scratch:
        checkouts: list[Checkout] = []
        try:
            older = check_out(chosen.older, Path(scratch) / "older")
            checkouts.append(older)
            make = check_out if chosen.newer else check_out_next
            newer = make(chosen.newer or "HEAD", Path(scratch) / "newer")
            checkouts.append(newer)
            unread = golden_faults(older, newer, tell)
            folder = (chosen.keep or Path(scratch) / "hub").resolve()
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                report = runner.run(UpgradeScenario(folder, older, newer, chosen.rate).run())
        except (BrokerUnavailableError, CheckoutError, HubDownError, NotMadeError) as error:
            tell(str(error))
            return EXIT_CANNOT_RUN
        except KeyboardInterrupt:
            tell("interrupted; all that was started has been stopped")
            return EXIT_CANNOT_RUN
        finally:
            for checkout in checkouts:
                remove(checkout)
    report.checks.append(Check("each release reads the golden files of the other", 2, tuple(unread)))
    return finish(report, chosen.out)


def finish(report: Report, out: Path) -> int:
    """Write and print the report; return the exit code."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(report.markdown())
    print(report.markdown())
    return EXIT_HELD if report.passed else EXIT_BROKEN


def tell(sentence: str) -> None:
    """Print the progress of the run to stderr."""
    print(f"upgrade: {time.strftime('%H:%M:%S')} {sentence}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main())
