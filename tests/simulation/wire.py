"""What DFSPs and operators say to the hub: the records that the ingress would make of it."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Any, Final

import orjson
from aiokafka.partitioner import murmur2

from clearinghub.messages import VERSION, encode

CURRENCY: Final = "USD"
HUB: Final = "Hub"
_HEADERS: Final = {"content-type": "application/vnd.interoperability.transfers+json;version=1.1"}


@dataclass(frozen=True, slots=True)
class Said:
    """A record for one of the hub's input topics."""

    topic: str
    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Terms:
    """What a payer asks for."""

    transfer_id: str
    payer: str
    payee: str
    amount: int
    expires_at_ms: int

    @property
    def fulfilment(self) -> str:
        """The secret; a simulation needs none that is safe."""
        return _base64(hashlib.sha256(self.transfer_id.encode()).digest())

    @property
    def condition(self) -> str:
        return _base64(hashlib.sha256(hashlib.sha256(self.transfer_id.encode()).digest()).digest())


def partition_of(key: str, partitions: int) -> int:
    """Where the ingress writes a record of that key, by Kafka's default partitioner."""
    return int(murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def encoded(line: dict[str, Any], body: dict[str, Any]) -> bytes:
    """A message with what all have in common, and its body."""
    raw = orjson.dumps(body)
    return encode({"v": VERSION, "trace": None, **line, "hash": hashlib.sha256(raw).hexdigest()}, raw)


def prepare(terms: Terms, *, source: str | None = None, note: int = 0, condition: str | None = None) -> Said:
    """POST /transfers; another `note` is another body."""
    line = {
        "kind": "prepare",
        "id": terms.transfer_id,
        "source": source or terms.payer,
        "payer": terms.payer,
        "payee": terms.payee,
        "amount": terms.amount,
        "currency": CURRENCY,
        "condition": terms.condition if condition is None else condition,
        "expires_at_ms": terms.expires_at_ms,
        "extensions": None,
        "headers": _HEADERS,
    }
    body = {name: line[name] for name in ("id", "payer", "payee", "amount", "condition", "expires_at_ms")}
    return Said("prepare", terms.payer, encoded(line, {**body, "note": note}))


def fulfil(
    terms: Terms,
    action: str,
    *,
    source: str | None = None,
    destination: str | None = "",
    fulfilment: str | None = None,
    note: int = 0,
) -> Said:
    """PUT /transfers/{ID} or its /error; by default from the payee to the payer, with the right fulfilment."""
    to = terms.payer if destination == "" else destination
    sender = source or terms.payee
    pays = action in ("commit", "reserve")
    secret = (terms.fulfilment if fulfilment is None else fulfilment) if pays else None
    error = {"errorCode": "5104", "errorDescription": "the payee's words"} if action == "abort" else None
    line = {
        "kind": "fulfil",
        "id": terms.transfer_id,
        "action": action,
        "source": sender,
        "destination": to,
        "fulfilment": secret,
        "completed": None,
        "error_code": None if error is None else error["errorCode"],
        "error_description": None if error is None else error["errorDescription"],
        "extensions": None,
        "headers": _HEADERS,
        "hops": 0,
    }
    body: dict[str, Any] = {"state": action, "fulfilment": secret, "note": note}
    if error is not None:
        body["errorInformation"] = error
    return Said("fulfil", to or sender, encoded(line, body))


def get(transfer_id: str, source: str) -> Said:
    """GET /transfers/{ID}."""
    line = {"v": VERSION, "kind": "get", "id": transfer_id, "source": source, "headers": {}, "trace": None, "hops": 0}
    return Said("lookup", source, encode(line))


def command(name: str, participant: str, correlation_id: str, args: dict[str, Any]) -> Said:
    """An admin command."""
    line = {
        "v": VERSION,
        "kind": "command",
        "participant": participant,
        "correlation_id": correlation_id,
        "reply_to": "ingress",
        "command": {"name": name, **args},
        "trace": None,
    }
    return Said("command", participant, encode(line))
