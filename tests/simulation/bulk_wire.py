"""The records that the ingress writes for the DFSPs' requests about bulks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from clearinghub.messages import VERSION, encode
from tests.simulation import wire
from tests.simulation.wire import InputRecord, Terms


@dataclass(frozen=True, slots=True)
class BulkTerms:
    """The terms of a bulk; its items have the same payer, payee and expiry."""

    bulk_id: str
    payer: str
    payee: str
    expires_at_ms: int
    items: tuple[Terms, ...]


def prepare(
    bulk: BulkTerms,
    *,
    source: str | None = None,
    destination: str | None = None,
    without_condition: frozenset[str] = frozenset(),
) -> InputRecord:
    """POST /bulkTransfers; the items of `without_condition` have an invalid condition."""
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
            for one in bulk.items
        ],
        "expiration": str(bulk.expires_at_ms),
    }
    header = {
        "kind": "bulk-prepare",
        "id": bulk.bulk_id,
        "source": source or bulk.payer,
        "destination": destination,
        "payer": bulk.payer,
        "payee": bulk.payee,
        "expires_at_ms": bulk.expires_at_ms,
        "amounts": [one.amount for one in bulk.items],
        "hashes": [_hash(one) for one in bulk.items],
    }
    return InputRecord("bulk-prepare", bulk.payer, wire.encoded(header, body))


def _hash(one: Terms) -> str:
    """The hash that POST /transfers would have for this item."""
    header: dict[str, Any] = orjson.loads(wire.prepare(one).value.partition(b"\n")[0])
    hashed: str = header["hash"]
    return hashed


def fulfilled(one: Terms) -> dict[str, Any]:
    """The result of an item that is paid."""
    return {"transferId": one.transfer_id, "fulfilment": one.fulfilment}


def failed(one: Terms, code: str = "5104") -> dict[str, Any]:
    """The result of an item that is not paid."""
    return {"transferId": one.transfer_id, "errorInformation": {"errorCode": code, "errorDescription": "no"}}


def fulfil(
    bulk: BulkTerms,
    results: Iterable[dict[str, Any]],
    *,
    source: str | None = None,
    destination: str | None = "",
) -> InputRecord:
    """PUT /bulkTransfers/{ID}; by default from the payee to the payer."""
    body = {"bulkTransferState": "COMPLETED", "individualTransferResults": list(results)}
    return _answer(bulk, "fulfil", body, source, destination)


def error(bulk: BulkTerms, code: str, *, source: str | None = None, destination: str | None = "") -> InputRecord:
    body = {"errorInformation": {"errorCode": code, "errorDescription": "the payee's words"}}
    return _answer(bulk, "abort", body, source, destination)


def _answer(
    bulk: BulkTerms, action: str, body: dict[str, Any], source: str | None, destination: str | None
) -> InputRecord:
    to = bulk.payer if destination == "" else destination
    sender = source or bulk.payee
    header = {
        "kind": "bulk-fulfil",
        "id": bulk.bulk_id,
        "action": action,
        "source": sender,
        "destination": to,
        "completed": None,
        "completed_ms": None,
        "hops": 0,
    }
    return InputRecord("bulk-fulfil", to or sender, wire.encoded(header, body))


def get(bulk_id: str, source: str) -> InputRecord:
    header = {"v": VERSION, "kind": "bulk-get", "id": bulk_id, "source": source, "trace": None, "hops": 0}
    return InputRecord("bulk-fulfil", source, encode(header))
