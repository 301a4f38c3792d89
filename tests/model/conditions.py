"""Conditions and the secrets that fulfil them, by the interledger's rule alone."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode


def decoded(text: str | None) -> bytes | None:
    """The bytes of a base64url text without padding; None if it is none."""
    try:
        return urlsafe_b64decode((text or "") + "=")
    except ValueError:
        return None


def is_hash(text: str) -> bool:
    """Whether that can be a condition."""
    hashed = decoded(text)
    return hashed is not None and len(hashed) == hashlib.sha256().digest_size


def fulfils(fulfilment: str | None, condition: bytes | None) -> bool:
    """Whether that is the secret."""
    secret = decoded(fulfilment)
    return secret is not None and hashlib.sha256(secret).digest() == condition
