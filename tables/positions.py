"""Table `positions`: participant/currency/account type -> Position, on the participant's partition."""

from __future__ import annotations

from clearinghub.domain.participants.position import Position
from clearinghub.engine.record import TableSpec
from tables.codec import decode_position, encode_position

POSITIONS: TableSpec[Position] = TableSpec("positions", encode_position, decode_position)


def position_key(participant: str, currency: str, account_type: str) -> str:
    """The key of an account; participants' names cannot hold a slash."""
    return f"{participant}/{currency}/{account_type}"
