"""Judges bulks from outside: by the callbacks and the published final states alone.

Every item that a payee was sent ends once, and the last callbacks to both sides report that end.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.model.bulk_callbacks import item_result
from tests.model.conditions import decoded, fulfils
from tests.model.journal import Breach, Seen, body_of, header_of

Ends = dict[tuple[str, str], list[dict[str, Any]]]  # by payer and id: another payer may have used the id too
PAID = ("COMMITTED", "SETTLED")


@dataclass
class Notified:
    """What one side was notified of a bulk: the items' results of each final callback, and the codes of errors."""

    results: list[list[dict[str, Any]]] = field(default_factory=list)
    errors: set[str] = field(default_factory=set)


def check_bulk_ends(notifications: Iterable[Seen], finals: Iterable[Seen]) -> int:
    """Check every bulk that was sent to its payee, once all have ended; return how many there are.

    Args:
        notifications: all records of topic `notification`.
        finals: all records of topic `transfers`.

    Raises:
        Breach: an item has no end or two, or a side was not notified of it, or of another end.
    """
    requests, notified = _read(notifications)
    ends: Ends = defaultdict(list)
    for seen in finals:
        final = json.loads((seen.value or b"").partition(b"\n")[0])
        ends[final["payer"], final["transferId"]].append(final)
    for bulk_id, request in requests.items():
        payer = request["payerFsp"]
        conditions = {one["transferId"]: one["condition"] for one in request["individualTransfers"]}
        for transfer_id in conditions:
            if len(ends[payer, transfer_id]) != 1:
                raise Breach(f"item {transfer_id} of {bulk_id} has {len(ends[payer, transfer_id])} ends")
        items = {transfer_id: ends[payer, transfer_id][0] for transfer_id in conditions}
        for side in (payer, request["payeeFsp"]):
            _check_side(f"{side}, of {bulk_id}", notified[bulk_id, side], conditions, items)
    return len(requests)


def _read(notifications: Iterable[Seen]) -> tuple[dict[str, dict[str, Any]], dict[tuple[str, str], Notified]]:
    """Return the requests by bulk, and what was notified by bulk and receiver."""
    requests: dict[str, dict[str, Any]] = {}
    notified: dict[tuple[str, str], Notified] = defaultdict(Notified)
    for seen in notifications:
        header = header_of(seen.value)
        if header is None or header.get("resource") != "bulkTransfers":
            continue
        bulk_id, body = header["id"], json.loads(body_of(seen.value))
        if header["method"] == "POST":
            if bulk_id in requests or header["receiver"] != body["payeeFsp"]:
                raise Breach(f"{header['receiver']} is sent {bulk_id}, which is not its own, or a second time")
            requests[bulk_id] = body
        elif "errorInformation" in body:
            notified[bulk_id, header["receiver"]].errors.add(body["errorInformation"]["errorCode"])
        elif body["bulkTransferState"] in ("COMPLETED", "REJECTED") and "individualTransferResults" in body:
            notified[bulk_id, header["receiver"]].results.append(body["individualTransferResults"])
    return requests, notified


def _check_side(who: str, notified: Notified, conditions: dict[str, str], ends: dict[str, dict[str, Any]]) -> None:
    """Check that a side was notified of the items' ends."""
    for results in notified.results:
        results_by_id = {
            one["transferId"]: item_result(one) for one in reversed(results)
        }  # the first of two with one id counts
        for transfer_id, condition in conditions.items():
            end, reported = ends[transfer_id], results_by_id.get(transfer_id)
            is_paid = fulfils(reported, decoded(condition))
            if is_paid != (end["state"] in PAID) or not (is_paid or reported == end["errorCode"]):
                raise Breach(
                    f"{who}: {transfer_id} ended {end['state']} {end['errorCode']}, and is notified of {reported}"
                )
    if notified.results:
        return
    codes = {None if end["state"] in PAID else end["errorCode"] for end in ends.values()}
    if len(codes) != 1 or not codes <= notified.errors:
        raise Breach(f"{who}: its items ended {codes}, and it is notified of {notified.errors}")
