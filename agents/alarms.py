"""What operators want to hear at once: a position that nears its cap, and a cap that was changed (protocol 4.3).

Both are events on topic `events`, for whoever sends mail or raises alarms; a breach also goes to the participant's
ALARM_NOTIFICATION_URL, if it has one. Amounts are integers of 1/10,000 on the topic, as on every topic, and JSON
numbers of whole units in the callback, as on the admin API.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from clearinghub.callbacks.notification import ALARM_RESOURCE
from clearinghub.domain.money import format_amount
from clearinghub.domain.participants.endpoints import ALARM_URL_TYPE
from clearinghub.domain.participants.position import Position
from clearinghub.domain.participants.threshold import ThresholdBreach, decide_adjustment, decide_breach
from clearinghub.domain.time import timestamp_text
from clearinghub.engine.record import Record, View
from clearinghub.messages import VERSION, NotificationMessage, encode
from tables.participants import PARTICIPANTS

BREACH: Final = "position-threshold-breach"
ADJUSTMENT: Final = "limit-adjustment"
_BREACH_EMAIL: Final = "NET_DEBIT_CAP_THRESHOLD_BREACH_EMAIL"
_ADJUSTMENT_EMAIL: Final = "NET_DEBIT_CAP_ADJUSTMENT_EMAIL"


class Alarms:
    """Raises the alarms of one record, whose place on its topic names them."""

    def __init__(self, record: Record, view: View, hub_name: str, trace: str | None) -> None:
        self._record = record
        self._view = view
        self._hub_name = hub_name
        self._trace = trace

    def position_raised(self, before: Position, after: Position, transfer_id: str) -> None:
        """A reservation has raised a position."""
        breach = decide_breach(before, after, transfer_id, self._record.timestamp_ms)
        if breach is not None:
            self._tell_breach(breach)

    def limit_changed(self, before: Position, after: Position) -> None:
        """A command may have changed a cap, or its alarm."""
        adjustment = decide_adjustment(before, after, self._record.timestamp_ms)
        if adjustment is None:
            return
        self._emit(
            ADJUSTMENT,
            adjustment.participant,
            {
                "participant": adjustment.participant,
                "currency": adjustment.currency,
                "limit": adjustment.limit,
                "percent": adjustment.percent,
                "before": adjustment.before,
                "at": timestamp_text(adjustment.at_ms),
            },
            _ADJUSTMENT_EMAIL,
        )
        breach = decide_breach(before, after, None, self._record.timestamp_ms)
        if breach is not None:
            self._tell_breach(breach)

    def _tell_breach(self, breach: ThresholdBreach) -> None:
        about: dict[str, Any] = {
            "participant": breach.participant,
            "currency": breach.currency,
            "position": breach.position,
            "limit": breach.limit,
            "percent": breach.percent,
            "at": timestamp_text(breach.at_ms),
            "transferId": breach.transfer_id,
        }
        self._emit(BREACH, breach.participant, about, _BREACH_EMAIL)
        if ALARM_URL_TYPE in self._endpoints(breach.participant):
            amounts = {name: orjson.Fragment(format_amount(about[name])) for name in ("position", "limit")}
            self._notify(breach, {"event": BREACH, **about, **amounts})

    def _emit(self, event: str, participant: str, about: dict[str, Any], email_type: str) -> None:
        line = {"v": VERSION, "event": event, **about}
        email = self._endpoints(participant).get(email_type)
        if email is not None:
            line["email"] = email
        self._view.emit("events", participant, orjson.dumps(line))

    def _notify(self, breach: ThresholdBreach, body: dict[str, Any]) -> None:
        record = self._record
        line: NotificationMessage = {
            "v": VERSION,
            "kind": "notification",
            "notification_id": f"{record.topic}-{record.partition}-{record.offset}-alarm",
            "id": f"{BREACH}-{breach.currency}",  # a chain of its own: no payment's callback waits for it
            "receiver": breach.participant,
            "source": self._hub_name,
            "method": "POST",
            "resource": ALARM_RESOURCE,
            "endpoint": ALARM_URL_TYPE,
            "path": "/",
            "variables": {},
            "headers": {},
            "trace": self._trace,
        }
        value = encode(line, orjson.dumps(body))
        self._view.emit_to_partition("notification", self._view.partition, breach.participant, value)

    def _endpoints(self, name: str) -> dict[str, str]:
        participant = self._view.get(PARTICIPANTS, name)
        return {} if participant is None else dict(participant.endpoints)
