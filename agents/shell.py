"""What the ledger's agents share: moving positions, and publishing what is final."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from clearinghub.domain.participant import Oracle
from clearinghub.domain.party import PARTY_TYPES
from clearinghub.domain.position import Position
from clearinghub.domain.timestamps import timestamp_text
from clearinghub.domain.transfer import Transfer
from clearinghub.engine.record import View
from clearinghub.messages import VERSION
from clearinghub.ports import Participants
from tables.positions import POSITIONS, position_key
from tables.transfers import TRANSFERS

PRINCIPLE_VALUE: Final = "PRINCIPLE_VALUE"


@dataclass(frozen=True, slots=True)
class LedgerContext:
    """What decisions need beside the tables; `participants` is this process's whole copy of the compacted topic."""

    hub_name: str
    participants: Participants
    on_us_transfers: bool = False
    confirm_to_payee: bool = True
    completed_ahead_ms_max: int = 200
    completed_age_ms_max: int = 300_000
    fsp_in_bulk_paths: bool = False
    built_in_oracle_types: frozenset[str] = frozenset(PARTY_TYPES)
    participants_reference_shapes: bool = False

    @property
    def oracles(self) -> tuple[Oracle, ...]:
        """The external oracles that the scheme has registered."""
        hub = self.participants.get(self.hub_name)
        return () if hub is None else hub.oracles

    def is_dfsp(self, name: str) -> bool:
        """Whether that is a participant other than the hub, active or not."""
        return name != self.hub_name and self.participants.get(name) is not None


def store_position(view: View, position: Position, change: int, transfer_id: str, entry_type: str) -> None:
    """Store an account that has moved by `change`, and append the movement to its history, topic `positions`."""
    view.put(POSITIONS, position_key(position.participant, position.currency, position.account_type), position)
    line = {
        "v": VERSION,
        "participant": position.participant,
        "accountId": position.account_id,
        "accountType": position.account_type,
        "currency": position.currency,
        "change": change,
        "value": position.value,
        "reserved": position.reserved,
        "changeNumber": position.change_number,
        "transferId": transfer_id,
        "entryType": entry_type,
        "atMs": position.changed_at_ms,
    }
    view.emit("positions", position.participant, orjson.dumps(line))


def release_payer(view: View, transfer: Transfer, now_ms: int) -> None:
    """Give the payer's reservation back."""
    position = view.get(POSITIONS, position_key(transfer.payer, transfer.currency, "POSITION"))
    assert position is not None, f"{transfer.transfer_id} was reserved on an account that is gone"
    store_position(
        view, position.changed_by(-transfer.amount, now_ms), -transfer.amount, transfer.transfer_id, PRINCIPLE_VALUE
    )


def store_transfer(view: View, transfer: Transfer) -> None:
    """Store a transfer; when it has reached its end, publish it on topic `transfers`."""
    view.put(TRANSFERS, transfer.transfer_id, transfer)
    if transfer.state.is_final:
        view.emit_to_partition("transfers", view.partition, transfer.transfer_id, orjson.dumps(_final_record(transfer)))


def _final_record(transfer: Transfer) -> dict[str, Any]:
    return {
        "v": VERSION,
        "transferId": transfer.transfer_id,
        "kind": transfer.kind,
        "payer": transfer.payer,
        "payee": transfer.payee,
        "amount": transfer.amount,
        "currency": transfer.currency,
        "state": transfer.state.label,
        "window": transfer.window,
        "errorCode": None if transfer.error is None else transfer.error.code,
        "errorDescription": None if transfer.error is None else transfer.error.description,
        "preparedAt": timestamp_text(transfer.history[0][1]),
        "finishedAt": timestamp_text(transfer.changed_at_ms),
    }
