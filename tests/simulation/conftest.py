"""Switches logging off for the tests of the simulation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from tests.simulation.quiet import be_quiet


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    be_quiet()
    yield
    structlog.reset_defaults()
