"""The records of bulk transfers on Kafka, in the form that clearinghub/messages/__init__.py describes."""

from __future__ import annotations

from typing import TypedDict


class BulkPrepareMessage(TypedDict):
    """POST /bulkTransfers as the ingress accepted it, on topic `bulk-prepare`, keyed by the payer.

    The body is the checked request alone, for most of it goes to the payee, in the hub's own words (protocol 8.1);
    `amounts` and `hashes` are those of its lines, in their order: a hash as POST /transfers of the line would have it.
    """

    v: int
    kind: str  # "bulk-prepare"
    id: str
    source: str
    destination: str | None
    payer: str
    payee: str
    expires_at_ms: int
    hash: str
    amounts: list[int]  # 1/10,000 of the unit
    hashes: list[str]
    trace: str | None


class BulkFulfilMessage(TypedDict):
    """PUT /bulkTransfers/{id} or its /error, on topic `bulk-fulfil`, keyed by FSPIOP-Destination (else by the source).

    The body is the checked request alone. It walks the ring on its own topic.
    """

    v: int
    kind: str  # "bulk-fulfil"
    id: str
    action: str  # "fulfil" | "abort"
    source: str
    destination: str | None
    completed: str | None  # completedTimestamp as it came
    completed_ms: int | None  # None also where it is not to be judged
    hash: str
    trace: str | None
    hops: int


class BulkGetMessage(TypedDict):
    """GET /bulkTransfers/{id}, on topic `bulk-fulfil`, keyed by the requester; walks the ring."""

    v: int
    kind: str  # "bulk-get"
    id: str
    source: str
    trace: str | None
    hops: int


class BulkTimeoutMessage(TypedDict):
    """A bulk that is due, on topic `bulk-fulfil`, on the payer's partition; written by the ledger's punctuator."""

    v: int
    kind: str  # "bulk-timeout"
    id: str
