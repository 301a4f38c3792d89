"""The content of a callback about a bulk as one text, without what the hub may word as it likes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any


def request(content: dict[str, Any]) -> str:
    """Return the text of POST /bulkTransfers: the whole body."""
    return "request " + json.dumps(content, sort_keys=True)


def state_text(state: str, ended_ms: int | None, results: Iterable[tuple[str, str | None]] | None) -> str:
    """Return the text of PUT: the bulk's state, its end in milliseconds, and each item's fulfilment or error code."""
    items = "no items" if results is None else " ".join(f"{name}={result or 'pending'}" for name, result in results)
    return f"{state} {ended_ms} {items}"


def text_of(body: dict[str, Any]) -> str:
    """Return the same text, from the body of a callback."""
    if "errorInformation" in body:
        return f"error {body['errorInformation']['errorCode']}"
    if "individualTransfers" in body:
        return request(body)
    ended = body.get("completedTimestamp")
    results = body.get("individualTransferResults")
    return state_text(
        body["bulkTransferState"],
        None if ended is None else _milliseconds(ended),
        None if results is None else [(one["transferId"], item_result(one)) for one in results],
    )


def item_result(result: dict[str, Any]) -> str | None:
    """Return an item's fulfilment or error code; None with neither, and with both."""
    if "errorInformation" in result:
        return None if "fulfilment" in result else str(result["errorInformation"]["errorCode"])
    return result.get("fulfilment")


def _milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
