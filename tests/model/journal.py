"""What the ledger has written, as the model reads it: committed records, and the rounds that wrote them."""

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
)
"""The order in which a round takes its inputs."""


class Seen(NamedTuple):
    """A committed record."""

    topic: str
    partition: int
    offset: int
    at_ms: int
    key: bytes
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Round:
    """One transaction of a partition of the ledger, all that it wrote; `rows` by table and key."""

    partition: int
    emitted: Sequence[Seen]
    rows: dict[tuple[str, str], Any]


Between = Callable[[str, int, int, int], Iterable[Seen]]
"""The committed records of a topic and partition from an offset to just before another."""


def line_of(value: bytes | None) -> dict[str, Any] | None:
    """The line of a message of the hub; None if it is none that can be read."""
    if value is None or b"\n" not in value:
        return None
    try:
        line = json.loads(value.partition(b"\n")[0])
    except ValueError:
        return None
    return line if isinstance(line, dict) and line.get("v") == 1 else None


def body_of(value: bytes | None) -> bytes:
    """What follows the line."""
    return b"" if value is None else value.partition(b"\n")[2]


def standings(participants: Iterable[Seen]) -> dict[str, set[bool]]:
    """Of each DFSP, whether it was welcome as a payee: all that it has been since its account was first opened."""
    found: dict[str, set[bool]] = {}
    for seen in participants:
        row = json.loads(seen.value or b"{}")
        accounts = [account["active"] for account in row["accounts"] if account["account_type"] == "POSITION"]
        is_welcome = bool(row["active"] and accounts and accounts[0])
        if is_welcome or row["name"] in found:
            found.setdefault(row["name"], set()).add(is_welcome)
    return found


class Breach(AssertionError):  # noqa: N818 - what a check says, not an error of the check
    """The hub has not done what it promised."""


def difference(partition: int, topic: str, taken: Sequence[Seen], expected: list[Any], actual: list[Any]) -> str:
    """What a round wrote to a topic against what follows, in words."""
    missing = [one for one in expected if one not in actual]
    surplus = [one for one in actual if one not in expected]
    records = ", ".join(f"{seen.topic}@{seen.offset}" for seen in taken[:6])
    return f"partition {partition}, round of {records}: on {topic}, missing {missing[:3]}, unexpected {surplus[:3]}"


def check_provenance(one: Round, taken: Sequence[Seen], partition: int) -> None:
    """Every callback's id must name a record of its round.

    Raises:
        Breach: one does not.
    """
    places = {f"{seen.topic}-{seen.partition}-{seen.offset}" for seen in taken}
    for seen in one.emitted:
        line = line_of(seen.value) if seen.topic == "notification" else None
        if line is not None and line["notification_id"].rpartition("-")[0] not in places:
            raise Breach(f"partition {partition}: callback {line['notification_id']} is of no record taken")
