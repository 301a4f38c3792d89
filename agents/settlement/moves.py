"""Changes of accounts that a settlement asks for, each on its account's own partition (protocol 9.4)."""

from __future__ import annotations

from typing import Any, Final

import orjson

from agents.alarms import raise_limit_alarms
from agents.context import LedgerContext
from agents.posting import move_account
from agents.turn import Turn
from clearinghub.domain.participants.position import Position
from clearinghub.domain.time import timestamp_text
from clearinghub.engine.record import Record, View
from clearinghub.messages import VERSION, encode
from clearinghub.messages.settlement import MovedMessage
from tables.participants import PARTICIPANTS
from tables.positions import POSITIONS, position_key

POSITION_CHANGE: Final = "settlement-transfer-position-change"
_EMAIL: Final = "SETTLEMENT_TRANSFER_POSITION_CHANGE_EMAIL"


def make_move(context: LedgerContext, record: Record, view: View, line: dict[str, Any]) -> None:
    """Change an account as a settlement asks, on the account's own partition, and say so."""
    key = position_key(line["participant"], line["currency"], line["account_type"])
    now_ms = record.timestamp_ms
    before = view.get(POSITIONS, key)
    assert before is not None, f"{key} is in a settlement and not there"
    if line["raise_cap"]:
        _raise_cap(context, record, view, before, sum(change for _id, change, _entry in line["moves"]))
    for transfer_id, change, entry_type in line["moves"]:
        position = move_account(view, key, change, transfer_id, entry_type, now_ms)
    _tell_change(view, position)
    done: MovedMessage = {
        "v": VERSION,
        "kind": "settlement-moved",
        "settlement": line["settlement"],
        "number": line["number"],
        "account_id": line["account_id"],
        "currency": line["currency"],
        "moves": line["moves"],
    }
    view.emit("settlement", context.hub_name, encode(done))


def _raise_cap(context: LedgerContext, record: Record, view: View, before: Position, added: int) -> None:
    """A recipient gives up what it is owed: where its cap has no room for that, the cap grows by it (protocol 9.4)."""
    cap = before.net_debit_cap
    if cap is None or cap - before.value - before.reserved - added >= 0:
        return
    raised = before._replace(net_debit_cap=cap + added)
    view.put(POSITIONS, position_key(before.participant, before.currency, before.account_type), raised)
    raise_limit_alarms(Turn(record, view, context, None, record.timestamp_ms), before, raised)


def _tell_change(view: View, position: Position) -> None:
    """Event `settlement-transfer-position-change`, for whoever mails it to the DFSP (protocol 9.4, 5.4)."""
    about: dict[str, Any] = {
        "v": VERSION,
        "event": POSITION_CHANGE,
        "participant": position.participant,
        "currency": position.currency,
        "value": position.value,
        "changedDate": timestamp_text(position.changed_at_ms),
    }
    participant = view.get(PARTICIPANTS, position.participant)
    email = None if participant is None else participant.endpoints.get(_EMAIL)
    view.emit("events", position.participant, orjson.dumps(about if email is None else {**about, "email": email}))
