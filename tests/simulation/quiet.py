"""No logs: a run's faults are its own doing."""

from __future__ import annotations

import logging

import structlog


def be_quiet() -> None:
    """Switch logging off for this process."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
