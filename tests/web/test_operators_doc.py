"""Every command of docs/operators.md, in its order, does what it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.web.cli import Terminal

ROOT = Path(__file__).resolve().parents[2]
COMMAND = re.compile(r"^    clearinghub (.+)$", re.MULTILINE)

# These need a broker: tests/integration/test_lookups.py, test_copies.py.
AT_THE_BROKER = frozenset({"parties", "backup", "restore"})


async def test_every_command_works(terminal: Terminal) -> None:
    commands = COMMAND.findall((ROOT / "docs/operators.md").read_text())
    assert len(commands) > 20

    for command in commands:
        tool, *arguments = shlex.split(command)
        if tool in AT_THE_BROKER:
            continue
        arguments = [str(ROOT / one) if one.endswith(".yaml") else one for one in arguments]
        ended = await terminal.run(tool, *arguments)
        assert (0, "") == (ended.code, ended.err), command
        assert ended.out
