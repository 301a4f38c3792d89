"""Run scenarios one after another against a hub, sample its processes, and audit its books."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Final

from bench.load import BenchError
from bench.load.books import audit, compare
from bench.load.facts import facts_of
from bench.load.generator import Target, build_generator, command_of, provision, run_generator
from bench.load.hub import Hub, free_port
from bench.load.results import BROKER, GENERATOR, HUB_ROLES, Books, Measured, Run
from bench.load.sampler import Sampler
from bench.load.scenarios import BEST_OF_DURATION_S, Scenario

PAUSE_S: Final = 2.0  # between scenarios, so that one does not pay for the end of another
WARM_UP: Final = "warm-up"
JVM_WARM_UP: Final = Scenario(WARM_UP, concurrency=100, warmup_s=0.0)
BEST: Final = Scenario("closed-300", concurrency=300, duration_s=BEST_OF_DURATION_S)


class Bench:
    """Runs scenarios; each adds its figures to `results` when it ends.

    Args:
        hub: a healthy hub.
        folder: where all files are written.
        tell: called with a sentence about each step, for people.
        listen_port: where the generator receives the hub's callbacks; 0 for any free port.
    """

    def __init__(self, hub: Hub, folder: Path, tell: Callable[[str], None], listen_port: int = 0) -> None:
        self._hub = hub
        self._folder = folder
        self._tell = tell
        self._listen = f"127.0.0.1:{listen_port or free_port()}"
        self._program = build_generator(folder / "build")
        self._sampler = Sampler()
        self._pids = hub.pids()
        self.results = Run(facts={}, measured=[], samples=self._sampler.samples)

    def run(self, scenarios: Sequence[Scenario], origin: str, warm_up_s: float, audit_when: str) -> Run:
        """Run all scenarios after a warm-up of broker and roles, whose figures are stored but not reported.

        Raises:
            BenchError: a scenario could not be measured. Those before it are in `results`.
        """
        self.results.facts = facts_of(self._hub, origin)
        self._tell("setting up the participants")
        provision(self._hub.urls.admin, f"http://{self._listen}", self._folder / "provision.log")
        before = audit(self._hub.environment) if audit_when != "none" else None
        for role, pids in self._pids.items():
            for pid in pids:
                self._sampler.watch(role, pid)
        self._sampler.start()
        try:
            if warm_up_s:
                self._measure(replace(JVM_WARM_UP, duration_s=warm_up_s))
            for scenario in scenarios:
                self._scenario(scenario)
                if before is not None and audit_when == "each":
                    self._audit(before)
        finally:
            self._sampler.stop()
            self.results = self.results.model_copy(update={"samples": list(self._sampler.samples)})
        if before is not None and self.results.books is None:
            self._audit(before)
        return self.results

    def _scenario(self, scenario: Scenario) -> None:
        if scenario.of_best:
            if all(one.figures.concurrency < BEST.concurrency or one.figures.rate for one in self.results.measured):
                self._measure(BEST)  # with fewer in flight the hub does not reach its best rate
            best = best_of(self.results.measured)
            if best is None:
                raise BenchError(f"{scenario.name} needs a best rate, and nothing was completed.")
            self._measure(replace(scenario, rate=round(scenario.of_best * best, 0)))
        elif scenario.fill_to:
            for part in count():
                if not self._measure(scenario, part).figures.completed:
                    raise BenchError(f"{scenario.name}: nothing was completed in part {part + 1}.")
                if self._accepted() >= scenario.fill_to:
                    break
        else:
            self._measure(scenario)

    def _measure(self, scenario: Scenario, part: int | None = None) -> Measured:
        self._tell(described(scenario, part))
        accepted_before = self._accepted()
        name = scenario.name if part is None else f"{scenario.name}-{part + 1}"
        folder = self._folder / "runs" / f"{len(self.results.measured):02d}-{name}"
        folder.mkdir(parents=True, exist_ok=True)
        target = Target(self._hub.urls.fspiop, self._hub.url_of_puts, self._listen, self._pids)
        command = command_of(self._program, scenario, scenario.rate, target, folder)
        outcome = run_generator(command, scenario, folder, lambda pid: self._sampler.watch(GENERATOR, pid))
        began_at_s, ended_at_s = outcome.window_at_s
        self._sampler.wait_until_sampled(ended_at_s)
        measured = Measured(
            scenario=scenario.name,
            part=part,
            accepted_before=accepted_before,
            began_at_s=began_at_s,
            figures=outcome.figures,
            refusals=outcome.refusals,
            series=outcome.series,
            window=self._sampler.between(began_at_s, ended_at_s),
            died=self._sampler.gone((*HUB_ROLES, BROKER)),
        )
        self.results.measured.append(measured)
        self._tell(f"  {summary(measured)}")
        if measured.died:
            raise BenchError(f"{scenario.name}: ended by itself: {', '.join(measured.died)}")
        time.sleep(PAUSE_S)
        return measured

    def _accepted(self) -> int:
        return sum(one.figures.accepted for one in self.results.measured)

    def _audit(self, before: dict[str, object]) -> None:
        self._tell("auditing the books")
        books: Books = compare(before, audit(self._hub.environment), self.results.measured)
        self.results = self.results.model_copy(update={"books": books})
        self._tell(f"  books {'right' if books.ok else 'wrong'}; accepted {books.accepted:,}, ended {books.finished:,}")


def best_of(runs: Sequence[Measured]) -> float | None:
    """Return the best rate of all closed loops in transfers/s; None if no transfer completed in one."""
    rates = [
        one.figures.completed_per_s
        for one in runs
        if not one.figures.rate and one.scenario != WARM_UP and one.figures.completed
    ]
    return max(rates, default=None)


def described(scenario: Scenario, part: int | None) -> str:
    """Return a sentence that announces a scenario, with its load and its length."""
    load = f"open loop, {scenario.rate:g}/s" if scenario.rate else f"closed loop, {scenario.concurrency} in flight"
    hot = f", one payer has {scenario.hot:.0%}" if scenario.hot else ""
    name = scenario.name if part is None else f"{scenario.name} {part + 1}"
    return f"{name}: {load}{hot}, {scenario.warmup_s:g} s + {scenario.duration_s:g} s"


def summary(measured: Measured) -> str:
    """Return the main figures of a scenario in one sentence."""
    figures, latency = measured.figures, measured.figures.latency
    times = " / ".join("-" if one is None else f"{one:,.0f}" for one in (latency.p50, latency.p99))
    return (
        f"{figures.completed_per_s:,.0f}/s, p50 / p99 {times} ms, {figures.failed:,} errors, "
        f"{measured.hub_cpu_ms:.2f} ms of CPU a transfer"
    )
