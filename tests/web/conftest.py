"""A DFSP for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.web.fspiop_client import Dfsp, a_dfsp


@pytest.fixture
async def dfsp() -> AsyncIterator[Dfsp]:
    async with a_dfsp() as one:
        yield one
