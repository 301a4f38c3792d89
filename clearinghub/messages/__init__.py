r"""The records on Kafka: one line of JSON that the hub needs, then the bytes that it only passes on.

A value is `<JSON object>\n<original body>`. The first line is small and parsed by every reader; the body is what the
sender wrote, forwarded untouched, so that its signature stays valid (protocol 1.7). The JSON encoder never writes a raw
newline, hence the first one ends the line. Every line carries `v`, the version of its shape.
"""

from __future__ import annotations

from typing import Any, Final, NotRequired, TypeAlias, TypedDict, TypeVar, cast

import msgspec
import orjson

from clearinghub.messages.callbacks import DeadLetterMessage, FailureMessage, NotificationMessage
from clearinghub.messages.codec import VERSION, MalformedMessageError, Message, encode, split
from clearinghub.messages.parties import (
    OracleAnswerMessage,
    OracleMessage,
    PartyBatchMessage,
    PartyImportMessage,
    PartyMessage,
    PartyPartDoneMessage,
    PartyPartMessage,
)
from clearinghub.messages.quotes import AgreementMessage
from clearinghub.messages.transfers import TimeoutMessage

__all__ = [
    "VERSION",
    "AgreementMessage",
    "AnyMessage",
    "DeadLetterMessage",
    "FailureMessage",
    "MalformedMessageError",
    "Message",
    "NotificationMessage",
    "TimeoutMessage",
    "decode",
    "decode_as",
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


# All messages that are structs; `kind` tells them apart.
AnyMessage: TypeAlias = (
    TimeoutMessage
    | AgreementMessage
    | PartyMessage
    | PartyBatchMessage
    | PartyPartMessage
    | PartyPartDoneMessage
    | PartyImportMessage
    | OracleMessage
    | OracleAnswerMessage
    | NotificationMessage
    | DeadLetterMessage
)
OneMessage = TypeVar("OneMessage", bound=Message)
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


def decode_as(message_type: type[OneMessage], value: bytes) -> tuple[OneMessage, bytes]:
    """Return a record's message, which must be of one type, and its body.

    Raises:
        MalformedMessageError: as `decode`, or the message is of another type.
    """
    message, body = decode(value)
    if not isinstance(message, message_type):
        raise MalformedMessageError(f"not a {message_type.__name__}, but a {type(message).__name__}")
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
