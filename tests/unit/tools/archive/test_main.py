"""The command: its options, its output, and its exit codes."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console

from clearinghub.config import Settings
from clearinghub.tools.archive import FolderError
from clearinghub.tools.archive.copying import Archiver, Tally
from clearinghub.tools.archive.files import Span
from clearinghub.tools.archive.main import STOP_GRACE_S, _pass, _show
from tests.commands import run_command
from tests.integration.hub_under_test import REPOSITORY, free_port


class FakeArchiver:
    """Copies two thirds of what there is to do; if the broker is silent, it then waits for ever."""

    def __init__(self, *, is_silent: bool = False) -> None:
        self.ended = False
        self._is_silent = is_silent

    async def run_pass(self, tally: Tally, on_total: Callable[[int], None], on_done: Callable[[int], None]) -> None:
        try:
            on_total(3_000)
            on_done(1_000)
            on_done(1_000)
            tally.records = 2_000
            if self._is_silent:
                await asyncio.Event().wait()
        finally:
            self.ended = True


def a_terminal(*, is_one: bool = True) -> tuple[Console, io.StringIO]:
    shown = io.StringIO()
    return Console(file=shown, force_terminal=is_one, width=100), shown


async def test_a_terminal_shows_how_far_it_is() -> None:
    console, shown = a_terminal()
    tally = await _pass(cast("Archiver", FakeArchiver()), console, asyncio.Event())

    assert "archiving" in shown.getvalue()
    assert "2000/3000" in shown.getvalue()
    assert 2_000 == tally.records


async def test_a_file_gets_no_bar() -> None:
    console, shown = a_terminal(is_one=False)
    await _pass(cast("Archiver", FakeArchiver()), console, asyncio.Event())

    assert "" == shown.getvalue()


async def test_it_stops_in_time_though_the_broker_is_silent() -> None:
    stop, archiver = asyncio.Event(), FakeArchiver(is_silent=True)
    asyncio.get_running_loop().call_later(0.1, stop.set)
    async with asyncio.timeout(STOP_GRACE_S + 3):
        tally = await _pass(cast("Archiver", archiver), a_terminal()[0], stop)

    assert (2_000, False, True) == (tally.records, tally.is_whole, archiver.ended)


async def test_what_ends_a_pass_is_raised() -> None:
    class Failing(FakeArchiver):
        async def run_pass(self, tally: Tally, on_total: Callable[[int], None], on_done: Callable[[int], None]) -> None:
            raise FolderError("no space")

    with pytest.raises(FolderError):
        await _pass(cast("Archiver", Failing()), a_terminal()[0], asyncio.Event())


@pytest.mark.parametrize(
    ("tally", "code", "words"),
    [
        (Tally(1_234, 5, is_whole=True), 0, ["1,234 records archived in 5 files in /a"]),
        (Tally(1, 1), 130, ["stopped before the end"]),
        (
            Tally(lost=(Span("positions", 2, 5, 9),), is_whole=True),
            0,
            ["positions-2 has offsets 5 to 8 no more: they are not archived"],
        ),
    ],
)
def test_what_it_says_at_the_end(tally: Tally, code: int, words: list[str]) -> None:
    console, shown = a_terminal(is_one=False)

    assert code == _show(tally, Path("/a"), console)
    for sentence in words:
        assert sentence in shown.getvalue()


@pytest.mark.parametrize("arguments", [["--every-s", "0"], ["--every-s", "x"], ["--to"], ["more"]])
async def test_wrong_usage(arguments: list[str]) -> None:
    assert 2 == await run_command(Settings(), "archive", *arguments)


def test_without_a_broker(tmp_path: Path) -> None:
    environment = {
        "KAFKA_BOOTSTRAP": f"127.0.0.1:{free_port()}",
        "CLEARINGHUB_DATA_DIR": str(tmp_path),
        "CLEARINGHUB_RUN_DIR": str(tmp_path / "run"),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "clearinghub", "archive"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert 3 == ended.returncode, ended.stderr
    assert [] == list(tmp_path.glob("archive/**/*.parquet"))


def test_the_hubs_roles_do_not_load_its_libraries() -> None:
    script = "import sys, clearinghub.roles.ledger, clearinghub.roles.ingress; sys.exit('pyarrow' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, check=False, timeout=60)

    assert 0 == ended.returncode
