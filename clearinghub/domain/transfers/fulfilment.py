"""The lock on a transfer: a condition, and the fulfilment whose SHA-256 it is (protocol 10.2)."""

from __future__ import annotations

import hashlib
import re
from binascii import a2b_base64
from typing import Final

# 43 characters carry 32 bytes and two spare bits. Like the reference, either alphabet and a padding sign are read; what
# a DFSP may send is narrower and judged by the schema at the edge.
_ENCODED_32_BYTES: Final = re.compile(r"[A-Za-z0-9_+/-]{43}=?")


def is_condition(text: str) -> bool:
    """True when the text decodes to the 32 bytes of a SHA-256."""
    return _decode(text) is not None


def fulfils(condition: str, fulfilment: str | None) -> bool:
    """True when the fulfilment is 32 bytes whose SHA-256 is the condition. Compares bytes, never texts."""
    preimage = None if fulfilment is None else _decode(fulfilment)
    return preimage is not None and hashlib.sha256(preimage).digest() == _decode(condition)


def _decode(text: str) -> bytes | None:
    if _ENCODED_32_BYTES.fullmatch(text) is None:
        return None
    return a2b_base64(text.replace("-", "+").replace("_", "/").rstrip("=") + "=")
