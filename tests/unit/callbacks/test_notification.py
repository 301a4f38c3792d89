from __future__ import annotations

from typing import Any

import orjson
import pytest

from clearinghub.callbacks.notification import Notification
from clearinghub.messages import MalformedMessageError, encode
from tests.unit.callbacks.fakes import PLAIN

LINE: dict[str, Any] = orjson.loads(PLAIN.as_value().partition(b"\n")[0])


def test_a_value_is_read_back_as_it_was_written() -> None:
    assert PLAIN == Notification.parse(PLAIN.as_value())


def test_the_body_is_kept_byte_by_byte_with_its_line_breaks() -> None:
    body = b'{ "a":\n 1.50,\r\n "\xc3\xa9": null }\n'
    assert body == Notification.parse(encode(LINE, body)).body


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"kind": "prepare"},
        {"method": "HEAD"},
        {"receiver": None},
        {"path": 7},
        {"headers": []},
        {"headers": {"date": 1}},
        {"variables": None},
        {"trace": 5},
    ],
)
def test_what_is_no_notification_is_malformed(change: dict[str, Any]) -> None:
    with pytest.raises(MalformedMessageError):
        Notification.parse(encode(LINE | change, b"{}"))


@pytest.mark.parametrize("value", [b"", b"\n", b"{}", b"[]\n", b"\xff\xfe\n{}", b"null\n"])
def test_what_is_no_record_of_ours_is_malformed(value: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        Notification.parse(value)
