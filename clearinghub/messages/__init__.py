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

from clearinghub.messages.bulk import BulkMessage
from clearinghub.messages.codec import VERSION, MalformedMessageError, Message, encode, split
from clearinghub.messages.transfers import TransferMessage

__all__ = ["VERSION", "AnyMessage", "MalformedMessageError", "Message", "decode", "encode", "split"]


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


class CommandMessage(TypedDict):
    """An admin command, on topic `command`, keyed by the participant; `args` are named in agents/participants/."""

    v: int
    kind: str  # "command"
    name: str
    participant: str
    correlation_id: str
    reply_to: str  # instance id of the ingress that waits
    args: dict[str, Any]
    trace: str | None


class ReplyMessage(TypedDict):
    """A command's outcome, on topic `reply`, keyed by `reply_to`. `error` is None on success."""

    v: int
    kind: str  # "reply"
    correlation_id: str
    reply_to: str
    result: Any
    error: dict[str, Any] | None  # {"code": "3000", "description": "...", "status": 400}


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
AnyMessage = TransferMessage | BulkMessage
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
