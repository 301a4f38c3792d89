"""One run: hub, DFSPs, load and faults; then waiting until all has ended, queries, and the checks."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, Protocol

from clearinghub.tools.client.admin import AdminClient, AdminError
from sandbox.scheme import Scheme
from tests.chaos.checks import (
    Check,
    check_answers,
    check_dead_letters,
    check_faults,
    check_load,
    check_positions,
    check_processes,
    check_standstills,
    check_transfers,
)
from tests.chaos.dfsp import ChaosDfsp
from tests.chaos.hub import SESSION_TIMEOUT_MS, ChaosHub, fixed_ports
from tests.chaos.impact import Impact, measure, percentile
from tests.chaos.injector import Injected, Injector
from tests.chaos.plan import DFSPS, Fault, FaultKind, plan_blackouts, plan_faults, process_names
from tests.chaos.report import Report, answer_counts
from tests.chaos.requests import HubRequests
from tests.chaos.topics import dead_letters, final_states
from tests.chaos.transfers import CAP_UNITS, COMMITTED, CURRENCY, FUNDS_UNITS, Transfers
from tests.integration.hub_under_test import REPOSITORY

WARM_UP_S: Final = 10.0  # a broker that has just started is half as fast as later
QUIET_WITHIN_S: Final = 120.0
QUERIES_AT_ONCE: Final = 100
QUERY_WITHIN_S: Final = 600.0
ANSWERED_WITHIN_S: Final = 30.0  # after the last answer
POLL_S: Final = 0.5
AUDIT_TIMEOUT_S: Final = 180.0


class Injects(Protocol):
    """Lets something happen while the load runs."""

    injected: list[Injected]

    async def run(self, faults: Sequence[Fault], began_at_s: float) -> None:
        """Carry everything out; return when the last of it is over."""


class Scenario:
    """A run. All draws come from `seed`, except the transfers' ids and the timing of the processes."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        seconds: int,
        rate: int,
        interval_s: int,
        tell: Callable[[str], None],
        brokers: int = 1,
        blackouts: int = 0,
    ) -> None:
        """With `blackouts`, everything is killed so often, and nothing else happens."""
        self._seed = seed
        self._seconds = seconds
        self._rate = rate
        self._interval_s = interval_s
        self._tell = tell
        self._folder = folder
        if blackouts:
            self._faults = plan_blackouts(blackouts, interval_s)
        else:
            self._faults = plan_faults(seed, seconds, interval_s, SESSION_TIMEOUT_MS / 1000, brokers)
        self._blackouts = blackouts
        self._brokers = brokers
        self._load_s = WARM_UP_S + seconds
        self._transfers = Transfers()
        self._paying: set[asyncio.Task[None]] = set()

    async def run(self) -> Report:
        """Run the whole scenario and return its report.

        Raises:
            BrokerUnavailableError, HubDownError: the hub did not start.
        """
        self._tell(f"{self._seconds} s at {self._rate}/s, a fault every {self._interval_s} s, seed {self._seed}")
        hub = self._make_hub()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(hub.stop)
            await hub.start()
            requests = await stack.enter_async_context(HubRequests([urls.fspiop for urls in hub.urls]))
            dfsps = await self._set_up(hub, requests, stack)
            injector = self._make_injector(hub, dfsps)
            began_at_s, ended_at_s = await self._load(hub, dfsps, injector)
            quiet_after_s = await self._quiet(hub, ended_at_s)
            queried_after_s = await self._query(dfsps)
            report = Report(self._title())
            report.impacts = self._impacts(injector, requests, ended_at_s)
            report.facts = self._facts(requests, began_at_s, ended_at_s, quiet_after_s, queried_after_s)
            report.exits = dict(hub.exits)
            report.checks = await self._verdict(hub, injector.injected)
            report.checks.append(check_answers(requests.odd(), requests.answers.total()))
            if self._brokers > 1 and not self._blackouts:
                report.checks.append(check_standstills(report.impacts))
            return report

    def _make_hub(self) -> ChaosHub:
        return ChaosHub(self._folder, self._brokers)

    def _make_injector(self, hub: ChaosHub, dfsps: Mapping[str, ChaosDfsp]) -> Injects:
        return Injector(hub, dfsps)

    def _is_over(self) -> bool:
        """Return whether the load may end before its time."""
        return False

    def _title(self) -> str:
        if self._blackouts:
            return (
                f"Blackouts: {self._blackouts} times kill -9 of everything at {self._rate} transfers/s, one every "
                f"{self._interval_s} s, seed {self._seed}, {self._brokers} broker{'s' if self._brokers > 1 else ''}"
            )
        return (
            f"Chaos: {self._seconds} s at {self._rate} transfers/s, a fault every {self._interval_s} s, "
            f"seed {self._seed}, {self._brokers} broker{'s' if self._brokers > 1 else ''}"
        )

    async def _set_up(self, hub: ChaosHub, requests: HubRequests, stack: AsyncExitStack) -> dict[str, ChaosDfsp]:
        self._tell("the hub is up; setting the scheme up")
        dfsps = {}
        async with AdminClient(hub.urls[0].admin) as admin:
            scheme = Scheme(admin, "Hub", CURRENCY)
            await scheme.ensure_currency()
            for name, port in zip(DFSPS, fixed_ports(len(DFSPS)), strict=True):
                dfsp = dfsps[name] = ChaosDfsp(name, port, requests, self._transfers)
                await dfsp.start()
                stack.push_async_callback(dfsp.stop)
                await scheme.ensure_dfsp(name, CAP_UNITS, dfsp.endpoints)
                await scheme.ensure_funds(name, FUNDS_UNITS)
        return dfsps

    async def _load(self, hub: ChaosHub, dfsps: dict[str, ChaosDfsp], injector: Injects) -> tuple[float, float]:
        """Send at the rate, whatever is answered, while faults happen; return the begin and end of the load."""
        self._tell(f"load on, {len(self._faults)} faults to come")
        chance = random.Random(self._seed)
        began_at_s = time.monotonic()
        injecting = asyncio.create_task(injector.run(self._faults, began_at_s + WARM_UP_S))
        until_s = began_at_s + WARM_UP_S + self._seconds
        number = 0
        while (due_s := began_at_s + number / self._rate) < until_s and time.monotonic() < until_s:
            if self._is_over():
                break
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            transfer = self._transfers.new(chance, time.monotonic())
            task = asyncio.create_task(dfsps[transfer.order.payer].pay(transfer))
            self._paying.add(task)
            task.add_done_callback(self._paying.discard)
            number += 1
            if number % (10 * self._rate) == 0 and (lost := hub.lost()):
                self._tell(f"stopped: {lost}")
                break
        ended_at_s = time.monotonic()
        self._load_s = ended_at_s - began_at_s
        await injecting
        return began_at_s, ended_at_s

    async def _quiet(self, hub: ChaosHub, ended_at_s: float) -> float | None:
        """Wait until both sides of all transfers are notified; return the seconds, or None if it takes too long."""
        self._tell("load off; waiting until everything has ended")
        while self._paying or self._transfers.unsettled():
            if time.monotonic() > ended_at_s + QUIET_WITHIN_S or hub.lost():
                self._tell(f"{len(self._paying)} not sent, {len(self._transfers.unsettled())} not ended")
                return None
            await asyncio.sleep(POLL_S)
        return time.monotonic() - ended_at_s

    async def _query(self, dfsps: dict[str, ChaosDfsp]) -> float:
        """Let every payer GET all its transfers; return the seconds until the last answer."""
        self._tell("querying every transfer")
        self._transfers.is_querying = True
        started_at_s = time.monotonic()
        waiting = iter(list(self._transfers.by_id.values()))

        async def query_some() -> None:
            for one in waiting:
                await dfsps[one.order.payer].query(one, started_at_s + QUERY_WITHIN_S)

        await asyncio.gather(*(query_some() for _ in range(QUERIES_AT_ONCE)))
        left, deadline_s = len(self._transfers.by_id), time.monotonic() + ANSWERED_WITHIN_S
        while left and time.monotonic() < deadline_s:
            await asyncio.sleep(POLL_S)
            before, left = left, sum(one.on_get is None for one in self._transfers.by_id.values())
            if left < before:
                deadline_s = time.monotonic() + ANSWERED_WITHIN_S
        return time.monotonic() - started_at_s

    async def _verdict(self, hub: ChaosHub, injected: list[Injected]) -> list[Check]:
        self._tell("checking")
        finals = await final_states(hub.bootstrap)
        killed = Counter(one.victim for one in injected if _is_kill(one) and one.victim is not None)
        killed.update(dict.fromkeys(process_names(), sum(one.fault.kind is FaultKind.BLACKOUT for one in injected)))
        not_running = [name for name in (*process_names(), *hub.broker_names) if hub.pid(name) is None]
        return [
            *check_transfers(self._transfers, finals),
            check_positions(self._transfers.books(), await self._positions(hub)),
            await self._audit(hub),
            check_dead_letters(await dead_letters(hub.bootstrap)),
            check_processes(hub.exits, {str(name): times for name, times in killed.items()}, not_running, hub.lost()),
            check_faults(len(self._faults), Counter(one.fault.kind for one in injected if one.victim is not None)),
            check_load(len(self._transfers.by_id), round(self._load_s * self._rate)),
        ]

    async def _positions(self, hub: ChaosHub) -> dict[str, dict[str, int | None]]:
        seen: dict[str, dict[str, int | None]] = {}
        for urls in hub.urls:
            async with AdminClient(urls.admin) as admin:
                positions = seen[urls.admin] = {}
                for name in DFSPS:
                    try:
                        account = await admin.account(name, CURRENCY, "POSITION")
                    except AdminError:
                        account = None
                    positions[name] = None if account is None else account.value_units
        return seen

    async def _audit(self, hub: ChaosHub) -> Check:
        """Run the independent audit, which reads the topics alone."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "clearinghub",
            "audit",
            cwd=REPOSITORY,
            env=hub.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), AUDIT_TIMEOUT_S)
        (self._folder / "audit.txt").write_bytes(output)
        problems = () if process.returncode == 0 else tuple(output.decode(errors="replace").splitlines())
        return Check("the books are right (`clearinghub audit`)", 1, problems)

    def _impacts(self, injector: Injects, requests: HubRequests, ended_at_s: float) -> list[Impact]:
        transfers = list(self._transfers.by_id.values())
        impacts = []
        for one, following in zip(injector.injected, [*injector.injected[1:], None], strict=True):
            until_s = min(ended_at_s, one.at_s + self._interval_s if following is None else following.at_s)
            answers = answer_counts(requests.between(one.at_s, until_s, "POST"))
            impacts.append(measure(one, until_s, transfers, answers))
        return impacts

    def _facts(
        self, requests: HubRequests, began_at_s: float, ended_at_s: float, quiet_after_s: float | None, queried_s: float
    ) -> dict[str, str]:
        transfers = list(self._transfers.by_id.values())
        took = sorted(
            one.ended_at_s - one.sent_at_s for one in transfers if one.ended_at_s and COMMITTED in one.payer_notified
        )
        repeats = sum(one.payer_notified.total() + one.payee_notified.total() for one in transfers)
        repeats -= sum(bool(one.payer_notified) + bool(one.payee_notified) for one in transfers)
        again = sum(max(0, one.forwarded - 1) for one in transfers)
        figures = ", ".join(f"p{percent} {percentile(took, percent) or 0:.2f} s" for percent in (50, 90, 99))
        quiet = "not in time" if quiet_after_s is None else f"{quiet_after_s:.1f} s"
        return {
            "sent": f"{len(transfers):,} in {ended_at_s - began_at_s:.0f} s, "
            f"{len(transfers) / (ended_at_s - began_at_s):.0f}/s",
            "got 202": f"{len(self._transfers.accepted()):,}",
            "committed": f"{len(took):,}; from the first POST to the final callback: {figures}",
            "answers to POST": answer_counts(requests.between(began_at_s, ended_at_s + QUIET_WITHIN_S, "POST")),
            "answers to PUT": answer_counts(requests.between(began_at_s, ended_at_s + QUIET_WITHIN_S, "PUT")),
            "final states called back more than once": f"{repeats:,}",
            "POSTs forwarded more than once": f"{again:,}",
            "quiet after the load's end": quiet,
            "queried all by GET in": f"{queried_s:.0f} s",
            "the machine's load average, and that of the last 15 minutes": _load_average(),
        }


def _load_average() -> str:
    """Return the load average, by which every figure of the run must be read."""
    one, _five, fifteen = os.getloadavg()
    return f"{one:.1f}, {fifteen:.1f} on {os.cpu_count()} cores"


def _is_kill(one: Injected) -> bool:
    return one.fault.kind in (FaultKind.LEDGER_KILLED, FaultKind.INGRESS_KILLED, FaultKind.CALLBACKS_KILLED)
