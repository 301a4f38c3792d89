"""Chaos on the real hub: `make chaos`.

Two processes of each role on brokers of their own, eight DFSPs that send at a steady rate, and a fault every few
seconds: processes and broker killed with -9, workers stopped past the session timeout, DFSPs gone dead. With three
brokers one of them is killed, stopped or frozen: any, the controller, the leader of a hot partition. With --blackouts
everything is killed at once, the brokers included, so many times (`make blackout`). When all is quiet again, nothing
may be lost, nothing may have ended twice, and no operator may have been needed.
Exit codes: 0 all checks passed; 1 one failed; 2 wrong options; 3 no broker, or the hub did not start.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final

import uvloop

from clearinghub.kafka.broker import BrokerUnavailableError
from clearinghub.tools.client.hub_urls import HubDownError
from tests.chaos.scenario import Scenario

EXIT_HELD: Final = 0
EXIT_BROKEN: Final = 1
EXIT_CANNOT_RUN: Final = 3
BLACKOUT_INTERVAL_S: Final = 60  # brokers and hub need about a third of it to be back


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.run", description="Chaos on the real hub.")
    parser.add_argument("--seconds", type=int, default=300, help="of load with faults (default %(default)s)")
    parser.add_argument("--rate", type=int, default=150, help="transfers a second (default %(default)s)")
    parser.add_argument("--interval", type=int, help="seconds between faults (default 10; 20 with three brokers)")
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=1, help="brokers (default %(default)s)")
    parser.add_argument("--blackouts", type=int, default=0, help="kill everything at once, so often, and nothing else")
    parser.add_argument("--seed", type=int, help="repeat the faults of an earlier run")
    parser.add_argument("--out", type=Path, help="also write the report there (default run/chaos-SEED.md)")
    parser.add_argument("--keep", type=Path, help="keep the hub's data and logs in this folder")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print the report, and return the exit code."""
    chosen = options().parse_args(arguments)
    seed = random.randrange(1_000_000) if chosen.seed is None else chosen.seed
    out = chosen.out or Path("run") / f"chaos-{seed}.md"
    with tempfile.TemporaryDirectory(prefix="clearinghub-chaos-") as scratch:
        folder = (chosen.keep or Path(scratch)).resolve()
        usual_s = BLACKOUT_INTERVAL_S if chosen.blackouts else 10 if chosen.brokers == 1 else 20
        interval_s = chosen.interval or usual_s
        scenario = Scenario(
            folder,
            seed,
            chosen.blackouts * interval_s or chosen.seconds,
            chosen.rate,
            interval_s,
            print_progress,
            brokers=chosen.brokers,
            blackouts=chosen.blackouts,
        )
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                report = runner.run(scenario.run())
        except (BrokerUnavailableError, HubDownError) as error:
            print_progress(str(error))
            return EXIT_CANNOT_RUN
        except KeyboardInterrupt:
            print_progress("interrupted; all that was started has been stopped")
            return EXIT_CANNOT_RUN
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(report.markdown())
    print(report.markdown())
    print_progress(f"report: {out}")
    return EXIT_HELD if report.passed else EXIT_BROKEN


def print_progress(sentence: str) -> None:
    """Print the progress of the run to stderr."""
    print(f"chaos: {time.strftime('%H:%M:%S')} {sentence}", file=sys.stderr, flush=True)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """End the run on SIGTERM as on Ctrl-C, so that all that was started is stopped."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main())
