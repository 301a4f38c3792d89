"""Why a callback was given up: what the dead letter, the log and the metrics say of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ReasonCode(StrEnum):
    """One member per way in which a callback ends undelivered."""

    UNKNOWN_RECEIVER = "unknown-receiver"  # no such participant
    NO_ENDPOINT = "no-endpoint"  # the participant registered no URL of the type
    BAD_ENDPOINT = "bad-endpoint"  # the registered template cannot be rendered
    UNSAFE_HEADER = "unsafe-header"  # a header that would break the request apart
    REFUSED = "refused"  # the receiver answered, and a repetition would be answered alike
    RETRIES_EXHAUSTED = "retries-exhausted"
    RECEIVER_DOWN = "receiver-down"  # its breaker is open, and this callback is worth nothing later
    WAITED_TOO_LONG = "waited-too-long"  # the receiver could not be reached, or not fast enough
    RECEIVER_OVERLOADED = "receiver-overloaded"  # more waits for it than the hub holds for one receiver
    INTERNAL_ERROR = "internal-error"  # a bug of the hub


@dataclass(frozen=True, slots=True)
class Reason:
    """A code, what is known beside it, the last answer's HTTP status if there was one, and the attempts made."""

    code: ReasonCode
    detail: str = ""
    status: int | None = None
    attempts: int = 0
