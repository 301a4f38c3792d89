"""Every command of docs/reports.md does what it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.web.cli import Terminal
from tests.web.settlement_steps import close, pay, settlement

DOC = (Path(__file__).resolve().parents[2] / "docs/reports.md").read_text()
COMMAND = re.compile(r"^    clearinghub report (.+)$", re.MULTILINE)
REQUEST = re.compile(r"^    curl (.+)$", re.MULTILINE)
FORMS = {"html": "<!DOCTYPE html>", "csv": "settlement", "json": "{"}


async def a_day(terminal: Terminal) -> None:
    """Close and settle window 1, in which the page's example bank takes part."""
    operator = terminal.operator
    await operator.currency()
    for name in ("alphabank", "alpha", "beta", "gamma"):
        await operator.dfsp(name)
    pay(operator)
    await close(operator)
    await settlement(operator)


async def test_every_command_works(terminal: Terminal, tmp_path: Path) -> None:
    await a_day(terminal)
    commands = COMMAND.findall(DOC)
    assert 8 == len(commands)

    for command in commands:
        arguments = shlex.split(command)
        if "--output" in arguments:
            place = arguments.index("--output") + 1
            arguments[place] = str(tmp_path / arguments[place])
        ended = await terminal.run("report", *arguments)
        assert (0, "") == (ended.code, ended.err), command
        written = Path(arguments[place]).read_text() if "--output" in arguments else ended.out
        assert written, command


async def test_every_request_works(terminal: Terminal) -> None:
    await a_day(terminal)
    account = (await terminal.operator.account("POSITION", "alphabank"))["id"]
    requests = REQUEST.findall(DOC)
    assert 4 == len(requests)

    for request in requests:
        *options, url = shlex.split(request)
        path = url.removeprefix("http://127.0.0.1:4001").replace("/accounts/7/", f"/accounts/{account}/")
        headers = dict(one.split(": ") for one in options if ": " in one)
        answer = await terminal.operator.send("GET", path, headers=headers)
        assert 200 == answer.status, request
        form = next((form for form in FORMS if form in request), "json")
        assert answer.text.startswith(FORMS[form]), request
