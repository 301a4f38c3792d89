"""All messages of the hub's own topics, and `decode`, which returns the one that a record holds.

Each feature has a module with its messages; clearinghub/messages/codec.py says how a message becomes bytes.
"""

from __future__ import annotations

from typing import Final, TypeAlias, TypeVar

import msgspec

from clearinghub.messages.bulk import BulkMessage
from clearinghub.messages.callbacks import (
    DeadLetterMessage,
    FailureMessage,
    NotificationMessage,
    ParkedMessage,
    ParkedProgressMessage,
)
from clearinghub.messages.codec import VERSION, MalformedMessageError, Message, encode, split
from clearinghub.messages.commands import CommandMessage, ReplyMessage
from clearinghub.messages.parties import AnyPartyMessage
from clearinghub.messages.quotes import AgreementMessage
from clearinghub.messages.settlement import AnySettlementMessage
from clearinghub.messages.transfers import TransferMessage

__all__ = [
    "VERSION",
    "AgreementMessage",
    "AnyMessage",
    "DeadLetterMessage",
    "FailureMessage",
    "MalformedMessageError",
    "Message",
    "NotificationMessage",
    "ParkedMessage",
    "ParkedProgressMessage",
    "decode",
    "decode_as",
    "encode",
    "split",
]


# All messages that are structs; `kind` tells them apart.
AnyMessage: TypeAlias = (
    TransferMessage
    | BulkMessage
    | AgreementMessage
    | AnyPartyMessage
    | CommandMessage
    | AnySettlementMessage
    | ReplyMessage
    | NotificationMessage
    | ParkedMessage
    | ParkedProgressMessage
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
        raise MalformedMessageError(f"a {type(message).__name__}, not a {message_type.__name__}")
    return message, body
