"""Fixtures: a DFSP, an operator and a terminal for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import structlog

from tests.web.admin_world import Operator, an_operator
from tests.web.cli import Terminal
from tests.web.fspiop_client import Dfsp, a_dfsp


@pytest.fixture
async def dfsp() -> AsyncIterator[Dfsp]:
    async with a_dfsp() as one:
        yield one


@pytest.fixture
async def operator() -> AsyncIterator[Operator]:
    async with an_operator() as one:
        yield one


@pytest.fixture
def terminal(operator: Operator, capsys: pytest.CaptureFixture[str]) -> Iterator[Terminal]:
    # The hub runs in this process: keep its log out of what a command prints.
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    yield Terminal(operator, capsys)
    structlog.reset_defaults()
