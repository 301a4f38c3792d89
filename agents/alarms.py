"""Alarms for operators: a position that comes near its cap, and a cap that was changed (protocol 4.3).

Both are events on topic `events`, for whoever sends mail or raises alarms. A breach is also sent to the participant's
ALARM_NOTIFICATION_URL, if it has one. Amounts are integers of 1/10,000 on the topic, as on every topic, and JSON
numbers of whole units in the callback, as on the admin API.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from agents.turn import Turn
from clearinghub.domain.money import format_amount
from clearinghub.domain.participants.endpoints import ALARM_URL_TYPE
from clearinghub.domain.participants.position import Position
from clearinghub.domain.participants.threshold import ThresholdBreach, decide_adjustment, decide_breach
from clearinghub.domain.time import timestamp_text
from clearinghub.messages import VERSION, NotificationMessage, encode
from clearinghub.messages.callbacks import ALARM_RESOURCE
from tables.participants import PARTICIPANTS

BREACH: Final = "position-threshold-breach"
ADJUSTMENT: Final = "limit-adjustment"
_BREACH_EMAIL: Final = "NET_DEBIT_CAP_THRESHOLD_BREACH_EMAIL"
_ADJUSTMENT_EMAIL: Final = "NET_DEBIT_CAP_ADJUSTMENT_EMAIL"


def raise_breach_alarm(turn: Turn, before: Position, after: Position, transfer_id: str | None) -> None:
    """Raise an alarm if the account has come past its threshold; `transfer_id` is the transfer that moved it."""
    if not after.alarm_percent:
        return
    breach = decide_breach(before, after, transfer_id, turn.now_ms)
    if breach is None:
        return
    event: dict[str, object] = {
        "participant": breach.participant,
        "currency": breach.currency,
        "position": breach.position,
        "limit": breach.limit,
        "percent": breach.percent,
        "at": timestamp_text(breach.at_ms),
        "transferId": breach.transfer_id,
    }
    _emit(turn, BREACH, breach.participant, event, _BREACH_EMAIL)
    if ALARM_URL_TYPE in _endpoints(turn, breach.participant):
        units = {"position": _json_units(breach.position), "limit": _json_units(breach.limit)}
        _notify(turn, breach, orjson.dumps({"event": BREACH, **event, **units}))


def raise_limit_alarms(turn: Turn, before: Position, after: Position) -> None:
    """Report a change of the account's cap or threshold, and raise an alarm if the account is past it now."""
    adjustment = decide_adjustment(before, after, turn.now_ms)
    if adjustment is None:
        return
    event: dict[str, object] = {
        "participant": adjustment.participant,
        "currency": adjustment.currency,
        "limit": adjustment.limit,
        "percent": adjustment.percent,
        "before": adjustment.before,
        "at": timestamp_text(adjustment.at_ms),
    }
    _emit(turn, ADJUSTMENT, adjustment.participant, event, _ADJUSTMENT_EMAIL)
    raise_breach_alarm(turn, before, after, None)


def _emit(turn: Turn, event_type: str, participant: str, event: dict[str, object], email_type: str) -> None:
    record = {"v": VERSION, "event": event_type, **event}
    email = _endpoints(turn, participant).get(email_type)
    if email is not None:
        record["email"] = email
    turn.view.emit("events", participant, orjson.dumps(record))


def _notify(turn: Turn, breach: ThresholdBreach, body: bytes) -> None:
    place = f"{BREACH}-{breach.currency}"
    message = alarm_callback(turn.hub_name, breach.participant, f"{turn.place}-alarm", place, turn.trace)
    turn.view.emit_to_partition("notification", turn.view.partition, breach.participant, encode(message, body))


def alarm_callback(
    hub_name: str, participant: str, notification_id: str, alarm: str, trace: str | None
) -> NotificationMessage:
    """Return the callback with an alarm to a participant that has an ALARM_NOTIFICATION_URL.

    Callbacks of one `alarm` keep their order. No payment's callback waits for them.
    """
    return NotificationMessage(
        notification_id=notification_id,
        id=alarm,
        receiver=participant,
        source=hub_name,
        method="POST",
        resource=ALARM_RESOURCE,
        endpoint=ALARM_URL_TYPE,
        path="/",
        variables={},
        headers={},
        trace=trace,
    )


def _endpoints(turn: Turn, name: str) -> Mapping[str, str]:
    participant = turn.view.get(PARTICIPANTS, name)
    return {} if participant is None else participant.endpoints


def _json_units(amount: int) -> orjson.Fragment:
    return orjson.Fragment(format_amount(amount))
