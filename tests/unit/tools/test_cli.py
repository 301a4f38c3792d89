"""The one command line: its help, what it loads, and its completion."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from clearinghub.tools.cli import TOOLS, app, main

ROOT = Path(__file__).resolve().parents[3]
WIDTH = 100


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All commands and groups below a group, with the words that lead to them."""
    context = typer.Context(group)
    for name in group.list_commands(context):
        _name, command, _rest = group.resolve_command(context, [name])
        yield (*path, name), command
        if hasattr(command, "list_commands"):
            yield from commands(command, (*path, name))


ALL = list(commands(get_command(app)))


def loaded(script: str) -> set[str]:
    """The modules that a process has loaded after the script."""
    shown = subprocess.run(
        [sys.executable, "-c", f"import sys\n{script}\nprint(*sorted(sys.modules))"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(shown.stdout.split())


def test_there_are_all_commands() -> None:
    paths = {path for path, _command in ALL}

    assert len(paths) > 55
    assert {("all",), ("version",), ("keys", "generate"), ("admin", "funds", "out", "reserve")} <= paths
    assert {(tool.name,) for tool in TOOLS} <= paths


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _command in ALL])
def test_every_command_explains_itself(
    path: tuple[str, ...], command: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))

    assert 0 == main([*path, "--help"])

    shown = capsys.readouterr()
    assert "" == shown.err
    assert f"Usage: clearinghub {' '.join(path)}" in shown.out
    assert max(len(line) for line in shown.out.splitlines()) <= WIDTH
    assert command.help
    for parameter in command.params:
        assert parameter.help, parameter.name
    assert "Exit codes" in shown.out


def test_help_is_quick_because_it_loads_no_command() -> None:
    modules = loaded("from clearinghub.tools.cli import main\nmain(['--help'])")

    assert not {"aiokafka", "aiohttp", "faust", "pyarrow", "uvloop", "clearinghub.config"} & modules


def test_a_role_loads_no_tool() -> None:
    modules = loaded("import clearinghub.tools.cli, clearinghub.roles.start, clearinghub.roles.ledger")
    tools = tuple(f"clearinghub.tools.{name}" for name in ("admin", "apply", "audit", "parties", "report", "session"))

    assert [] == [name for name in modules if name.startswith((*tools, "sandbox", "pyarrow"))]


def test_the_supervisor_loads_no_role() -> None:
    modules = loaded("import clearinghub.tools.cli, clearinghub.roles.start, clearinghub.roles.all")
    parts = ("agents", "faust", "rocksdict", "tables", "web", "clearinghub.roles.ledger", "clearinghub.callbacks")

    assert [] == [name for name in modules if name.startswith(parts)]


def test_the_shell_completes_commands_nouns_and_options() -> None:
    def completed(words: str) -> list[str]:
        environment = {**os.environ, "_CLEARINGHUB_COMPLETE": "complete_bash", "COMP_WORDS": words}
        environment["COMP_CWORD"] = str(len(words.split(" ")) - 1)
        command = [sys.executable, "-m", "clearinghub"]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60
        ).stdout.split()

    assert ["admin", "admin-api", "apply", "audit", "all", "archive"] == sorted(
        completed("clearinghub a"), key="admin admin-api apply audit all archive".index
    )
    assert ["positions", "partitions", "participants"] == sorted(completed("clearinghub admin p"), reverse=True)
    assert ["--dry-run"] == completed("clearinghub apply --d")
    assert ["GROSS"] == completed("clearinghub admin models add M --granularity G")


def test_completion_can_be_installed(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    command = [sys.executable, "-m", "clearinghub", "--install-completion", "bash"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)

    assert (0, "") == (ended.returncode, ended.stderr)
    (script,) = tmp_path.glob(".bash_completions/*")
    assert "_CLEARINGHUB_COMPLETE=complete_bash" in script.read_text()
    assert str(script) in (tmp_path / ".bashrc").read_text()


@pytest.mark.parametrize("arguments", [["topics", "--markdown"], ["admin", "--help"]])
def test_a_pipe_that_nobody_reads_ends_a_command_quietly(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "clearinghub", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        written = process.stderr.read()

    assert (1, b"") == (process.returncode, written)
