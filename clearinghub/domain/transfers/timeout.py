"""Timeout: what happens to a transfer whose time is up (protocol 3.8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection
from clearinghub.domain.transfers.transfer import TRANSFER_KIND, State, Step, Transfer

_EXPIRED: Final = ErrorInformation.of(Rejection(ErrorCode.TRANSFER_EXPIRED))


@dataclass(frozen=True, slots=True)
class Expired:
    """Store; tell the payer `transfer.error`. `was_reserved`: release its position, and tell the payee too."""

    transfer: Transfer
    was_reserved: bool


@dataclass(frozen=True, slots=True)
class NotDue:
    """Nothing to do: not yet, no longer, or never."""


TimeoutOutcome: TypeAlias = Expired | NotDue


def decide_timeout(stored: Transfer | None, now_ms: int) -> TimeoutOutcome:
    """What the punctuator's reminder leads to. A transfer whose fulfil is accepted is never timed out."""
    if stored is None or stored.kind != TRANSFER_KIND or stored.expires_at_ms >= now_ms:
        return NotDue()
    if stored.state is State.RECEIVED_PREPARE:
        return Expired(stored.step(Step.EXPIRE, now_ms)._replace(error=_EXPIRED), was_reserved=False)
    if stored.state is State.RESERVED:
        unwound = stored.step(Step.EXPIRE, now_ms).step(Step.UNWIND, now_ms)
        return Expired(unwound._replace(error=_EXPIRED), was_reserved=True)
    return NotDue()
