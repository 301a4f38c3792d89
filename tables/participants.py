"""Table `participants`: name -> Participant, on the participant's partition; each change is also published."""

from __future__ import annotations

from clearinghub.domain.participants.participant import Participant, decode_participant, encode_participant
from clearinghub.engine.record import TableSpec

PARTICIPANTS: TableSpec[Participant] = TableSpec("participants", encode_participant, decode_participant)
