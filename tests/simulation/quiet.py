"""Switches logging off: the faults of a run are intended."""

from __future__ import annotations

import logging

import structlog


def be_quiet() -> None:
    """Switch logging off in this process, but for critical events."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
