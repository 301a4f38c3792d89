"""An event loop in which time passes only when nothing is left to do: deterministic, and as fast as the code in it."""

from __future__ import annotations

import asyncio
from asyncio.base_events import BaseEventLoop
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any, Final

TURNS_MAX: Final = 2_000_000  # some hundred times what a run needs
TURN_S: Final = 1e-6  # what one turn of the loop takes: code that polls must see time pass
START_S: Final = 1_700_000_000.0  # what the true wall clock shows when a run begins


class NothingLeftError(Exception):
    """Everything waits, and nothing that could wake it is due: a deadlock of the run."""


class EndlessError(Exception):
    """The run goes round and round."""


class CrashedError(asyncio.CancelledError):
    """The process is dead. A cancellation, so that no handler of errors in the code under test takes it for one."""


class SimulatedLoop(BaseEventLoop):
    """asyncio's own loop without sockets: where it would sleep, its clock jumps to the next timer."""

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
        """What `BaseEventLoop` asks for events of sockets."""
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
    """A process of the hub: its tasks, whether it lives, and the points at which it may be made to die.

    Whatever a task of a process starts is of the same process: tasks and timers inherit its context.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.wall_offset_s = 0.0
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._armed: tuple[str, int] | None = None
        self.crashed_at: str | None = None

    def spawn(self, coroutine: Coroutine[Any, Any, Any], name: str = "") -> asyncio.Task[Any]:
        """Start a task of this process from outside it."""
        token = _CURRENT.set(self)
        try:
            return asyncio.get_running_loop().create_task(coroutine, name=name or self.name)
        finally:
            _CURRENT.reset(token)

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """A task of this process has begun; a dead process begins none."""
        self._tasks[task] = None
        task.add_done_callback(self._forget)
        if not self.alive:
            task.cancel()

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled():
            task.exception()  # asked, so that nobody is told of it later

    def arm(self, point: str, count: int) -> None:
        """Die at the `count`-th time that a point is reached from now on."""
        self._armed = (point, count)

    def disarm(self) -> None:
        """It need not die any more."""
        self._armed = None

    def reach(self, point: str) -> None:
        """The code under test has come to a point.

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
        """As the kernel would: no last word. What is on the network may still arrive."""
        self.alive = False
        for task in list(self._tasks):
            task.cancel()

    def wall_s(self) -> float:
        """What this process takes for the time."""
        return START_S + asyncio.get_running_loop().time() + self.wall_offset_s


_CURRENT: ContextVar[Process | None] = ContextVar("process", default=None)


def _make_task(loop: asyncio.AbstractEventLoop, coroutine: Any, context: Any = None) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, context=context)
    process = _CURRENT.get()
    if process is not None:
        process.adopt(task)
    return task
