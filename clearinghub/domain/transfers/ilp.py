"""What an ILP packet carries for the two parties: the Transaction, as JSON (protocol 10.2).

Two shapes are read: the ILPv1 payment (type 1: amount, address, data) and the ILPv4 prepare (type 12: amount, expiry,
condition, address, data). The hub never acts on what it finds here; it only shows it to operators who ask.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from typing import Any, Final

PAYMENT_TYPE: Final = 1
PREPARE_TYPE: Final = 12
PAYMENT_FIXED_BYTES: Final = 8  # the amount
PREPARE_FIXED_BYTES: Final = 8 + 17 + 32  # amount, expiry, condition
LONG_LENGTH: Final = 0x80
LENGTH_BYTES_MAX: Final = 4


def transaction_of(packet: str) -> dict[str, Any] | None:
    """The Transaction object in a packet's base64url text, or None where there is none to read."""
    raw = _decoded(packet.encode(errors="replace"))
    if raw is None or not raw or raw[0] not in (PAYMENT_TYPE, PREPARE_TYPE):
        return None
    fixed_bytes = PAYMENT_FIXED_BYTES if raw[0] == PAYMENT_TYPE else PREPARE_FIXED_BYTES
    content, _rest = _octets(raw[1:])
    _address, behind = _octets((content or b"")[fixed_bytes:])
    data, _extensions = _octets(behind)
    text = None if data is None else _decoded(data)
    try:
        transaction = None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None
    return transaction if isinstance(transaction, dict) else None


def _decoded(text: bytes) -> bytes | None:
    """The bytes of base64url text, padded or not; None if it is none."""
    bare = text.rstrip(b"=")
    try:
        return urlsafe_b64decode(bare + b"=" * (-len(bare) % 4))
    except ValueError:
        return None


def _octets(data: bytes) -> tuple[bytes | None, bytes]:
    """The length-prefixed octet string at the front (X.696, OER), None if it is cut short; and what follows it."""
    if not data:
        return None, b""
    size = data[0] & ~LONG_LENGTH if data[0] & LONG_LENGTH else 0
    if size > LENGTH_BYTES_MAX:
        return None, b""
    length = int.from_bytes(data[1 : 1 + size], "big") if size else data[0]
    end = 1 + size + length
    return (data[1 + size : end], data[end:]) if len(data) >= end else (None, b"")
