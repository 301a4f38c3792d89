"""Table `positions`: participant/currency/account type -> Position, on the participant's partition."""

from __future__ import annotations

from typing import Final

from clearinghub.domain.participants.position import Position
from clearinghub.engine.record import row_table

POSITIONS: Final = row_table("positions", Position)


def position_key(participant: str, currency: str, account_type: str) -> str:
    """Return the key of an account; no participant's name holds a slash."""
    return f"{participant}/{currency}/{account_type}"
