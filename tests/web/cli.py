"""The operators' command line at the admin surface over real HTTP."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from clearinghub.config import Settings
from tests.commands import run_command
from tests.web.admin_world import Operator


@dataclass(frozen=True)
class Ended:
    """The end of a command: its exit code, stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The JSON document that is all of stdout."""
        return json.loads(self.out)


class Terminal:
    """Runs commands as operators do, but in this process."""

    def __init__(self, operator: Operator, capsys: pytest.CaptureFixture[str]) -> None:
        self.operator = operator
        self.settings = Settings(admin_url=str(operator.client.make_url("/")))
        self._capsys = capsys

    async def admin(self, *arguments: str) -> Ended:
        return await self.run("admin", *arguments)

    async def apply(self, *arguments: str) -> Ended:
        return await self.run("apply", *arguments)

    async def run(self, tool: str, *arguments: str) -> Ended:
        self._capsys.readouterr()
        code = await run_command(self.settings, tool, *arguments)
        written = self._capsys.readouterr()
        return Ended(code, written.out, written.err)

    async def done(self, *arguments: str) -> Any:
        """Run a command that must succeed; return its JSON document."""
        ended = await self.admin(*arguments, "--json")
        assert (0, "") == (ended.code, ended.err)
        return ended.json
