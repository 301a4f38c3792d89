"""A DFSP and an operator for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.web.admin_world import Operator, an_operator
from tests.web.fspiop_client import Dfsp, a_dfsp


@pytest.fixture
async def dfsp() -> AsyncIterator[Dfsp]:
    async with a_dfsp() as one:
        yield one


@pytest.fixture
async def operator() -> AsyncIterator[Operator]:
    async with an_operator() as one:
        yield one
