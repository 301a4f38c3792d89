"""An event loop whose time passes only when nothing is left to do: deterministic, and as fast as the code in it."""

from __future__ import annotations

import asyncio
from asyncio.base_events import BaseEventLoop
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any, Final

TURNS_MAX: Final = 2_000_000  # about a hundred times what a run needs
TURN_S: Final = 1e-6  # one turn of the loop takes so long: code that polls must see time pass
START_S: Final = 1_700_000_000.0  # the true time, since 1970, when a run begins


class NothingLeftError(Exception):
    """All tasks wait and no timer is set: a deadlock."""


class EndlessError(Exception):
    """The run does not end: `TURNS_MAX` turns of the loop have passed."""


class CrashedError(asyncio.CancelledError):
    """The process is dead. It is a cancellation, which no `except Exception` in the code under test catches."""


class SimulatedLoop(BaseEventLoop):
    """asyncio's own loop without sockets: instead of sleeping, its clock jumps to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0
        self._turns = 0
        self._selector = self
        self.set_task_factory(_make_task)

    def time(self) -> float:
        """Seconds since the run began."""
        return self._now_s

    def select(self, timeout_s: float | None) -> list[Any]:
        """Return no event of a socket, and let time pass: `BaseEventLoop` calls this once a turn."""
        if timeout_s is None:
            raise NothingLeftError
        if timeout_s > 0:
            self._now_s = max(self._now_s, self._scheduled[0].when())  # type: ignore[attr-defined]
        else:
            self._now_s += TURN_S
        self._turns += 1
        if self._turns > TURNS_MAX:
            raise EndlessError
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        assert not event_list


class Process:
    """A process of the hub: its tasks, and the points at which it can be killed.

    Tasks and timers inherit the context of the task that starts them, and so belong to its process.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.wall_offset_s = 0.0
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._armed: tuple[str, int] | None = None
        self.crashed_at: str | None = None

    def spawn(self, coroutine: Coroutine[Any, Any, Any], name: str = "") -> asyncio.Task[Any]:
        """Start a task of this process from outside the process."""
        token = _CURRENT.set(self)
        try:
            return asyncio.get_running_loop().create_task(coroutine, name=name or self.name)
        finally:
            _CURRENT.reset(token)

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Count a new task as one of this process; a dead process cancels it."""
        self._tasks[task] = None
        task.add_done_callback(self._forget)
        if not self.alive:
            task.cancel()

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled():
            task.exception()  # mark the exception as retrieved

    def arm(self, point: str, count: int) -> None:
        """Kill the process when it reaches `point` for the `count`-th time from now on."""
        self._armed = (point, count)

    def disarm(self) -> None:
        """Withdraw what `arm` has planned."""
        self._armed = None

    def reach(self, point: str) -> None:
        """Note that the code under test has come to a point, and die here if that is planned.

        Raises:
            CrashedError: the process died here, or was dead already.
        """
        if not self.alive:
            raise CrashedError
        if self._armed is None or self._armed[0] != point:
            return
        if self._armed[1] > 1:
            self._armed = (point, self._armed[1] - 1)
            return
        self.crashed_at = point
        self.kill()
        raise CrashedError

    def kill(self) -> None:
        """Kill the process as SIGKILL does. What it has sent may still arrive."""
        self.alive = False
        for task in list(self._tasks):
            task.cancel()

    def wall_s(self) -> float:
        """The process's own clock, in seconds since 1970."""
        return START_S + asyncio.get_running_loop().time() + self.wall_offset_s


_CURRENT: ContextVar[Process | None] = ContextVar("process", default=None)


def _make_task(loop: asyncio.AbstractEventLoop, coroutine: Any, context: Any = None) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, context=context)
    process = _CURRENT.get()
    if process is not None:
        process.adopt(task)
    return task
