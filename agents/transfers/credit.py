"""Movements that cannot be refused: the payee's leg of a commit, the hub's leg of funds in and out (design 3).

Between them stand the markers of settlement windows (design 7).
"""

from __future__ import annotations

from agents.context import LedgerContext
from agents.posting import move_account
from agents.settlement.netting import count_credit, settle_gross, take_marker
from clearinghub.engine.record import Handler, Record, View
from clearinghub.messages import decode_fields
from tables.positions import position_key


def make_on_credit(context: LedgerContext) -> Handler:
    """The handler of topic `credit`."""

    def on_credit(record: Record, view: View) -> None:
        """Move the account, once: the engine applies each record exactly once."""
        line, _body = decode_fields(record.value)
        if line["kind"] == "window-marker":
            take_marker(view, context.hub_name, line["window"], line["source"], again=line.get("again", False))
            return
        name, currency, change, now_ms = line["participant"], line["currency"], line["change"], record.timestamp_ms
        move_account(
            view, position_key(name, currency, line["account_type"]), change, line["id"], line["entry"], now_ms
        )
        if line["window"] is None:
            return  # funds: no part of any settlement
        count_credit(view, line)
        if "settles_into" in line:
            settle_gross(view, line["id"], name, currency, line["settles_into"], change, now_ms)

    return on_credit
