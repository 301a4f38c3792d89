"""Runs operators' commands on a hub's admin API over real HTTP."""

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
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


class Terminal:
    """Runs commands as an operator would, in this process."""

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
        """Run an admin command that must succeed; returns its document."""
        ended = await self.admin(*arguments, "--json")
        assert (0, "") == (ended.code, ended.err)
        return ended.json
