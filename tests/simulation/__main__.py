"""`python -m tests.simulation`: run many seeds, or one again; see README.md."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.losses import LOSSES, problem_of
from tests.simulation.quiet import be_quiet
from tests.simulation.run import Run, simulate
from tests.simulation.statistics import RUNS_FOR_ALL, missing, rendered

SEEDS_AT_ONCE = 10


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many")
    parser.add_argument("--first", type=int, help="the first of them; else one at random")
    parser.add_argument("--seed", type=int, help="this one alone")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--losses", action="store_true", help="instead, what is made of each loss of the broker")
    parser.add_argument("--stop", action="store_true", help="end with the first failure")
    return parser.parse_args()


def simulate_all(seeds: range, processes: int) -> Iterator[Run]:
    """Return the runs in the order of their seeds."""
    if processes < 2:
        yield from map(simulate, seeds)
        return
    with ProcessPoolExecutor(processes, initializer=be_quiet) as pool:
        yield from pool.map(simulate, seeds, chunksize=SEEDS_AT_ONCE)


def lose_all(seeds: range, *, stop: bool) -> int:
    """Try each kind of loss with some seeds, and print what was made wrong of it. Return the exit code."""
    failed = 0
    for seed, name in ((seed, name) for seed in seeds for name in LOSSES):
        problem = problem_of(name, seed)
        if problem is not None:
            failed += 1
            print(f"seed {seed}: {name}: {problem}", flush=True)
            if stop:
                return 1
    print(f"{failed} of {len(seeds) * len(LOSSES)} losses failed")
    return 1 if failed else 0


def main() -> int:
    """Run the seeds, then print what failed and what happened in all runs."""
    options = arguments()
    be_quiet()
    if options.losses:
        return lose_all(range(options.first or 1, (options.first or 1) + options.seeds), stop=options.stop)
    first = options.first if options.seed is None else options.seed
    if first is None:
        first = secrets.randbelow(1_000_000_000)
    seeds = range(first, first + (options.seeds if options.seed is None else 1))
    print(f"seeds {seeds.start} to {seeds.stop - 1}", flush=True)
    started_s = time.monotonic()
    counts: Counter[str] = Counter()
    failed = 0
    for run in simulate_all(seeds, options.processes if len(seeds) > 1 else 1):
        counts.update(run.counts)
        if run.problem is not None:
            failed += 1
            print(f"seed {run.seed}: {run.problem}\n  faults: {', '.join(sorted(run.faults))}")
            print(f"  again: make simulate SEED={run.seed}", flush=True)
            if options.stop:
                return 1
        elif options.seed is not None:
            print(f"seed {run.seed}: no fault; digest {run.digest}")
    print(rendered(len(seeds), counts))
    print(f"{failed} of {len(seeds)} failed, in {time.monotonic() - started_s:.0f} s")
    never = missing(counts) if len(seeds) >= RUNS_FOR_ALL else []
    if never:
        print(f"never happened: {', '.join(never)}")
    return 1 if failed or never else 0


if __name__ == "__main__":
    sys.exit(main())
