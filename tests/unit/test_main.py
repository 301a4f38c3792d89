"""The command line: what it refuses, and with which code."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from clearinghub import __version__
from clearinghub.process import stop_event, stop_signals
from clearinghub.tools.cli import main
from clearinghub.tools.command_line import EXIT_NO_HUB, EXIT_OK, EXIT_WRONG_USAGE


@pytest.fixture(autouse=True)
def restored_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """A role sets the logs of its process up; later tests must not inherit them."""
    root = logging.getLogger()
    before = (root.handlers, root.level)
    yield
    root.handlers, root.level = before
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in ("KAFKA_BOOTSTRAP", "CLEARINGHUB_KAFKA_BOOTSTRAP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLEARINGHUB_DATA_DIR", str(tmp_path_factory.mktemp("data")))
    monkeypatch.setenv("CLEARINGHUB_RUN_DIR", str(tmp_path_factory.mktemp("run")))


def test_prints_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert EXIT_OK == main(["version"])
    assert f"{__version__}\n" == capsys.readouterr().out


def test_prints_the_map_of_topics(capsys: pytest.CaptureFixture[str]) -> None:
    assert EXIT_OK == main(["topics", "--markdown"])
    assert "| `prepare` | payer |" in capsys.readouterr().out


def test_names_a_wrong_setting(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("CLEARINGHUB_PARTITIONS", "many")

    assert EXIT_WRONG_USAGE == main(["ledger"])
    assert "setting partitions: Input should be a valid integer" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["ledger", "--fast"], ["topics", "more"], ["nothing"], [], ["all", "--sandbox=1"]]
)
def test_refuses_a_wrong_command_line_with_its_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert EXIT_WRONG_USAGE == main(arguments)

    written = capsys.readouterr()
    assert "" == written.out
    assert "Usage: clearinghub" in written.err
    assert "Traceback" not in written.err


def test_says_how_to_get_a_broker(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")

    assert EXIT_NO_HUB == main(["broker"])
    said = capsys.readouterr().err
    assert "KAFKA_BOOTSTRAP (not set)" in said
    assert "missing: java, mvn" in said
    assert "openjdk-17-jre-headless maven" in said


def test_says_that_a_list_of_brokers_makes_no_sense(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "localhost:kafka")

    assert EXIT_NO_HUB == main(["broker"])
    assert "KAFKA_BOOTSTRAP=localhost:kafka is no list of host:port" in capsys.readouterr().err


def test_refuses_to_run_without_assertions() -> None:
    done = subprocess.run(
        [sys.executable, "-O", "-m", "clearinghub", "version"], capture_output=True, text=True, check=False
    )

    assert EXIT_WRONG_USAGE == done.returncode
    assert "refuses to run under python -O" in done.stderr


def test_nohup_keeps_a_process_after_its_terminal() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    assert (signal.SIGTERM, signal.SIGINT) == stop_signals()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_signal_sets_the_stop_event(number: signal.Signals) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it
    stop = stop_event()

    os.kill(os.getpid(), number)
    await asyncio.wait_for(stop.wait(), 1)

    asyncio.get_running_loop().remove_signal_handler(number)
    assert stop.is_set()
