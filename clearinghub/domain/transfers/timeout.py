"""Timeout: what happens to a transfer that has expired (protocol 3.8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from msgspec.structs import replace

from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection
from clearinghub.domain.transfers.transfer import TRANSFER_KIND, State, Step, Transfer

_EXPIRED: Final = ErrorInformation.of(Rejection(ErrorCode.TRANSFER_EXPIRED))


@dataclass(frozen=True, slots=True)
class Expired:
    """Store the transfer and send the payer `transfer.error`.

    `was_reserved`: also release the payer's position, and send the payee the error too.
    """

    transfer: Transfer
    was_reserved: bool


@dataclass(frozen=True, slots=True)
class NotDue:
    """Nothing to do: the transfer has not expired, has ended, or cannot expire."""


TimeoutOutcome: TypeAlias = Expired | NotDue


def decide_timeout(stored: Transfer | None, now_ms: int) -> TimeoutOutcome:
    """Return what a reminder (topic `timeout`) leads to. A transfer whose fulfil was accepted never expires."""
    if stored is None or stored.kind != TRANSFER_KIND or stored.expires_at_ms >= now_ms:
        return NotDue()
    if stored.state is State.RECEIVED_PREPARE:
        return Expired(replace(stored.step(Step.EXPIRE, now_ms), error=_EXPIRED), was_reserved=False)
    if stored.state is State.RESERVED:
        unwound = stored.step(Step.EXPIRE, now_ms).step(Step.UNWIND, now_ms)
        return Expired(replace(unwound, error=_EXPIRED), was_reserved=True)
    return NotDue()
