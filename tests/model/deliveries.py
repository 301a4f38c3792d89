"""Callbacks: each one that the ledger has written is heard by its receiver, or lies on the dead letter; in order."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tests.model.journal import Breach, Seen, body_of, line_of


class Heard(NamedTuple):
    """A request that reached a DFSP."""

    receiver: str
    method: str
    path: str
    body: bytes


def check_deliveries(notifications: Iterable[Sequence[Seen]], dead: Iterable[Seen], heard: Sequence[Heard]) -> int:
    """Check what DFSPs have heard against what was written, partition by partition; the number of callbacks.

    Raises:
        Breach: a callback was lost, invented, or overtaken by a later one of its transfer.
    """
    given_up, unreadable = _given_up(dead)
    first_heard: dict[Heard, int] = {}
    for number, one in enumerate(heard):
        first_heard.setdefault(one, number)
    times_heard = Counter(heard)
    written: Counter[Heard] = Counter()
    expected: Counter[Heard] = Counter()  # those that are not given up
    for partition in notifications:
        latest: dict[tuple[str, str], int] = {}
        for seen in partition:
            line = line_of(seen.value)
            if line is None or line.get("kind") != "notification":
                if (seen.partition, seen.offset) not in unreadable:
                    raise Breach(f"notification/{seen.partition}@{seen.offset} cannot be read, and is nowhere")
                continue
            one = heard_of(line, body_of(seen.value))
            written[one] += 1
            if line["notification_id"] in given_up:
                continue
            expected[one] += 1
            if times_heard[one] < expected[one]:
                raise Breach(f"{line['receiver']} has not heard {line['notification_id']} of {line['id']}")
            chain = (line["receiver"], line["id"])
            if written[one] == 1:
                if first_heard[one] < latest.get(chain, -1):
                    raise Breach(f"{line['notification_id']} was overtaken on its way to {line['receiver']}")
                latest[chain] = first_heard[one]
    invented = set(times_heard) - set(written)
    if invented:
        raise Breach(f"nobody wrote {min(invented)}")
    return sum(written.values())


def heard_of(line: dict[str, str], body: bytes) -> Heard:
    """What a receiver hears of a notification."""
    return Heard(line["receiver"], line["method"], line["path"], body)


def _given_up(dead: Iterable[Seen]) -> tuple[set[str], set[tuple[int, int]]]:
    """Ids of callbacks on the dead letter, and places of records that are no callbacks."""
    ids: set[str] = set()
    places: set[tuple[int, int]] = set()
    for seen in dead:
        assert seen.value is not None
        head, _, rest = seen.value.partition(b"\n")
        if json.loads(head)["topic"] != "notification":
            continue
        line = line_of(rest)
        if line is not None and line.get("kind") == "notification":
            ids.add(line["notification_id"])
        else:
            places.add((json.loads(head).get("partition", -1), json.loads(head)["offset"]))
    return ids, places
