"""Movements that cannot be refused: the payee's leg of a commit, the hub's leg of funds in and out (design 3)."""

from __future__ import annotations

from agents.shell import store_position
from clearinghub.engine.record import Record, View
from clearinghub.messages import decode
from tables.positions import POSITIONS, position_key


class UnknownAccountError(Exception):
    """A credit for an account that is not there: whoever emitted it has not checked, which is a bug."""


def on_credit(record: Record, view: View) -> None:
    """Move the account, once: the engine applies each record exactly once."""
    line, _body = decode(record.value)
    position = view.get(POSITIONS, position_key(line["participant"], line["currency"], line["account_type"]))
    if position is None:
        raise UnknownAccountError(f"{line['participant']} {line['currency']} {line['account_type']}")
    moved = position.changed_by(line["change"], record.timestamp_ms)
    store_position(view, moved, line["change"], line["id"], line["entry"])
