"""Table `participants`: name -> Participant, on the participant's partition; each change also goes to the compacted topic."""

from __future__ import annotations

from clearinghub.domain.participant import Participant, decode_participant, encode_participant
from clearinghub.engine.record import TableSpec

PARTICIPANTS: TableSpec[Participant] = TableSpec("participants", encode_participant, decode_participant)
