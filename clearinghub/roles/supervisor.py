"""Supervises child processes: starts them, restarts them when they die, and stops them together.

A child that dies is restarted after a pause, which doubles with each death. A child that keeps dying ends everything:
a hub that restarts for ever looks alive and is not.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from clearinghub.process import write_pid

RESTARTS_MAX: Final = 5
RESTART_WINDOW_S: Final = 60.0
FIRST_PAUSE_S: Final = 0.5


class ChildLostError(Exception):
    """A child has died and is not restarted; the sentence names the child and its last exit code."""


@dataclass(slots=True)
class RestartBudget:
    """How often a child may die: `deaths_max` times in `window_s` seconds; 0 means that it is never restarted."""

    deaths_max: int = RESTARTS_MAX
    window_s: float = RESTART_WINDOW_S
    first_pause_s: float = FIRST_PAUSE_S
    _deaths: deque[float] = field(default_factory=deque)

    def pause_s(self, now_s: float) -> float | None:
        """Return the pause in seconds before the restart after a death at `now_s`; None after too many deaths."""
        self._deaths.append(now_s)
        while self._deaths[0] < now_s - self.window_s:
            self._deaths.popleft()
        if len(self._deaths) > self.deaths_max:
            return None
        pause_s: float = self.first_pause_s * 2 ** (len(self._deaths) - 1)
        return pause_s


class Supervisor:
    """Runs commands under names, and restarts those that end."""

    def __init__(self, run_dir: Path, stop_timeout_s: float, report: Callable[[str], None]) -> None:
        """Prepare; no child is started yet.

        Args:
            run_dir: the folder for `NAME.pid` of each child.
            stop_timeout_s: how long a child may run after SIGTERM, before SIGKILL.
            report: is called with one sentence for people about each start, death and stop.
        """
        self._run_dir = run_dir
        self._stop_timeout_s = stop_timeout_s
        self._report = report
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str], budget: RestartBudget) -> None:
        """Start a command under a name, and restart it when it ends, within its budget."""
        assert name not in self._keepers, f"{name} runs already"
        self._keepers[name] = asyncio.create_task(self._keep(name, command, environment, budget))

    async def wait(self, stop: asyncio.Event) -> None:
        """Wait until `stop` is set.

        Raises:
            ChildLostError: a child has died more often than its budget allows.
        """
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait({stopping, *self._keepers.values()}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for task in done - {stopping}:
            task.result()

    async def stop(self) -> None:
        """Send SIGTERM to all children at once, and SIGKILL to those that still run after the timeout."""
        for keeper in self._keepers.values():
            keeper.cancel()
        await asyncio.gather(*self._keepers.values(), return_exceptions=True)
        await asyncio.gather(*(self._end(name, process) for name, process in self._running.items()))
        self._running.clear()
        self._keepers.clear()

    async def _keep(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], budget: RestartBudget
    ) -> None:
        while True:
            # A session of its own: Ctrl-C in the terminal reaches the parent alone, which then stops its children.
            process = await asyncio.create_subprocess_exec(*command, env=dict(environment), start_new_session=True)
            self._running[name] = process
            write_pid(self._run_dir / f"{name}.pid", process.pid)
            self._report(f"{name} started (pid {process.pid})")
            exit_code = await process.wait()
            del self._running[name]
            (self._run_dir / f"{name}.pid").unlink(missing_ok=True)
            pause_s = budget.pause_s(time.monotonic())
            if pause_s is None:
                again = "keeps ending" if budget.deaths_max else "ended"
                raise ChildLostError(f"{name} {again}, with code {exit_code}; its own output says why")
            self._report(f"{name} ended with code {exit_code}; starting it again in {pause_s:g} s")
            await asyncio.sleep(pause_s)

    async def _end(self, name: str, process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), self._stop_timeout_s)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            self._report(f"{name} did not stop in {self._stop_timeout_s:g} s and was killed")
        else:
            self._report(f"{name} stopped")
        (self._run_dir / f"{name}.pid").unlink(missing_ok=True)
