"""One attempt at one callback: the request to send, what its answer means, and when to try again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import structlog

from clearinghub.callbacks.headers import UnsafeHeader, outbound_headers
from clearinghub.callbacks.http_client import DestinationError, FailureKind, Transport
from clearinghub.callbacks.notification import Notification
from clearinghub.config import Settings
from clearinghub.domain.participants.endpoints import Unrenderable, render_url
from clearinghub.messages import NotificationMessage
from clearinghub.ports import Participants
from clearinghub.security.signature import HEADER as SIGNATURE_HEADER
from clearinghub.security.signature import Signer

ATTEMPT_MS_MIN: Final = 1_000
"""The shortest time limit of an attempt, even just before the callback's end: less would fail a healthy receiver."""

_DOUBLINGS_MAX: Final = 32  # every limit is reached after fewer; keeps the shifted number small

_log = structlog.get_logger()


class ReasonCode(StrEnum):
    """Why a callback was given up, as the dead letter, the log and the metrics have it."""

    UNKNOWN_RECEIVER = "unknown-receiver"  # no such participant
    NO_ENDPOINT = "no-endpoint"  # the participant has registered no URL of the type
    BAD_ENDPOINT = "bad-endpoint"  # the registered template cannot be rendered, or leads to where the hub may not send
    UNSAFE_HEADER = "unsafe-header"  # a header that could end the request early, e.g. by a newline
    REFUSED = "refused"  # the receiver answered; a repetition would get the same answer
    RETRIES_EXHAUSTED = "retries-exhausted"
    UNTRUSTED = "untrusted"  # likewise; at the last attempt the server could not show that it is the receiver's
    RECEIVER_DOWN = "receiver-down"  # the breaker is open, and the callback is worthless later
    WAITED_TOO_LONG = "waited-too-long"  # longer than callback_wait_ms_max, or until it was worthless
    RECEIVER_OVERLOADED = "receiver-overloaded"  # more callbacks wait for it than the hub holds for one receiver
    INTERNAL_ERROR = "internal-error"  # a bug of the hub


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a callback was given up, with the HTTP status of the last answer, if any, and the number of attempts."""

    code: ReasonCode
    detail: str = ""
    status: int | None = None
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """The URL and the headers of a callback's request; its body is the notification's."""

    url: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver answered with a 2xx status (protocol 1.7)."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The receiver could not process the request now: `status` is its answer's, or None if there was no answer.

    `kind` says why there was none, or is `answered`.
    """

    status: int | None
    detail: str = ""
    kind: str = "answered"

    @property
    def reason(self) -> ReasonCode:
        """Why the callback is given up if this was the last attempt."""
        return ReasonCode.UNTRUSTED if self.kind == FailureKind.UNTRUSTED else ReasonCode.RETRIES_EXHAUSTED


Outcome = Delivered | Failed | Reason
"""The end of an attempt; a `Reason` if no further attempt can end better."""

DELIVERED: Final = Delivered()


class CallbackSender:
    """Sends callbacks over a transport, to the current endpoints of the participants. Never raises."""

    def __init__(
        self,
        settings: Settings,
        participants: Participants,
        transport: Transport,
        clock: Callable[[], int],
        signer: Signer | None = None,
    ) -> None:
        """Keep what all attempts share.

        Args:
            settings: the hub's name and the content version of each resource.
            participants: the participants with their endpoints.
            transport: sends one request.
            clock: returns milliseconds since 1970, for the Date header.
            signer: signs the hub's own callbacks; None to send them unsigned.
        """
        self._hub_name = settings.hub_name
        self._content_version = settings.content_version_default_of
        self._participants = participants
        self._transport = transport
        self._clock = clock
        self._signer = signer

    def prepare(self, notification: Notification) -> CallbackRequest | Reason:
        """Return the request of this attempt, or why there can be none."""
        try:
            return build_request(
                notification,
                self._participants,
                hub_name=self._hub_name,
                content_version=self._content_version(notification.message.resource),
                now_ms=self._clock(),
                signer=self._signer,
            )
        except Exception as error:  # noqa: BLE001 - a bug must cost one callback, not the worker of its receiver
            return _bug(notification.message, error)

    async def send(self, notification: Notification, request: CallbackRequest) -> Outcome:
        """Send the request and return what its answer means."""
        message = notification.message
        try:
            async with asyncio.timeout(self._time_left_s(message)):
                status = await self._transport.send(
                    message.method, request.url, request.headers, notification.body, message.receiver
                )
        except DestinationError as error:
            if error.kind is FailureKind.FORBIDDEN:
                return Reason(ReasonCode.BAD_ENDPOINT, str(error))
            return Failed(None, str(error), error.kind)
        except TimeoutError:
            return Failed(None, "timeout: no answer while it was worth anything", FailureKind.TIMEOUT)
        except Exception as error:  # noqa: BLE001 - as above
            return _bug(message, error)
        if 200 <= status < 300:  # noqa: PLR2004 - HTTP's own numbers
            return DELIVERED
        if is_worth_repeating(status):
            return Failed(status)
        return Reason(ReasonCode.REFUSED, status=status)

    def _time_left_s(self, message: NotificationMessage) -> float | None:
        """Return the seconds until the callback is worthless, or None if that never comes.

        The transport has a time limit of its own.
        """
        if message.deliver_by_ms is None:
            return None
        return max(message.deliver_by_ms - self._clock(), ATTEMPT_MS_MIN) / 1000


def build_request(
    notification: Notification,
    participants: Participants,
    *,
    hub_name: str,
    content_version: str,
    now_ms: int,
    signer: Signer | None = None,
) -> CallbackRequest | Reason:
    """Return the request that delivers a notification, or why there can be none.

    The endpoint is looked up at every attempt, so a DFSP that moves gets its waiting callbacks at the new URL. An
    inactive participant gets its callbacks too, because its open transfers must end.

    The hub signs its own callbacks, anew at every attempt since the signature covers the date. A forwarded message
    keeps its sender's signature, or has none: the hub vouches for nobody else (protocol 10.1).
    """
    message = notification.message
    participant = participants.get(message.receiver)
    if participant is None:
        return Reason(ReasonCode.UNKNOWN_RECEIVER)
    template = participant.endpoints.get(message.endpoint)
    if template is None:
        return Reason(ReasonCode.NO_ENDPOINT, message.endpoint)
    url = render_url(message.endpoint, template, message.variables, message.path)
    if isinstance(url, Unrenderable):
        return Reason(ReasonCode.BAD_ENDPOINT, url.detail)
    headers = outbound_headers(message, hub_name=hub_name, content_version=content_version, now_ms=now_ms)
    if isinstance(headers, UnsafeHeader):
        return Reason(ReasonCode.UNSAFE_HEADER, headers.name)
    if signer is not None and message.source == hub_name:
        headers[SIGNATURE_HEADER] = signer.sign(headers, notification.body)
    return CallbackRequest(url, headers)


def backoff_ms(attempts: int, *, first_ms: int, longest_ms: int, random: Callable[[], float]) -> int:
    """Return the milliseconds to wait after the failed attempt number `attempts` (from 1).

    The limit doubles with each attempt from `first_ms` to `longest_ms`; the wait is evenly distributed below the limit,
    so that waiting callbacks do not all come back at once. `random` returns a number in [0, 1).
    """
    limit_ms = min(longest_ms, first_ms << min(attempts - 1, _DOUBLINGS_MAX))
    return int(random() * (limit_ms + 1))


def is_worth_repeating(status: int) -> bool:
    """Return whether the answer may be another one later: 5xx, 408 Request Timeout, 429 Too Many Requests."""
    return status >= 500 or status in {408, 429}  # noqa: PLR2004 - HTTP's own numbers, RFC 9110 and 6585


def _bug(message: NotificationMessage, error: Exception) -> Reason:
    _log.exception("callback-bug", notification_id=message.notification_id, exc_info=error)
    return Reason(ReasonCode.INTERNAL_ERROR, repr(error))
