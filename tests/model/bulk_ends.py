"""Bulks as DFSPs see them, from the callbacks and the published ends alone, whatever the books make of each record.

Every line that a payee was sent ends once, and what both sides hear at the end is how it ended.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.model.bulk_words import said_of
from tests.model.conditions import decoded, fulfils
from tests.model.journal import Breach, Seen, body_of, line_of

Ends = dict[str, list[dict[str, Any]]]
PAID = ("COMMITTED", "SETTLED")


@dataclass
class Told:
    """What one side was told of a bulk: the results of its lines, whenever it was over, and errors' codes."""

    results: list[list[dict[str, Any]]] = field(default_factory=list)
    errors: set[str] = field(default_factory=set)


def check_bulk_ends(notifications: Iterable[Seen], finals: Iterable[Seen]) -> int:
    """Check every bulk that was sent to its payee, when all is at its end; the number of them.

    Args:
        notifications: all that the ledger has written to that topic.
        finals: the same of topic `transfers`.

    Raises:
        Breach: a line has no end or two, or a side has not heard of it, or something else.
    """
    requests, told = _read(notifications)
    ends: Ends = defaultdict(list)
    for seen in finals:
        line = json.loads((seen.value or b"").partition(b"\n")[0])
        ends[line["transferId"]].append(line)
    for bulk_id, request in requests.items():
        lines = {one["transferId"]: one["condition"] for one in request["individualTransfers"]}
        for transfer_id in lines:
            if len(ends[transfer_id]) != 1:
                raise Breach(f"line {transfer_id} of {bulk_id} has {len(ends[transfer_id])} ends")
        for side in (request["payerFsp"], request["payeeFsp"]):
            _check_side(f"{side}, of {bulk_id}", told[bulk_id, side], lines, ends)
    return len(requests)


def _read(notifications: Iterable[Seen]) -> tuple[dict[str, dict[str, Any]], dict[tuple[str, str], Told]]:
    """The requests by bulk, and what was told by bulk and receiver."""
    requests: dict[str, dict[str, Any]] = {}
    told: dict[tuple[str, str], Told] = defaultdict(Told)
    for seen in notifications:
        line = line_of(seen.value)
        if line is None or line.get("resource") != "bulkTransfers":
            continue
        bulk_id, body = line["id"], json.loads(body_of(seen.value))
        if line["method"] == "POST":
            if bulk_id in requests or line["receiver"] != body["payeeFsp"]:
                raise Breach(f"{line['receiver']} is sent {bulk_id}, which is not its own, or a second time")
            requests[bulk_id] = body
        elif "errorInformation" in body:
            told[bulk_id, line["receiver"]].errors.add(body["errorInformation"]["errorCode"])
        elif body["bulkTransferState"] in ("COMPLETED", "REJECTED") and "individualTransferResults" in body:
            told[bulk_id, line["receiver"]].results.append(body["individualTransferResults"])
    return requests, told


def _check_side(who: str, told: Told, lines: dict[str, str], ends: Ends) -> None:
    for results in told.results:
        said = {one["transferId"]: said_of(one) for one in reversed(results)}  # an id listed twice is that of the first
        for transfer_id, condition in lines.items():
            (end,), heard = ends[transfer_id], said.get(transfer_id)
            is_paid = fulfils(heard, decoded(condition))
            if is_paid != (end["state"] in PAID) or not (is_paid or heard == end["errorCode"]):
                raise Breach(f"{who}: {transfer_id} ended {end['state']} {end['errorCode']}, and it hears {heard}")
    if told.results:
        return
    codes = {None if end["state"] in PAID else end["errorCode"] for one in lines for end in ends[one]}
    if len(codes) != 1 or not codes <= told.errors:
        raise Breach(f"{who}: its lines ended {codes}, and all it hears is {told.errors}")
