"""When a schedule closes settlement windows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from clearinghub.config import Settings
from clearinghub.roles.schedule import next_due_of, number_of


def due_after(expression: str, zone: str, moment: str, count: int) -> list[str]:
    next_due = next_due_of(Settings(settlement_window_cron=expression, settlement_window_time_zone=zone))
    assert next_due is not None
    at_ms = int(datetime.fromisoformat(moment).timestamp() * 1000)
    found = []
    for _ in range(count):
        at_ms = next_due(at_ms)
        found.append(datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("expression", "zone", "moment", "expected"),
    [
        ("0 17 * * 1-5", "Africa/Nairobi", "2026-11-20T13:59:59.500+00:00", ["20 14:00", "23 14:00"]),
        ("0 17 * * 1-5", "Africa/Nairobi", "2026-11-20T14:00:00+00:00", ["23 14:00", "24 14:00"]),
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00+00:00", ["28 01:30", "29 01:00", "30 00:30"]),
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00+00:00", ["25 00:30", "26 01:30"]),
        ("*/15 * * * *", "UTC", "2026-10-24T12:00:00+00:00", ["24 12:15", "24 12:30"]),
    ],
)
def test_when_it_is_due(expression: str, zone: str, moment: str, expected: list[str]) -> None:
    assert expected == due_after(expression, zone, moment, len(expected))


def test_without_an_expression_there_is_no_schedule() -> None:
    assert next_due_of(Settings()) is None


@pytest.mark.parametrize("expression", ["x", "* * * *", "* * * * * *", "61 * * * *", "0 0 31 2 *"])
def test_what_is_no_expression(expression: str) -> None:
    with pytest.raises(ValidationError, match="is no cron expression"):
        Settings(settlement_window_cron=expression)


def test_what_is_no_time_zone() -> None:
    with pytest.raises(ValidationError, match="is no time zone"):
        Settings(settlement_window_time_zone="Mars/Olympus")


def test_a_schedule_has_the_same_number_in_every_process() -> None:
    daily, berlin = Settings(settlement_window_cron="0 17 * * *"), {"settlement_window_time_zone": "Europe/Berlin"}

    assert 4_201_489_559 == number_of(daily)
    assert 3 == len({number_of(one) for one in (Settings(), daily, daily.model_copy(update=berlin))})
