"""The moves of accounts that a settlement requests, each on its account's own partition (protocol 9.4)."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from agents.alarms import raise_limit_alarms
from agents.posting import move_account
from agents.turn import Turn
from clearinghub.domain.participants.position import Position
from clearinghub.domain.time import timestamp_text
from clearinghub.engine.record import View
from clearinghub.messages import VERSION, encode
from clearinghub.messages.settlement import MovedMessage, MoveMessage
from tables.participants import PARTICIPANTS
from tables.positions import POSITIONS, position_key

POSITION_CHANGE: Final = "settlement-transfer-position-change"
_EMAIL: Final = "SETTLEMENT_TRANSFER_POSITION_CHANGE_EMAIL"


def on_move(turn: Turn, message: MoveMessage, _body: bytes) -> None:
    """Move an account as a settlement requests, and confirm it to the coordinator."""
    view, key = turn.view, position_key(message.participant, message.currency, message.account_type)
    before = view.get(POSITIONS, key)
    assert before is not None, f"{key} is in a settlement and does not exist"
    assert before.account_id == message.account_id
    change = sum(move.change for move in message.moves)
    if message.raise_cap:
        _raise_cap(turn, before, message.adds_in_all)
    after = before
    for move in message.moves:
        after = move_account(turn, key, move.change, move.transfer_id, move.entry_type)
    assert after.value == before.value + change
    assert after.change_number == before.change_number + len(message.moves)
    if message.is_last:
        _publish_position_change(view, after)
    confirmation = MovedMessage(
        settlement=message.settlement,
        number=message.number,
        account_id=message.account_id,
        currency=message.currency,
        moves=message.moves,
    )
    view.emit("settlement", turn.hub_name, encode(confirmation))


def _raise_cap(turn: Turn, before: Position, added: int) -> None:
    """Raise a net recipient's cap by `added` if its higher position would not fit below the cap (protocol 9.4)."""
    cap = before.net_debit_cap
    if cap is None or cap - before.value - before.reserved - added >= 0:
        return
    raised = replace(before, net_debit_cap=cap + added)
    turn.view.put(POSITIONS, position_key(before.participant, before.currency, before.account_type), raised)
    raise_limit_alarms(turn, before, raised)


def _publish_position_change(view: View, position: Position) -> None:
    """Publish the event by which the DFSP is notified by mail (protocol 9.4, 5.4)."""
    event: dict[str, object] = {
        "v": VERSION,
        "event": POSITION_CHANGE,
        "participant": position.participant,
        "currency": position.currency,
        "value": position.value,
        "changedDate": timestamp_text(position.changed_at_ms),
    }
    participant = view.get(PARTICIPANTS, position.participant)
    email = None if participant is None else participant.endpoints.get(_EMAIL)
    view.emit(
        "events", position.participant, msgspec.json.encode(event if email is None else {**event, "email": email})
    )
