"""Carries out the planned faults, each at its time, and notes which process was hit."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.chaos.dfsp import ChaosDfsp
from tests.chaos.hub import ChaosHub
from tests.chaos.plan import OF_THREE_BROKERS, Fault, FaultKind, other_of

FOUND_WITHIN_S: Final = 8.0  # a broker that was just killed may still be restarting
POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault that was carried out. `at_s` is a time of `time.monotonic`; `victim` is None if no process was hit."""

    fault: Fault
    at_s: float
    victim: str | None


class Injector:
    """Injects faults, which may overlap: each begins at its time."""

    def __init__(self, hub: ChaosHub, dfsps: Mapping[str, ChaosDfsp]) -> None:
        self._hub = hub
        self._dfsps = dfsps
        self._one_broker = asyncio.Lock()  # at a time: two of three that are dead are no cluster any more
        self.injected: list[Injected] = []

    async def run(self, faults: Sequence[Fault], began_at_s: float) -> None:
        """Inject all faults; return when the last one is over."""
        async with asyncio.TaskGroup() as group:
            for fault in faults:
                await asyncio.sleep(max(0.0, began_at_s + fault.at_s - time.monotonic()))
                group.create_task(self._inject(fault))

    async def _inject(self, fault: Fault) -> None:
        if fault.kind in OF_THREE_BROKERS:
            async with self._one_broker:
                await self._lose_broker(fault)
            return
        at_s = time.monotonic()
        if fault.kind is FaultKind.BLACKOUT:
            self.injected.append(Injected(fault, at_s, fault.victim))
            await self._hub.black_out()
            return
        if fault.kind is FaultKind.DFSP_DEAD:
            self.injected.append(Injected(fault, at_s, fault.victim))
            await self._dfsps[fault.victim].die(hangs=fault.hangs)
            await asyncio.sleep(fault.lasts_s)
            await self._dfsps[fault.victim].revive()
            return
        first = signal.SIGSTOP if fault.kind is FaultKind.WORKER_STOPPED else signal.SIGKILL
        victim, pid = await self._hit(fault.victim, first)
        self.injected.append(Injected(fault, at_s, victim))
        if victim is None or first is signal.SIGKILL:
            return
        await asyncio.sleep(fault.lasts_s)
        if self._hub.pid(victim) == pid:  # otherwise it was killed while it was stopped
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    async def _lose_broker(self, fault: Fault) -> None:
        """Kill, stop or freeze one broker of three, and start it again or let it go on after `lasts_s`.

        Return when its replicas are in sync again.
        """
        cluster = self._hub.cluster
        assert cluster is not None
        if fault.victim == "controller":
            number = await asyncio.to_thread(cluster.controller)
        elif fault.victim.startswith("prepare/"):
            number = await cluster.leader("prepare", int(fault.victim.rpartition("/")[2]))
        else:
            number = int(fault.victim.rpartition("-")[2])
        at_s = time.monotonic()
        self.injected.append(Injected(fault, at_s, f"broker-{number}"))
        if fault.kind.name.endswith("KILLED"):
            cluster.kill(number)
        elif fault.kind.name.endswith("HANGS"):
            cluster.freeze(number)
        else:
            await cluster.stop(number)
        await asyncio.sleep(max(0.0, at_s + fault.lasts_s - time.monotonic()))
        if fault.kind.name.endswith("HANGS"):
            cluster.thaw(number)
        await cluster.restore()

    async def _hit(self, victim: str, number: signal.Signals) -> tuple[str | None, int]:
        """Signal the victim, or the other process of its role while it restarts; return name and process id."""
        deadline_s = time.monotonic() + FOUND_WITHIN_S
        while time.monotonic() < deadline_s:
            for name in (victim,) if victim == "broker" else (victim, other_of(victim)):
                pid = self._hub.pid(name)
                if pid is not None:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
                        return name, pid
            await asyncio.sleep(POLL_S)
        return None, 0
