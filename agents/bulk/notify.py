"""The callbacks of /bulkTransfers. All are the hub's own, for the two DFSPs see different items (protocol 8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import orjson

from agents.notify import Notifier
from agents.turn import Turn
from clearinghub.domain.bulk.bulk import Bulk
from clearinghub.domain.bulk.lookup import ItemView, bulk_body, consumed_id_view, item_view
from clearinghub.domain.errors import ErrorInformation
from clearinghub.messages import FailureMessage
from clearinghub.messages.bulk import BulkPrepareBody, encode_body
from clearinghub.messages.callbacks import Method
from tables.transfers import TRANSFERS

BULK_POST: Final = "FSPIOP_CALLBACK_URL_BULK_TRANSFER_POST"
BULK_PUT: Final = "FSPIOP_CALLBACK_URL_BULK_TRANSFER_PUT"
BULK_ERROR: Final = "FSPIOP_CALLBACK_URL_BULK_TRANSFER_ERROR"

ITEMS_AT_ONCE: Final = 20  # about 2 ms of work, after which other tasks of the event loop run


class BulkNotifier(Notifier):
    """Emits the callbacks of one record about one bulk."""

    def __init__(self, turn: Turn, bulk_id: str) -> None:
        super().__init__(turn, "bulkTransfers", bulk_id)
        self._variables = {"id": bulk_id}

    def post(self, payee: str, payer: str, body: BulkPrepareBody) -> None:
        """Send POST /bulkTransfers to the payee; the payer is notified if the payee has no endpoint (protocol 5.4).

        After any other failure the bulk expires: the payee may have received the bulk after all.
        """
        failure = FailureMessage(
            receiver=payer,
            endpoint=BULK_ERROR,
            path=f"{self._path(payer)}/error",
            variables=self._variables,
            no_endpoint_only=True,
        )
        self._send(payee, "POST", BULK_POST, "/bulkTransfers", encode_body(body), failure)

    def error(self, receiver: str, error: ErrorInformation) -> None:
        """Send the hub's own PUT /bulkTransfers/{ID}/error."""
        path = f"{self._path(receiver)}/error"
        self._send(receiver, "PUT", BULK_ERROR, path, orjson.dumps(error.as_json()))

    def state(self, bulk: Bulk, *receivers: str) -> Iterator[None]:
        """Send PUT /bulkTransfers/{ID} to each receiver, with the items that it may see. Each item is read once."""
        view = self._turn.view
        consumed = dict(bulk.consumed_ids)
        items: list[ItemView] = []
        for place, transfer_id in enumerate(bulk.transfer_ids):
            error = consumed.get(place)
            if error is not None:
                items.append(consumed_id_view(transfer_id, error))
                continue
            item = view.get(TRANSFERS, transfer_id)
            assert item is not None, f"{bulk.bulk_id} has lost its item {transfer_id}"
            items.append(item_view(item))
            if place % ITEMS_AT_ONCE == ITEMS_AT_ONCE - 1:
                yield
        for receiver in receivers:
            body = bulk_body(bulk, items, for_payee=receiver != bulk.payer)
            self._send(receiver, "PUT", BULK_PUT, self._path(receiver), orjson.dumps(body))

    def _path(self, receiver: str) -> str:
        """Return the service path; Mojaloop's own adapter expects the receiver's name in front (protocol 1.7)."""
        path = f"/bulkTransfers/{self._subject}"
        return f"/{receiver}{path}" if self._turn.context.fsp_in_bulk_paths else path

    def _send(
        self,
        receiver: str,
        method: Method,
        endpoint: str,
        path: str,
        body: bytes,
        failure: FailureMessage | None = None,
    ) -> None:
        self.send(
            receiver,
            self._turn.hub_name,
            method,
            endpoint,
            path,
            variables=self._variables,
            headers={},
            body=body,
            failure=failure,
        )
