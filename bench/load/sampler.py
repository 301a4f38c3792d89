"""Sample CPU, memory and context switches of processes by role, and compute what they used between two times."""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.load.results import SUPERVISOR, Memory, Sample, Window

INTERVAL_S = 1.0


class Watched:
    """One process with all its threads and, unless it is `alone`, its descendants, including those that have ended.

    The supervisor is watched alone, because its children are the roles, which are watched separately.
    """

    def __init__(self, role: str, pid: int, *, alone: bool) -> None:
        self.role = role
        self.pid = pid
        self.is_gone = False
        self.cpu_s = self.memory_mb = 0.0
        self.switches = 0
        self._alone = alone
        self._process = psutil.Process(pid)
        self._descendants = [] if alone else self._process.children(recursive=True)

    def look(self) -> None:
        """Read what the process has used since its start; a process that has ended keeps its last figures."""
        try:
            used = usage_of(self._process, with_children=not self._alone)
        except psutil.Error:
            self.is_gone, self.memory_mb = True, 0.0
            return
        for one in list(self._descendants):
            try:
                used = used.with_more(usage_of(one))
            except psutil.Error:  # from now on its parent counts it among its ended children
                self._descendants.remove(one)
        self.cpu_s, self.memory_mb, self.switches = used


class Usage(NamedTuple):
    """What a process has used since its start, and its resident memory now."""

    cpu_s: float
    memory_mb: float
    switches: int

    def with_more(self, other: Usage) -> Usage:
        """Return the sum of both."""
        return Usage(self.cpu_s + other.cpu_s, self.memory_mb + other.memory_mb, self.switches + other.switches)


def usage_of(process: psutil.Process, *, with_children: bool = False) -> Usage:
    """Return what a process has used; `with_children` adds the CPU of its children that have ended.

    Raises:
        psutil.Error: the process has ended.
    """
    with process.oneshot():
        times = process.cpu_times()
        cpu_s = times.user + times.system
        if with_children:
            cpu_s += times.children_user + times.children_system
        memory = process.memory_info().rss
    if not memory:  # a zombie: it has ended, and its parent has not waited for it
        raise psutil.ZombieProcess(process.pid)
    return Usage(cpu_s, memory / 1e6, switches_of(Path(f"/proc/{process.pid}/task")))


def switches_of(tasks: Path) -> int:
    """Return how often a process's threads got a core: the sum of the third number of /proc/PID/task/*/schedstat."""
    total = 0
    for path in tasks.glob("*/schedstat"):
        with suppress(OSError):  # the thread has ended meanwhile
            total += int(path.read_text().split()[2])
    return total


class Sampler:
    """Samples all watched processes once a second, in a thread, from `start` to `stop`."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self._watched: list[Watched] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def watch(self, role: str, pid: int) -> None:
        """Sample a process from now on and count it under `role`."""
        one = Watched(role, pid, alone=role == SUPERVISOR)
        one.look()
        with self._lock:
            self._watched.append(one)

    def gone(self, roles: Iterable[str]) -> list[str]:
        """Return the processes of these roles that have ended, as `role (pid)`."""
        with self._lock:
            return [f"{one.role} ({one.pid})" for one in self._watched if one.is_gone and one.role in set(roles)]

    def between(self, began_at_s: float, ended_at_s: float) -> Window:
        """Return what was used between two times; a sample must exist after the second (`wait_until_sampled`)."""
        return window_of(self.samples, began_at_s, ended_at_s)

    def wait_until_sampled(self, at_s: float) -> None:
        """Return once there is a sample at that time or later."""
        while not self.samples or self.samples[-1].at_s < at_s:
            time.sleep(0.05)

    def _run(self) -> None:
        next_s = time.monotonic()
        while not self._stopping.wait(max(0.0, next_s - time.monotonic())):
            self.samples.append(self._sample())
            next_s += INTERVAL_S

    def _sample(self) -> Sample:
        cpu_s: dict[str, float] = {}
        memory_mb: dict[str, float] = {}
        switches: dict[str, int] = {}
        machine = psutil.cpu_times()
        with self._lock:
            for one in self._watched:
                if not one.is_gone:
                    one.look()
                cpu_s[one.role] = cpu_s.get(one.role, 0.0) + one.cpu_s
                memory_mb[one.role] = memory_mb.get(one.role, 0.0) + one.memory_mb
                switches[one.role] = switches.get(one.role, 0) + one.switches
        return Sample(
            at_s=time.time(),
            cpu_s=cpu_s,
            memory_mb=memory_mb,
            switches=switches,
            steal_s=getattr(machine, "steal", 0.0),
            busy_s=machine.user
            + machine.nice
            + machine.system
            + getattr(machine, "irq", 0.0)
            + getattr(machine, "softirq", 0.0),
            load_average=os.getloadavg()[0],
        )


def window_of(samples: Sequence[Sample], began_at_s: float, ended_at_s: float) -> Window:
    """Return what was used between two times, interpolated between samples.

    There must be a sample before or at the begin, and one at or after the end.
    """
    seconds = ended_at_s - began_at_s

    def used(total: Callable[[Sample], float]) -> float:
        return value_at(samples, ended_at_s, total) - value_at(samples, began_at_s, total)

    inside = [one for one in samples if began_at_s <= one.at_s <= ended_at_s]
    roles = sorted({role for one in samples for role in one.cpu_s})
    return Window(
        seconds=seconds,
        cpu_s={role: used(lambda one, its=role: one.cpu_s.get(its, 0.0)) for role in roles},  # type: ignore[misc]
        switches={role: max(0, round(used(lambda one, its=role: one.switches.get(its, 0)))) for role in roles},  # type: ignore[misc]
        memory={role: found for role in roles if (found := memory_of(inside, role)) is not None},
        busy_cores=used(lambda one: one.busy_s) / seconds,
        steal_cores=used(lambda one: one.steal_s) / seconds,
        load_average_max=max((one.load_average for one in inside), default=0.0),
    )


def value_at(samples: Sequence[Sample], at_s: float, value: Callable[[Sample], float]) -> float:
    """Return a growing total at a time, interpolated; before the first and after the last sample, theirs."""
    index = bisect_left(samples, at_s, key=lambda one: one.at_s)
    if index == 0:
        return value(samples[0])
    if index == len(samples):
        return value(samples[-1])
    before, after = samples[index - 1], samples[index]
    share = (at_s - before.at_s) / (after.at_s - before.at_s)
    return value(before) + share * (value(after) - value(before))


def memory_of(samples: Sequence[Sample], role: str) -> Memory | None:
    """Return a role's memory over the samples; None if the role is in none of them."""
    points = [(one.at_s, one.memory_mb[role]) for one in samples if one.memory_mb.get(role)]
    if not points:
        return None
    sizes = [size for _, size in points]
    slope = slope_per_s(points[len(points) // 2 :])
    return Memory(start_mb=sizes[0], end_mb=sizes[-1], max_mb=max(sizes), slope_mb_per_min=slope * 60)


def slope_per_s(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the least-squares line through (seconds, value); 0 for fewer than two times."""
    if not points:
        return 0.0
    middle_s = sum(at for at, _ in points) / len(points)
    middle = sum(value for _, value in points) / len(points)
    spread = sum((at - middle_s) ** 2 for at, _ in points)
    return sum((at - middle_s) * (value - middle) for at, value in points) / spread if spread else 0.0
