"""Notices of credentials that end soon: events on topic `events`, for whoever sends mail or raises alarms.

Each is written once: the participant's row has the days of the last one, and changes in the round that writes the
event.
"""

from __future__ import annotations

from typing import Final

import orjson
from msgspec.structs import replace

from clearinghub.domain.participants.credential import DAY_MS, Credential, due_notice
from clearinghub.domain.participants.participant import Participant
from clearinghub.domain.participants.registration import set_credentials
from clearinghub.domain.time import timestamp_text
from clearinghub.engine.record import Punctuator, PunctuatorView
from clearinghub.messages import VERSION
from clearinghub.rows import encode_row
from tables.participants import PARTICIPANTS

ENDS: Final = "credential-ends"
ROWS_AT_ONCE: Final = 50  # participants in one punctuation: a round waits for it
VISITED_AGAIN_MS: Final = 60_000


def make_credential_punctuator() -> Punctuator:
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
                _notify(view, participant, now_ms)
        if len(names) == ROWS_AT_ONCE:
            after[number] = names[-1]
        else:
            again_at_ms[number] = now_ms + VISITED_AGAIN_MS

    return punctuate


def _notify(view: PunctuatorView, participant: Participant, now_ms: int) -> None:
    """Write the notices that are due, and note them in the participant's row, which is published."""
    credentials = tuple(_noted(view, participant.name, one, now_ms) for one in participant.credentials)
    changed = set_credentials(participant, credentials).participant
    if changed.version != participant.version:
        view.put(PARTICIPANTS, changed.name, changed)
        view.emit_to_partition("participants", view.partition, changed.name, encode_row(changed))


def _noted(view: PunctuatorView, name: str, credential: Credential, now_ms: int) -> Credential:
    days = due_notice(credential, now_ms)
    if days is None:
        return credential
    assert credential.not_after_ms is not None
    event = {
        "v": VERSION,
        "event": ENDS,
        "participant": name,
        "credential": credential.credential_id,
        "use": credential.use.value,
        "days": days,
        "daysLeft": (credential.not_after_ms - now_ms) // DAY_MS,
        "ends": timestamp_text(credential.not_after_ms),
        "at": timestamp_text(now_ms),
    }
    view.emit("events", name, orjson.dumps(event))
    return replace(credential, noticed_days=days)
