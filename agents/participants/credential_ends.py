"""Notices of credentials that end soon: events on topic `events`, for whoever sends mail or raises alarms.

A participant that has an ALARM_NOTIFICATION_URL gets them too. Each is written once: the participant's row has the days
of the last one, and changes in the round that writes the event.
"""

from __future__ import annotations

from typing import Final

import orjson
from msgspec.structs import replace

from agents.alarms import alarm_callback
from clearinghub.domain.participants.credential import DAY_MS, Credential, due_notice
from clearinghub.domain.participants.endpoints import ALARM_URL_TYPE
from clearinghub.domain.participants.participant import Participant
from clearinghub.domain.participants.registration import set_credentials
from clearinghub.domain.time import timestamp_text
from clearinghub.engine.record import Punctuator, PunctuatorView
from clearinghub.messages import VERSION, encode
from clearinghub.rows import encode_row
from tables.participants import PARTICIPANTS

ENDS: Final = "credential-ends"
ROWS_AT_ONCE: Final = 50  # participants in one punctuation: a round waits for it
VISITED_AGAIN_MS: Final = 60_000


def make_credential_punctuator(hub_name: str) -> Punctuator:
    """Return the punctuator that visits all participants of a partition once in VISITED_AGAIN_MS, in small steps."""
    after: dict[int, str] = {}
    again_at_ms: dict[int, int] = {}

    def punctuate(view: PunctuatorView, now_ms: int) -> None:
        number = view.partition
        if number not in after and now_ms < again_at_ms.get(number, 0):
            return
        names = view.keys(PARTICIPANTS, "", after.pop(number, ""), ROWS_AT_ONCE)
        for name in names:
            participant = view.get(PARTICIPANTS, name)
            if participant is not None and participant.credentials:
                _notify(view, participant, hub_name, now_ms)
        if len(names) == ROWS_AT_ONCE:
            after[number] = names[-1]
        else:
            again_at_ms[number] = now_ms + VISITED_AGAIN_MS

    return punctuate


def _notify(view: PunctuatorView, participant: Participant, hub_name: str, now_ms: int) -> None:
    """Write the notices that are due, and note them in the participant's row, which is published."""
    due = {one.credential_id: due_notice(one, now_ms) for one in participant.credentials}
    credentials = tuple(
        one if due[one.credential_id] is None else replace(one, noticed_days=due[one.credential_id])
        for one in participant.credentials
    )
    changed = set_credentials(participant, credentials).participant
    if changed.version == participant.version:
        return
    view.put(PARTICIPANTS, changed.name, changed)
    view.emit_to_partition("participants", view.partition, changed.name, encode_row(changed))
    for one in credentials:
        days = due[one.credential_id]
        if days is not None:
            _write(view, participant, one, days, hub_name, now_ms)


def _write(
    view: PunctuatorView, participant: Participant, credential: Credential, days: int, hub_name: str, now_ms: int
) -> None:
    assert credential.not_after_ms is not None
    event = {
        "event": ENDS,
        "participant": participant.name,
        "credential": credential.credential_id,
        "use": credential.use.value,
        "days": days,
        "daysLeft": (credential.not_after_ms - now_ms) // DAY_MS,
        "ends": timestamp_text(credential.not_after_ms),
        "at": timestamp_text(now_ms),
    }
    view.emit("events", participant.name, orjson.dumps({"v": VERSION, **event}))
    if ALARM_URL_TYPE in participant.endpoints:
        number = f"{ENDS}-{credential.credential_id}-{days}"
        message = alarm_callback(hub_name, participant.name, number, f"{ENDS}-{credential.credential_id}", None)
        body = encode(message, orjson.dumps(event))
        view.emit_to_partition("notification", view.partition, participant.name, body)
