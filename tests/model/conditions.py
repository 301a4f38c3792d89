"""Conditions and fulfilments by the Interledger rule: a condition is the SHA-256 hash of its fulfilment."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode


def decoded(text: str | None) -> bytes | None:
    """Return the bytes of a base64url text without padding, or None for any other text."""
    try:
        return urlsafe_b64decode((text or "") + "=")
    except ValueError:
        return None


def is_hash(text: str) -> bool:
    """Whether the text has the form of a condition."""
    hashed = decoded(text)
    return hashed is not None and len(hashed) == hashlib.sha256().digest_size


def fulfils(fulfilment: str | None, condition: bytes | None) -> bool:
    """Whether the fulfilment is the secret of the condition."""
    secret = decoded(fulfilment)
    return secret is not None and hashlib.sha256(secret).digest() == condition
