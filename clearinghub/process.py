"""What every process of the hub needs: how it learns that it must stop, and its process id in a file."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path
from typing import Final

OTHERS_NOTHING: Final = 0o077
"""The mask with which new files are readable by their owner alone."""


class RoleFailedError(Exception):
    """A role cannot continue after a failure, which was logged; its supervisor starts it again."""

    def __init__(self, what: str = "stopped after a failure; see the log above") -> None:
        super().__init__(what)


def keep_files_private() -> None:
    """Let this user alone read the files that this process makes from now on: tables have all payments."""
    os.umask(OTHERS_NOTHING)


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that stop a process in order: SIGTERM, SIGINT, and SIGHUP, which a closed terminal sends.

    SIGHUP is left out where it is ignored: `nohup` wants the process to outlive the terminal.
    """
    is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return (signal.SIGTERM, signal.SIGINT) if is_ignored else (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def stop_event() -> asyncio.Event:
    """Return an event that each of `stop_signals` sets, in the running loop. Call once, before any work begins."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in stop_signals():
        loop.add_signal_handler(number, event.set)
    return event


async def until_stopped(stop: asyncio.Event, *failed: asyncio.Event) -> None:
    """Wait for the order to stop, or for a failure.

    Raises:
        RoleFailedError: the failure came first.
    """
    waits = {asyncio.create_task(event.wait()) for event in (stop, *failed)}
    _done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    if any(event.is_set() for event in failed) and not stop.is_set():
        raise RoleFailedError


def write_pid(path: Path, pid: int) -> None:
    """Write a process id to a file, and make the file's folder if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{pid}\n")


def running_pid(path: Path, command_part: str) -> int | None:
    """Return the id in the file if that process is alive and its command line holds `command_part`; else None.

    The command line is compared because the system uses ids again.
    """
    try:
        pid = int(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    listed = subprocess.run(  # noqa: S603 - a fixed command
        ["ps", "-o", "stat=,args=", "-p", str(pid)],  # noqa: S607 - where `ps` is differs between systems
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "100000"},
    )
    state, _, command = listed.stdout.strip().partition(" ")
    return pid if command_part in command and not state.startswith("Z") else None
