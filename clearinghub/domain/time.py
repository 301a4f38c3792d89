"""Points in time as FSPIOP writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def timestamp_text(at_ms: int) -> str:
    """Return a time in milliseconds since 1970 as a DateTime, `YYYY-MM-DDTHH:MM:SS.mmmZ` (protocol 1.4)."""
    moment = _EPOCH + timedelta(milliseconds=at_ms)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
