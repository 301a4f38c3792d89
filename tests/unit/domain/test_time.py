"""Times as the DateTime texts of the API Definition."""

from __future__ import annotations

import pytest

from clearinghub.domain.time import timestamp_text


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_700_000_000_120, "2023-11-14T22:13:20.120Z"),
        (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (-30_610_224_000_000, "1000-01-01T00:00:00.000Z"),
    ],
)
def test_milliseconds_become_text(at_ms: int, text: str) -> None:
    assert text == timestamp_text(at_ms)
