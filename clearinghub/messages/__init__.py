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
from clearinghub.messages.codec import (
    VERSION,
    MalformedMessageError,
    Message,
    UnknownMessageError,
    encode,
    encode_changed,
    field_of,
    split,
)
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
    "UnknownMessageError",
    "decode",
    "decode_as",
    "encode",
    "encode_changed",
    "field_of",
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
KINDS: Final = frozenset(str(one.__struct_config__.tag) for one in AnyMessage.__args__)
_DECODER: Final = msgspec.json.Decoder(AnyMessage)


class _Kind(msgspec.Struct, frozen=True):
    """What a header of any release says of itself."""

    kind: str
    v: int


_KIND_DECODER: Final = msgspec.json.Decoder(_Kind)


def decode(value: bytes) -> tuple[AnyMessage, bytes]:
    """Return a record's message and its body.

    Raises:
        UnknownMessageError: the header is of a kind or version that only a later release knows.
        MalformedMessageError: the header is missing, or is no message.
    """
    header, body = split(value)
    try:
        message = _DECODER.decode(header)
    except msgspec.MsgspecError as error:
        raise _unreadable(header, error) from error
    if message.v != VERSION:
        raise UnknownMessageError(f"{message.__struct_config__.tag!r} of version {message.v}")
    return message, body


def _unreadable(header: bytes, error: msgspec.MsgspecError) -> MalformedMessageError:
    try:
        one = _KIND_DECODER.decode(header)
    except msgspec.MsgspecError:
        return MalformedMessageError(str(error))
    if one.kind in KINDS and one.v == VERSION:
        return MalformedMessageError(str(error))
    return UnknownMessageError(f"{one.kind!r} of version {one.v}")


def decode_as(message_type: type[OneMessage], value: bytes) -> tuple[OneMessage, bytes]:
    """Return a record's message, which must be of one type, and its body.

    Raises:
        MalformedMessageError: as `decode`, or the message is of another type.
    """
    message, body = decode(value)
    if not isinstance(message, message_type):
        raise MalformedMessageError(f"a {type(message).__name__}, not a {message_type.__name__}")
    return message, body
