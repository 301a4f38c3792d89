"""The supervisor, with real child processes."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from clearinghub.process import running_pid, write_pid
from clearinghub.roles.supervisor import ChildLostError, RestartBudget, Supervisor

SLEEPS = [sys.executable, "-c", "import time; time.sleep(60)"]
ENDS = [sys.executable, "-c", "raise SystemExit(7)"]
IGNORES_SIGTERM = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""
PATIENCE_S = 10


class Heard:
    """Collects the sentences that the supervisor reports."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def __call__(self, sentence: str) -> None:
        self.sentences.append(sentence)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def supervisor(tmp_path: Path, heard: Heard) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(tmp_path, stop_timeout_s=0.5, report=heard)
    yield supervisor
    await supervisor.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_writes_the_pid_of_each_child_and_removes_it_at_the_stop(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start("ledger", SLEEPS, os.environ, RestartBudget())
    await until((tmp_path / "ledger.pid").exists)
    pid = running_pid(tmp_path / "ledger.pid", "time.sleep(60)")

    await supervisor.stop()

    assert pid is not None
    assert not is_alive(pid)
    assert not (tmp_path / "ledger.pid").exists()


async def test_starts_a_killed_child_again(supervisor: Supervisor, tmp_path: Path, heard: Heard) -> None:
    supervisor.start("ledger", SLEEPS, os.environ, RestartBudget(first_pause_s=0.01))
    await until((tmp_path / "ledger.pid").exists)
    first = int((tmp_path / "ledger.pid").read_text())

    os.kill(first, 9)
    await until(lambda: len(heard.sentences) == 3)

    assert "ledger ended with code -9; starting it again in 0.01 s" == heard.sentences[1]
    assert first != int((tmp_path / "ledger.pid").read_text())


async def test_ends_when_a_child_keeps_ending(supervisor: Supervisor, heard: Heard) -> None:
    supervisor.start("ledger", ENDS, os.environ, RestartBudget(deaths_max=2, first_pause_s=0.01))

    with pytest.raises(ChildLostError, match="ledger keeps ending, with code 7"):
        await asyncio.wait_for(supervisor.wait(asyncio.Event()), PATIENCE_S)

    assert 3 == sum(sentence.startswith("ledger started") for sentence in heard.sentences)


async def test_a_child_without_a_budget_is_not_started_again(supervisor: Supervisor, heard: Heard) -> None:
    supervisor.start("sandbox", ENDS, os.environ, RestartBudget(deaths_max=0))

    with pytest.raises(ChildLostError, match="sandbox ended, with code 7"):
        await asyncio.wait_for(supervisor.wait(asyncio.Event()), PATIENCE_S)

    assert 1 == len(heard.sentences)


async def test_waits_for_the_order_to_stop(supervisor: Supervisor) -> None:
    supervisor.start("ledger", SLEEPS, os.environ, RestartBudget())
    stop = asyncio.Event()
    waiting = asyncio.create_task(supervisor.wait(stop))
    await asyncio.sleep(0.05)
    before = waiting.done()

    stop.set()
    await asyncio.wait_for(waiting, PATIENCE_S)

    assert not before


async def test_kills_a_child_that_does_not_stop(supervisor: Supervisor, tmp_path: Path, heard: Heard) -> None:
    ready = tmp_path / "ready"
    supervisor.start("ledger", [sys.executable, "-c", IGNORES_SIGTERM, str(ready)], os.environ, RestartBudget())
    await until(ready.exists)
    pid = int((tmp_path / "ledger.pid").read_text())

    began_s = time.monotonic()
    await supervisor.stop()

    assert time.monotonic() - began_s < 5
    assert not is_alive(pid)
    assert "ledger did not stop in 0.5 s and was killed" == heard.sentences[-1]


def test_pauses_double_and_the_budget_ends() -> None:
    budget = RestartBudget(deaths_max=3, window_s=60, first_pause_s=0.5)

    assert [0.5, 1.0, 2.0, None] == [budget.pause_s(now_s) for now_s in (0, 1, 2, 3)]


def test_old_deaths_are_forgotten() -> None:
    budget = RestartBudget(deaths_max=1, window_s=60, first_pause_s=0.5)

    assert [0.5, 0.5, None] == [budget.pause_s(now_s) for now_s in (0, 100, 110)]


def test_a_pid_of_another_program_is_not_ours(tmp_path: Path) -> None:
    write_pid(tmp_path / "x.pid", os.getpid())

    assert os.getpid() == running_pid(tmp_path / "x.pid", "pytest")
    assert running_pid(tmp_path / "x.pid", "clearinghub ledger") is None


@pytest.mark.parametrize("content", [None, "", "x"])
def test_no_pid_file_or_a_broken_one_is_nobody(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "x.pid").write_text(content)

    assert running_pid(tmp_path / "x.pid", "python") is None
