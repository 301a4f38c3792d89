"""What a callback about a bulk says, in one text: all of its lines, and nothing that the hub may word as it likes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any


def request(content: dict[str, Any]) -> str:
    """POST: every word of it."""
    return "request " + json.dumps(content, sort_keys=True)


def standing(state: str, ended_ms: int | None, results: Iterable[tuple[str, str | None]] | None) -> str:
    """PUT: the bulk's state, when it ended, and of each line its fulfilment or its error's code, or neither."""
    lines = "no lines" if results is None else " ".join(f"{name}={said or 'pending'}" for name, said in results)
    return f"{state} {ended_ms} {lines}"


def told_of(body: dict[str, Any]) -> str:
    """The same of a callback's body."""
    if "errorInformation" in body:
        return f"error {body['errorInformation']['errorCode']}"
    if "individualTransfers" in body:
        return request(body)
    ended = body.get("completedTimestamp")
    results = body.get("individualTransferResults")
    return standing(
        body["bulkTransferState"],
        None if ended is None else _milliseconds(ended),
        None if results is None else [(one["transferId"], said_of(one)) for one in results],
    )


def said_of(result: dict[str, Any]) -> str | None:
    """A line's fulfilment or its error's code; with both it is neither."""
    if "errorInformation" in result:
        return None if "fulfilment" in result else str(result["errorInformation"]["errorCode"])
    return result.get("fulfilment")


def _milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
