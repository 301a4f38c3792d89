"""Movements that cannot be refused: the payee's leg of a commit, the hub's leg of funds in and out (design 3)."""

from __future__ import annotations

from agents.posting import move_account
from agents.settlement.booking import count_credit, settle_gross
from agents.turn import Turn
from clearinghub.messages.transfers import CreditMessage
from tables.positions import position_key


def on_credit(turn: Turn, message: CreditMessage, _body: bytes) -> None:
    """Move the account and count the movement in its settlement window; the engine applies each record exactly once."""
    name, currency, change = message.participant, message.currency, message.change
    key = position_key(name, currency, message.account_type)
    move_account(turn, key, change, message.id, message.entry)
    if message.window is None:
        return  # funds in or out, which no settlement counts
    count_credit(turn.view, message)
    if message.settles_into:
        settle_gross(turn, message.id, name, currency, message.settles_into, change)
