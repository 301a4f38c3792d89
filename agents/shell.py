"""What the ledger's agents share: telling DFSPs, moving positions, and publishing what is final."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from clearinghub.domain.position import Position
from clearinghub.domain.rejections import ErrorInformation
from clearinghub.domain.timestamps import timestamp_text
from clearinghub.domain.transfer import Transfer
from clearinghub.engine.record import Record, View
from clearinghub.messages import VERSION, NotificationMessage, encode
from clearinghub.ports import Participants
from tables.positions import POSITIONS, position_key
from tables.transfers import TRANSFERS

TRANSFER_POST: Final = "FSPIOP_CALLBACK_URL_TRANSFER_POST"
TRANSFER_PUT: Final = "FSPIOP_CALLBACK_URL_TRANSFER_PUT"
TRANSFER_ERROR: Final = "FSPIOP_CALLBACK_URL_TRANSFER_ERROR"
PRINCIPLE_VALUE: Final = "PRINCIPLE_VALUE"


@dataclass(frozen=True, slots=True)
class LedgerContext:
    """What decisions need beside the tables; `participants` is this process's whole copy of the compacted topic."""

    hub_name: str
    participants: Participants
    on_us_transfers: bool = False
    confirm_to_payee: bool = True


class Notifier:
    """Emits the callbacks of one record; their ids are derived, so that a replay emits the same."""

    def __init__(self, record: Record, view: View, transfer_id: str, trace: str | None, hub_name: str) -> None:
        self._record = record
        self._view = view
        self._transfer_id = transfer_id
        self._trace = trace
        self._hub_name = hub_name
        self._count = 0

    def forward(
        self, receiver: str, source: str, method: str, endpoint: str, headers: dict[str, str], body: bytes
    ) -> None:
        """Pass a DFSP's own message on: its headers, its signature, its bytes (fspiop 1.7)."""
        self._emit(receiver, source, method, endpoint, headers, body)

    def put(self, receiver: str, body: dict[str, object]) -> None:
        """The hub's own PUT /transfers/{id}."""
        self._emit(receiver, self._hub_name, "PUT", TRANSFER_PUT, {}, orjson.dumps(body))

    def confirm(self, receiver: str, endpoint: str, body: bytes) -> None:
        """Tell the payee what it told the hub, as the hub's own PUT with the same body (fspiop 3.6)."""
        self._emit(receiver, self._hub_name, "PUT", endpoint, {}, body)

    def patch(self, receiver: str, body: dict[str, object]) -> None:
        """The hub's own PATCH /transfers/{id}, which uses the endpoint of PUT (fspiop 3.6)."""
        self._emit(receiver, self._hub_name, "PATCH", TRANSFER_PUT, {}, orjson.dumps(body))

    def error(self, receiver: str, error: ErrorInformation) -> None:
        """The hub's own PUT /transfers/{id}/error."""
        self._emit(receiver, self._hub_name, "PUT", TRANSFER_ERROR, {}, orjson.dumps(error.as_json()))

    def _emit(
        self, receiver: str, source: str, method: str, endpoint: str, headers: dict[str, str], body: bytes
    ) -> None:
        record = self._record
        line: NotificationMessage = {
            "v": VERSION,
            "kind": "notification",
            "notification_id": f"{record.topic}-{record.partition}-{record.offset}-{self._count}",
            "id": self._transfer_id,
            "receiver": receiver,
            "source": source,
            "method": method,
            "resource": "transfers",
            "endpoint": endpoint,
            "path": _PATHS[endpoint].format(self._transfer_id),
            "variables": {"transferId": self._transfer_id},
            "headers": headers,
            "trace": self._trace,
        }
        self._count += 1
        self._view.emit_to_partition("notification", self._view.partition, receiver, encode(line, body))


_PATHS: Final = {TRANSFER_POST: "/transfers", TRANSFER_PUT: "/transfers/{}", TRANSFER_ERROR: "/transfers/{}/error"}


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
