"""Judges callbacks: each one that the ledger wrote was received, in order, or is on the dead letter."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tests.model.journal import Breach, Seen, body_of, header_of


class Received(NamedTuple):
    """A request that reached a DFSP."""

    receiver: str
    method: str
    path: str
    body: bytes


def check_deliveries(
    notifications: Iterable[Sequence[Seen]], dead: Iterable[Seen], received: Sequence[Received]
) -> int:
    """Compare what DFSPs have received with what was written, by partition; return the number of callbacks written.

    Raises:
        Breach: a callback was lost, invented, or overtaken by a later one of its transfer.
    """
    dead_lettered, unreadable = _dead_lettered(dead)
    first_received: dict[Received, int] = {}
    for number, one in enumerate(received):
        first_received.setdefault(one, number)
    times_received = Counter(received)
    written: Counter[Received] = Counter()
    expected: Counter[Received] = Counter()  # those that are not on the dead letter
    for partition in notifications:
        latest: dict[tuple[str, str], int] = {}
        for seen in partition:
            header = header_of(seen.value)
            if header is None or header.get("kind") != "notification":
                if (seen.partition, seen.offset) not in unreadable:
                    raise Breach(
                        f"notification/{seen.partition}@{seen.offset} cannot be read, and is not on the dead letter"
                    )
                continue
            one = request_of(header, body_of(seen.value))
            written[one] += 1
            if header["notification_id"] in dead_lettered:
                continue
            expected[one] += 1
            if times_received[one] < expected[one]:
                raise Breach(f"{header['receiver']} has not received {header['notification_id']} of {header['id']}")
            chain = (header["receiver"], header["id"])
            if written[one] == 1:
                if first_received[one] < latest.get(chain, -1):
                    raise Breach(f"{header['notification_id']} was overtaken on its way to {header['receiver']}")
                latest[chain] = first_received[one]
    invented = set(times_received) - set(written)
    if invented:
        raise Breach(f"nobody wrote {min(invented)}")
    return sum(written.values())


def request_of(header: dict[str, str], body: bytes) -> Received:
    """Return the request that a receiver gets for a notification."""
    return Received(header["receiver"], header["method"], header["path"], body)


def _dead_lettered(dead: Iterable[Seen]) -> tuple[set[str], set[tuple[int, int]]]:
    """Return the ids of the callbacks on the dead letter, and the places of its records that are no callbacks."""
    ids: set[str] = set()
    places: set[tuple[int, int]] = set()
    for seen in dead:
        assert seen.value is not None
        head, _, rest = seen.value.partition(b"\n")
        if json.loads(head)["topic"] != "notification":
            continue
        header = header_of(rest)
        if header is not None and header.get("kind") == "notification":
            ids.add(header["notification_id"])
        else:
            places.add((json.loads(head).get("partition", -1), json.loads(head)["offset"]))
    return ids, places
