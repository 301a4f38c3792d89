r"""The records on Kafka: one line of JSON that the hub needs, then the bytes that it only passes on.

A value is `<JSON object>\n<original body>`. The first line is small and parsed by every reader; the body is what the
sender wrote, forwarded untouched, so that its signature stays valid (protocol 1.7). The JSON encoder never writes a raw
newline, hence the first one ends the line. Every line carries `v`, the version of its shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NotRequired, TypedDict, cast

import msgspec
import orjson

from clearinghub.messages.codec import VERSION, MalformedMessageError, Message, encode, split
from clearinghub.messages.commands import CommandMessage, ReplyMessage
from clearinghub.messages.transfers import TimeoutMessage

__all__ = [
    "VERSION",
    "AnyMessage",
    "CommandMessage",
    "MalformedMessageError",
    "Message",
    "ReplyMessage",
    "TimeoutMessage",
    "decode",
    "encode",
    "split",
]


class PrepareMessage(TypedDict):
    """POST /transfers as the ingress accepted it, on topic `prepare`, keyed by the payer."""

    v: int
    kind: str  # "prepare"
    id: str
    source: str  # FSPIOP-Source
    payer: str
    payee: str
    amount: int  # 1/10,000 of the unit
    currency: str
    condition: str
    expires_at_ms: int
    hash: str
    extensions: Any
    headers: dict[str, str]  # lower-case names, as they came
    trace: str | None


class FulfilMessage(TypedDict):
    """PUT /transfers/{id} or its /error, on topic `fulfil`, keyed by FSPIOP-Destination (else by the source)."""

    v: int
    kind: str  # "fulfil"
    id: str
    action: str  # "commit" | "reserve" | "reject" | "abort"
    source: str
    destination: str | None
    fulfilment: str | None
    completed: str | None  # completedTimestamp as it came
    error_code: str | None
    error_description: str | None
    hash: str
    extensions: Any
    headers: dict[str, str]
    trace: str | None
    hops: int  # partitions of the ring already asked; 0 from the ingress


class GetMessage(TypedDict):
    """GET /transfers/{id}, on topic `lookup`, keyed by the requester; walks the ring (design 3)."""

    v: int
    kind: str  # "get"
    id: str
    source: str
    headers: dict[str, str]
    trace: str | None
    hops: int


class AgreementMessage(TypedDict):
    """What DFSPs say to each other before a transfer, on topic `agreement`, keyed by the id of what it is about.

    /quotes, /bulkQuotes, /transactionRequests, /transactions and /authorizations; fields that a message does not have
    are None or empty (domain/agreement.py says which the hub looks at).
    """

    v: int
    kind: str  # "agreement"
    resource: str  # "quotes", ...
    action: str  # "ask" (POST) | "look" (GET) | "answer" (PUT) | "fail" (PUT .../error)
    id: str
    source: str
    destination: str
    path: str  # the service path, with the query if there is one
    currency: str | None
    supported_currencies: list[str]
    payer_fsp: str | None
    payee_fsp: str | None
    expires_at_ms: int | None
    hash: str | None
    headers: dict[str, str]
    trace: str | None


class CreditMessage(TypedDict):
    """A movement of one account that cannot be refused, on topic `credit`, keyed by the participant.

    One that belongs to a settlement window is counted in it: against `counterparty` alone where nets are kept by pairs.
    With `settles_into` it is settled at once, into the participant's account of that type.
    """

    v: int
    kind: str  # "credit"
    id: str  # the transfer that caused it
    participant: str
    currency: str
    account_type: str
    change: int  # signed, 1/10,000 of the unit
    entry: str  # ledger entry type: "PRINCIPLE_VALUE", "RECORD_FUNDS_IN", ...
    window: int | None
    trace: str | None
    counterparty: NotRequired[str]
    settles_into: NotRequired[str]


class FailureMessage(TypedDict):
    """Whom the hub tells by PUT .../error, as itself, when a callback finds no endpoint, no answer or a refusal."""

    receiver: str
    endpoint: str  # the receiver's endpoint type for errors
    path: str  # e.g. "/quotes/{id}/error"
    variables: Mapping[str, str]
    no_endpoint_only: NotRequired[bool]  # True: silence about an attempt that may have arrived after all


class NotificationMessage(TypedDict):
    """One callback to deliver, on topic `notification`, keyed by the receiver; the body follows the line.

    `source` is the FSPIOP-Source of the callback. When it is the hub, headers are built anew; otherwise the original
    ones in `headers` are forwarded (protocol 1.7). `endpoint` is the receiver's endpoint type, whose URL template is
    rendered with `variables`. `path` is the service path of this hop (FSPIOP-URI).
    """

    v: int
    kind: str  # "notification"
    notification_id: str
    id: str  # the transfer or whatever it is about, for order and logs
    receiver: str
    source: str
    method: str  # "GET", "POST", "PUT", "PATCH" or "DELETE"
    resource: str  # "transfers", "parties", ...
    endpoint: str  # e.g. "FSPIOP_CALLBACK_URL_TRANSFER_PUT"
    path: str
    variables: Mapping[str, str]
    headers: Mapping[str, str]
    trace: str | None
    failure: NotRequired[FailureMessage]
    deliver_by_ms: NotRequired[int]  # worthless from then on: no attempt begins, no dead letter keeps it (ADR 12)


# All messages that are structs; `kind` tells them apart.
AnyMessage = CommandMessage | ReplyMessage | TimeoutMessage
_DECODER: Final = msgspec.json.Decoder(AnyMessage)


def decode(value: bytes) -> tuple[AnyMessage, bytes]:
    """Return a record's message and its body.

    Raises:
        MalformedMessageError: the header is missing, is no known message, or is of another version.
    """
    header, body = split(value)
    try:
        message = _DECODER.decode(header)
    except msgspec.MsgspecError as error:
        raise MalformedMessageError(str(error)) from error
    if message.v != VERSION:
        raise MalformedMessageError(f"version {message.v!r}")
    return message, body


def decode_fields(value: bytes) -> tuple[dict[str, Any], bytes]:
    """Split a record's value into its line and its body.

    Raises:
        MalformedMessageError: no line, or it is no JSON object of this version.
    """
    line, separator, body = value.partition(b"\n")
    if not separator:
        raise MalformedMessageError("no line end")
    try:
        parsed = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise MalformedMessageError(str(error)) from error
    if not isinstance(parsed, dict):
        raise MalformedMessageError("not an object")
    if parsed.get("v") != VERSION:
        raise MalformedMessageError(f"version {parsed.get('v')!r}")
    return cast("dict[str, Any]", parsed), body
