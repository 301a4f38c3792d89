"""What the model reads: the committed records, and the rounds that wrote them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

INPUTS: Final = (
    "credit",
    "settlement",
    "fulfil",
    "timeout",
    "command",
    "lookup",
    "bulk-fulfil",
    "prepare",
    "bulk-prepare",
    "agreement",
    "party",
)
"""The order in which a round takes its inputs."""


class Seen(NamedTuple):
    """A committed record; `at_ms` is its time, as the broker wrote it, `hop` its header of that name."""

    topic: str
    partition: int
    offset: int
    at_ms: int
    key: bytes
    value: bytes | None
    hop: bytes = b""


@dataclass(frozen=True, slots=True)
class Round:
    """All that one transaction of a partition wrote; `rows` are by table and key, None for a removed row."""

    partition: int
    emitted: Sequence[Seen]
    rows: dict[tuple[str, str], Any]


Between = Callable[[str, int, int, int], Iterable[Seen]]
"""The committed records of a topic and partition from an offset to just before another."""


def header_of(value: bytes | None) -> dict[str, Any] | None:
    """Return a message's header, or None for a value that is no message of this version."""
    if value is None or b"\n" not in value:
        return None
    try:
        header = json.loads(value.partition(b"\n")[0])
    except ValueError:
        return None
    return header if isinstance(header, dict) and header.get("v") == 1 else None


def body_of(value: bytes | None) -> bytes:
    """Return the body of a message, which follows its header."""
    return b"" if value is None else value.partition(b"\n")[2]


def activity_of(participants: Iterable[Seen]) -> dict[str, set[bool]]:
    """Return, by DFSP, every answer to "is it active as a payee" since its account was first activated."""
    found: dict[str, set[bool]] = {}
    for seen in participants:
        _width, _id, name, active, _created_at_ms, _is_proxy, accounts, *_rest = json.loads(seen.value or b"[]")
        activity = [account[3] for account in accounts if account[2] == "POSITION"]
        is_welcome = bool(active and activity and activity[0])
        if is_welcome or name in found:
            found.setdefault(name, set()).add(is_welcome)
    return found


class Breach(AssertionError):  # noqa: N818 - the result of a check, not its error
    """The hub has not done what it promised."""


def difference(partition: int, topic: str, decided: Sequence[Seen], expected: list[Any], actual: list[Any]) -> str:
    """Describe how what a round wrote to a topic differs from what it must write."""
    missing = [one for one in expected if one not in actual]
    surplus = [one for one in actual if one not in expected]
    records = ", ".join(f"{seen.topic}@{seen.offset}" for seen in decided[:6])
    return f"partition {partition}, round of {records}: on {topic}, missing {missing[:3]}, unexpected {surplus[:3]}"


def check_provenance(one: Round, decided: Sequence[Seen], partition: int) -> None:
    """Check that every callback's id names a record of its round.

    Raises:
        Breach: an id does not.
    """
    places = {f"{seen.topic}-{seen.partition}-{seen.offset}" for seen in decided}
    for seen in one.emitted:
        header = header_of(seen.value) if seen.topic == "notification" else None
        if header is not None and header["notification_id"].rpartition("-")[0] not in places:
            raise Breach(f"partition {partition}: callback {header['notification_id']} names no record of the round")
