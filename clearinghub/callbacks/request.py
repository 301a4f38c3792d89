"""From a notification to the HTTP request that delivers it, as things stand at this attempt."""

from __future__ import annotations

from dataclasses import dataclass

from clearinghub.callbacks.headers import UnsafeHeader, outbound_headers
from clearinghub.callbacks.notification import Notification
from clearinghub.callbacks.reason import Reason, ReasonCode
from clearinghub.domain.participants.endpoints import Unrenderable, render_url
from clearinghub.kafka.ports import Participants
from clearinghub.security.signature import HEADER as SIGNATURE_HEADER
from clearinghub.security.signature import Signer


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """What goes over the wire; the body is the notification's."""

    url: str
    headers: dict[str, str]


def build_request(
    notification: Notification,
    participants: Participants,
    *,
    hub_name: str,
    content_version: str,
    now_ms: int,
    signer: Signer | None = None,
) -> CallbackRequest | Reason:
    """The request, or why there can be none.

    The endpoint is looked up at every attempt: a DFSP that moves registers its new URL and gets what waits for it.
    A participant that is not active gets its callbacks all the same: its open transfers must end.
    The hub signs what it says itself, anew at every attempt since the date is under the signature. What it forwards
    keeps its sender's signature, or its lack of one: the hub vouches for nobody's words but its own (protocol 10.1).
    """
    participant = participants.get(notification.receiver)
    if participant is None:
        return Reason(ReasonCode.UNKNOWN_RECEIVER)
    template = participant.endpoints.get(notification.endpoint)
    if template is None:
        return Reason(ReasonCode.NO_ENDPOINT, notification.endpoint)
    url = render_url(notification.endpoint, template, notification.variables, notification.path)
    if isinstance(url, Unrenderable):
        return Reason(ReasonCode.BAD_ENDPOINT, url.detail)
    headers = outbound_headers(notification, hub_name=hub_name, content_version=content_version, now_ms=now_ms)
    if isinstance(headers, UnsafeHeader):
        return Reason(ReasonCode.UNSAFE_HEADER, headers.name)
    if signer is not None and notification.source == hub_name:
        headers[SIGNATURE_HEADER] = signer.sign(headers, notification.body)
    return CallbackRequest(url, headers)
