"""When the open settlement window is closed by itself: a cron expression in a time zone."""

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
    """The schedule's next time behind a time, both in milliseconds since 1970; None where there is no schedule.

    A time that the clocks skip in spring is due right behind the gap; one that comes twice in autumn is due once.
    """
    if not settings.settlement_window_cron:
        return None
    expression, zone = settings.settlement_window_cron, ZoneInfo(settings.settlement_window_time_zone)

    def next_due(now_ms: int) -> int:
        now = datetime.fromtimestamp(now_ms // MS, UTC).astimezone(zone)
        return int(next(CronSim(expression, now)).timestamp()) * MS

    return next_due


def number_of(settings: Settings) -> int:
    """A number that a schedule has and another has not, the same in every process."""
    return zlib.crc32(f"{settings.settlement_window_cron} {settings.settlement_window_time_zone}".encode())
