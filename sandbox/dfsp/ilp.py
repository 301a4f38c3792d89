"""ILP version 1 as FSPIOP uses it (protocol 10.2): the packet, the fulfilment and the condition. Pure functions.

A packet is base64url text of: type 1, a length, then the amount as an unsigned 64-bit integer, the payee's ILP address,
the transaction data, and an empty extension. Only the payee's DFSP can compute the fulfilment, since only it knows its
secret; anybody can check the fulfilment against the condition that came with the quote.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from hmac import new as new_hmac
from typing import Final

PAYMENT_TYPE: Final = 1
AMOUNT_BYTES: Final = 8
SHORT_LENGTH_MAX: Final = 127  # a longer octet string begins with the length of its length (X.696, OER)
LONG_LENGTH: Final = 0x80
DIGEST_BYTES: Final = 32


class MalformedPacketError(ValueError):
    """A text is not an ILPv1 payment packet."""


@dataclass(frozen=True, slots=True)
class Payment:
    """The content of an ILPv1 payment packet.

    `amount` is in the smallest unit of the currency (cents for USD), `address` like `g.payeewallet.msisdn.4477009001`,
    `data` the base64url text of the Transaction's JSON, as bytes.
    """

    amount: int
    address: str
    data: bytes


def encode_packet(payment: Payment) -> str:
    """Return the packet as base64url text without padding."""
    content = payment.amount.to_bytes(AMOUNT_BYTES, "big")
    content += _octets(payment.address.encode("ascii")) + _octets(payment.data) + b"\x00"
    return encode_base64url(bytes([PAYMENT_TYPE]) + _octets(content))


def decode_packet(packet: str) -> Payment:
    """Return the payment that a packet holds.

    Raises:
        MalformedPacketError: not base64url, another type of packet, or cut short.
    """
    raw = decode_base64url(packet)
    if not raw or raw[0] != PAYMENT_TYPE:
        raise MalformedPacketError("not an ILPv1 payment")
    content, rest = _take_octets(raw[1:])
    if rest:
        raise MalformedPacketError("bytes after the packet")
    if len(content) < AMOUNT_BYTES:
        raise MalformedPacketError("no amount")
    address, remaining = _take_octets(content[AMOUNT_BYTES:])
    data, _extensions = _take_octets(remaining)
    try:
        return Payment(int.from_bytes(content[:AMOUNT_BYTES], "big"), address.decode("ascii"), data)
    except UnicodeDecodeError as error:
        raise MalformedPacketError("the address is not ASCII") from error


def fulfilment_of(packet: str, secret: bytes) -> str:
    """Return what the payee's DFSP releases to commit: HMAC-SHA256 of the packet's text, keyed by the base64 secret."""
    return encode_base64url(new_hmac(b64encode(secret), packet.encode(), sha256).digest())


def condition_of(fulfilment: str) -> str:
    """Return what the payer's DFSP locks the transfer with: SHA-256 of the fulfilment's bytes."""
    return encode_base64url(sha256(decode_base64url(fulfilment)).digest())


def is_fulfilled(condition: str, fulfilment: str) -> bool:
    """Return whether the fulfilment is 32 bytes whose SHA-256 is the condition."""
    try:
        preimage = decode_base64url(fulfilment)
        return len(preimage) == DIGEST_BYTES and sha256(preimage).digest() == decode_base64url(condition)
    except MalformedPacketError:
        return False


def encode_base64url(data: bytes) -> str:
    """Return base64url text without padding (RFC 4648, section 5)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode_base64url(text: str) -> bytes:
    """Return the bytes of base64url text, with padding or without.

    Raises:
        MalformedPacketError: characters or a length that base64url does not have.
    """
    bare = text.rstrip("=")
    try:
        return b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedPacketError("not base64url") from error


def _octets(data: bytes) -> bytes:
    """Return an octet string with its length before it (X.696, OER)."""
    if len(data) <= SHORT_LENGTH_MAX:
        return bytes([len(data)]) + data
    size = (len(data).bit_length() + 7) // 8
    return bytes([LONG_LENGTH | size]) + len(data).to_bytes(size, "big") + data


def _take_octets(data: bytes) -> tuple[bytes, bytes]:
    """Return the first octet string of `data` and the bytes after it."""
    if not data:
        raise MalformedPacketError("cut short")
    size = data[0] & ~LONG_LENGTH if data[0] & LONG_LENGTH else 0
    length = int.from_bytes(data[1 : 1 + size], "big") if size else data[0]
    start = 1 + size
    if len(data) < start + length:
        raise MalformedPacketError("cut short")
    return data[start : start + length], data[start + length :]
