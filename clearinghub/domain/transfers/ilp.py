"""ILP in a transfer: its condition, the fulfilment that unlocks it, and what its packet says (protocol 10.2)."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import urlsafe_b64decode
from binascii import a2b_base64
from typing import Final

# 43 characters hold 32 bytes and two spare bits. As in the reference, both base64 alphabets and a padding sign are
# read; the schema at the edge allows a DFSP less.
_ENCODED_32_BYTES: Final = re.compile(r"[A-Za-z0-9_+/-]{43}=?")

# Two kinds of packet are read: the ILPv1 payment (amount, address, data) and the ILPv4 prepare (amount, expiry,
# condition, address, data). What comes before the address has a fixed length.
PAYMENT_TYPE: Final = 1
PREPARE_TYPE: Final = 12
PAYMENT_FIXED_BYTES: Final = 8  # the amount
PREPARE_FIXED_BYTES: Final = 8 + 17 + 32  # amount, expiry, condition
LONG_LENGTH: Final = 0x80
LENGTH_BYTES_MAX: Final = 4


def is_condition(text: str) -> bool:
    """Return whether the text decodes to the 32 bytes of a SHA-256."""
    return _decode_32_bytes(text) is not None


def fulfils(condition: str, fulfilment: str | None) -> bool:
    """Return whether the fulfilment is 32 bytes whose SHA-256 is the condition; bytes are compared, never texts."""
    preimage = None if fulfilment is None else _decode_32_bytes(fulfilment)
    return preimage is not None and hashlib.sha256(preimage).digest() == _decode_32_bytes(condition)


def transaction_of(packet: str) -> dict[str, object] | None:
    """Return the Transaction object in a packet's base64url text, or None if there is none that can be read.

    The hub decides nothing by it but the interchange fee; operators are shown it on request.
    """
    raw = _decode_base64url(packet.encode(errors="replace"))
    if not raw or raw[0] not in (PAYMENT_TYPE, PREPARE_TYPE):
        return None
    fixed_bytes = PAYMENT_FIXED_BYTES if raw[0] == PAYMENT_TYPE else PREPARE_FIXED_BYTES
    content, _rest = _split_octets(raw[1:])
    _address, rest = _split_octets((content or b"")[fixed_bytes:])
    data, _extensions = _split_octets(rest)
    text = None if data is None else _decode_base64url(data)
    try:
        transaction = None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None
    return transaction if isinstance(transaction, dict) else None


def _decode_32_bytes(text: str) -> bytes | None:
    if _ENCODED_32_BYTES.fullmatch(text) is None:
        return None
    return a2b_base64(text.replace("-", "+").replace("_", "/").rstrip("=") + "=")


def _decode_base64url(text: bytes) -> bytes | None:
    """Return the bytes of base64url text, padded or not; None for any other text."""
    bare = text.rstrip(b"=")
    try:
        return urlsafe_b64decode(bare + b"=" * (-len(bare) % 4))
    except ValueError:
        return None


def _split_octets(data: bytes) -> tuple[bytes | None, bytes]:
    """Split off the length-prefixed octet string at the front (X.696, OER): None if it is cut short, and the rest."""
    if not data:
        return None, b""
    size = data[0] & ~LONG_LENGTH if data[0] & LONG_LENGTH else 0
    if size > LENGTH_BYTES_MAX:
        return None, b""
    length = int.from_bytes(data[1 : 1 + size], "big") if size else data[0]
    end = 1 + size + length
    return (data[1 + size : end], data[end:]) if len(data) >= end else (None, b"")
