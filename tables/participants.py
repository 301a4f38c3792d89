"""Table `participants`: name -> Participant, on the participant's partition; each change is also published."""

from __future__ import annotations

from typing import Final

from clearinghub.domain.participants.participant import Participant
from clearinghub.engine.record import row_table

PARTICIPANTS: Final = row_table("participants", Participant)
