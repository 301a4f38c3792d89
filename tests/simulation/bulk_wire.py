"""What DFSPs say to the hub of bulks: the records that the ingress would make of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from clearinghub.messages import VERSION, encode
from tests.simulation import wire
from tests.simulation.wire import Said, Terms


@dataclass(frozen=True, slots=True)
class BulkTerms:
    """What a payer asks for; the lines' own terms say the same of payer, payee and expiry."""

    bulk_id: str
    payer: str
    payee: str
    expires_at_ms: int
    lines: tuple[Terms, ...]


def prepare(
    bulk: BulkTerms,
    *,
    source: str | None = None,
    destination: str | None = None,
    without_condition: frozenset[str] = frozenset(),
) -> Said:
    """POST /bulkTransfers; the lines of `without_condition` have one that is none."""
    body = {
        "bulkTransferId": bulk.bulk_id,
        "bulkQuoteId": "q",
        "payerFsp": bulk.payer,
        "payeeFsp": bulk.payee,
        "individualTransfers": [
            {
                "transferId": one.transfer_id,
                "transferAmount": {"currency": wire.CURRENCY, "amount": str(one.amount)},
                "ilpPacket": "packet",
                "condition": "none" if one.transfer_id in without_condition else one.condition,
            }
            for one in bulk.lines
        ],
        "expiration": str(bulk.expires_at_ms),
    }
    line = {
        "kind": "bulk-prepare",
        "id": bulk.bulk_id,
        "source": source or bulk.payer,
        "destination": destination,
        "payer": bulk.payer,
        "payee": bulk.payee,
        "expires_at_ms": bulk.expires_at_ms,
        "amounts": [one.amount for one in bulk.lines],
        "hashes": [_hash(one) for one in bulk.lines],
    }
    return Said("bulk-prepare", bulk.payer, wire.encoded(line, body))


def _hash(one: Terms) -> str:
    """That of the POST /transfers which the line would be."""
    line: dict[str, Any] = orjson.loads(wire.prepare(one).value.partition(b"\n")[0])
    hashed: str = line["hash"]
    return hashed


def fulfilled(one: Terms) -> dict[str, Any]:
    """A line's result: paid."""
    return {"transferId": one.transfer_id, "fulfilment": one.fulfilment}


def failed(one: Terms, code: str = "5104") -> dict[str, Any]:
    """A line's result: not paid."""
    return {"transferId": one.transfer_id, "errorInformation": {"errorCode": code, "errorDescription": "no"}}


def fulfil(
    bulk: BulkTerms,
    results: Iterable[dict[str, Any]],
    *,
    source: str | None = None,
    destination: str | None = "",
) -> Said:
    """PUT /bulkTransfers/{ID}; by default from the payee to the payer."""
    body = {"bulkTransferState": "COMPLETED", "individualTransferResults": list(results)}
    return _answer(bulk, "fulfil", body, source, destination)


def error(bulk: BulkTerms, code: str, *, source: str | None = None, destination: str | None = "") -> Said:
    """PUT /bulkTransfers/{ID}/error."""
    body = {"errorInformation": {"errorCode": code, "errorDescription": "the payee's words"}}
    return _answer(bulk, "abort", body, source, destination)


def _answer(bulk: BulkTerms, action: str, body: dict[str, Any], source: str | None, destination: str | None) -> Said:
    to = bulk.payer if destination == "" else destination
    sender = source or bulk.payee
    line = {
        "kind": "bulk-fulfil",
        "id": bulk.bulk_id,
        "action": action,
        "source": sender,
        "destination": to,
        "completed": None,
        "completed_ms": None,
        "hops": 0,
    }
    return Said("bulk-fulfil", to or sender, wire.encoded(line, body))


def get(bulk_id: str, source: str) -> Said:
    """GET /bulkTransfers/{ID}."""
    line = {"v": VERSION, "kind": "bulk-get", "id": bulk_id, "source": source, "trace": None, "hops": 0}
    return Said("bulk-fulfil", source, encode(line))
