"""Runs a command of `clearinghub` in this process: same options, settings and errors, without a process for each."""

from __future__ import annotations

import inspect

import pytest

from clearinghub.config import Settings
from clearinghub.tools.cli import explain, read_command


async def run_command(settings: Settings, *arguments: str) -> int:
    """Run a command in this event loop with those settings in its environment; returns the exit code."""
    with pytest.MonkeyPatch.context() as environment:
        for name in settings.model_fields_set:
            environment.setenv(f"CLEARINGHUB_{name.upper()}", str(getattr(settings, name)))
        try:
            work = read_command(arguments)
            code = await work if inspect.iscoroutine(work) else work
        except Exception as error:  # noqa: BLE001 - what is no user's error is raised again
            return explain(error)
    assert code is None or isinstance(code, int)
    return code or 0
