"""The schedule by which the open settlement window is closed: a cron expression in a time zone."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim

from clearinghub.config import Settings

MS: Final = 1_000


def next_due_of(settings: Settings) -> Callable[[int], int] | None:
    """Return the function from a time to the schedule's next time, in milliseconds since 1970; None without a schedule.

    A time that the clocks skip in spring is due right after the gap; a time that comes twice in autumn is due once.
    """
    if not settings.settlement_window_cron:
        return None
    expression, zone = settings.settlement_window_cron, ZoneInfo(settings.settlement_window_time_zone)

    def next_due(now_ms: int) -> int:
        now = datetime.fromtimestamp(now_ms // MS, UTC).astimezone(zone)
        return int(next(CronSim(expression, now)).timestamp()) * MS

    return next_due


def number_of(settings: Settings) -> int:
    """Return a number by which every process tells this schedule from another."""
    return zlib.crc32(f"{settings.settlement_window_cron} {settings.settlement_window_time_zone}".encode())
