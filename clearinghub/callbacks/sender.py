"""One attempt at one callback: what to send, and what the answer means."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from clearinghub.callbacks.http_client import DestinationError, Transport
from clearinghub.callbacks.notification import Notification
from clearinghub.callbacks.reason import Reason, ReasonCode
from clearinghub.callbacks.request import CallbackRequest, build_request
from clearinghub.callbacks.retry import is_worth_repeating
from clearinghub.config import Settings
from clearinghub.kafka.ports import Participants
from clearinghub.security.signature import Signer


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver took it: any 2xx (protocol 1.7)."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The receiver could not take it now: its status, or None and what went wrong."""

    status: int | None
    detail: str = ""


Outcome = Delivered | Failed | Reason
"""How an attempt ended; a `Reason` when no further one can end better."""

DELIVERED: Final = Delivered()

ATTEMPT_MS_MIN: Final = 1_000
"""Even the last attempt before a callback's end gets so long: less would find a healthy receiver dead."""

_log = structlog.get_logger()


class CallbackSender:
    """Knows participants' endpoints, the hub's name and version, and the transport. Never raises."""

    def __init__(
        self,
        settings: Settings,
        participants: Participants,
        transport: Transport,
        clock: Callable[[], int],
        signer: Signer | None = None,
    ) -> None:
        """`clock` gives milliseconds since the epoch, for the Date header; `signer` signs the hub's own callbacks."""
        self._hub_name = settings.hub_name
        self._content_version = settings.content_version_default_of
        self._participants = participants
        self._transport = transport
        self._clock = clock
        self._signer = signer

    def prepare(self, notification: Notification) -> CallbackRequest | Reason:
        """The request of this attempt, or why there can be none."""
        try:
            return build_request(
                notification,
                self._participants,
                hub_name=self._hub_name,
                content_version=self._content_version(notification.resource),
                now_ms=self._clock(),
                signer=self._signer,
            )
        except Exception as error:  # noqa: BLE001 - a bug must cost one callback, not its receiver's worker
            return self._bug(notification, error)

    async def send(self, notification: Notification, request: CallbackRequest) -> Outcome:
        """Send the request and judge the answer."""
        try:
            async with asyncio.timeout(self._time_left_s(notification)):
                status = await self._transport.send(
                    notification.method, request.url, request.headers, notification.body
                )
        except DestinationError as error:
            return Failed(None, str(error))
        except TimeoutError:
            return Failed(None, "timeout: no answer while it was worth anything")
        except Exception as error:  # noqa: BLE001 - as above
            return self._bug(notification, error)
        if 200 <= status < 300:  # noqa: PLR2004 - HTTP's own numbers
            return DELIVERED
        if is_worth_repeating(status):
            return Failed(status)
        return Reason(ReasonCode.REFUSED, status=status)

    def _time_left_s(self, notification: Notification) -> float | None:
        """What the callback's own end leaves for an attempt; None if it has none. The transport has its limit too."""
        if notification.deliver_by_ms is None:
            return None
        return max(notification.deliver_by_ms - self._clock(), ATTEMPT_MS_MIN) / 1000

    def _bug(self, notification: Notification, error: Exception) -> Reason:
        _log.exception("callback-bug", notification_id=notification.notification_id, exc_info=error)
        return Reason(ReasonCode.INTERNAL_ERROR, repr(error))
