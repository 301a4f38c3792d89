"""The records that the ingress writes for requests of DFSPs and operators."""

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
class InputRecord:
    """A record for one of the hub's input topics."""

    topic: str
    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a transfer. `amount` is in units of the currency, as in the hub."""

    transfer_id: str
    payer: str
    payee: str
    amount: int
    expires_at_ms: int

    @property
    def fulfilment(self) -> str:
        """The fulfilment, which anybody could compute: a simulation needs no secret."""
        return _base64(hashlib.sha256(self.transfer_id.encode()).digest())

    @property
    def condition(self) -> str:
        return _base64(hashlib.sha256(hashlib.sha256(self.transfer_id.encode()).digest()).digest())


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key, by Kafka's default partitioner."""
    return int(murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def encoded(header: dict[str, Any], body: dict[str, Any]) -> bytes:
    """Return the message with its body, the version and the hash."""
    raw = orjson.dumps(body)
    return encode({"v": VERSION, "trace": None, **header, "hash": hashlib.sha256(raw).hexdigest()}, raw)


def prepare(terms: Terms, *, source: str | None = None, note: int = 0, condition: str | None = None) -> InputRecord:
    """POST /transfers; another `note` is another body."""
    header = {
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
    body = {name: header[name] for name in ("id", "payer", "payee", "amount", "condition", "expires_at_ms")}
    return InputRecord("prepare", terms.payer, encoded(header, {**body, "note": note}))


def fulfil(
    terms: Terms,
    action: str,
    *,
    source: str | None = None,
    destination: str | None = "",
    fulfilment: str | None = None,
    note: int = 0,
) -> InputRecord:
    """PUT /transfers/{ID} or its /error; by default from the payee to the payer, with the right fulfilment."""
    to = terms.payer if destination == "" else destination
    sender = source or terms.payee
    pays = action in ("commit", "reserve")
    secret = (terms.fulfilment if fulfilment is None else fulfilment) if pays else None
    error = {"errorCode": "5104", "errorDescription": "the payee's words"} if action == "abort" else None
    header = {
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
    return InputRecord("fulfil", to or sender, encoded(header, body))


def get(transfer_id: str, source: str) -> InputRecord:
    header = {"v": VERSION, "kind": "get", "id": transfer_id, "source": source, "headers": {}, "trace": None, "hops": 0}
    return InputRecord("lookup", source, encode(header))


def command(name: str, participant: str, correlation_id: str, args: dict[str, Any]) -> InputRecord:
    """Return the record of an operator's command, as the ingress writes it."""
    header = {
        "v": VERSION,
        "kind": "command",
        "participant": participant,
        "correlation_id": correlation_id,
        "reply_to": "ingress",
        "command": {"name": name, **args},
        "trace": None,
    }
    return InputRecord("command", participant, encode(header))
