"""The callbacks of /bulkTransfers: all are the hub's own, for each side is shown other lines (protocol 8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import orjson

from agents.context import LedgerContext
from agents.notify import Notifier
from clearinghub.domain.bulk.bulk import Bulk
from clearinghub.domain.bulk.lookup import LineView, bulk_body, line_view, taken_view
from clearinghub.domain.errors import ErrorInformation
from clearinghub.engine.record import Record, View
from clearinghub.messages import FailureMessage
from clearinghub.messages.callbacks import Method
from tables.transfers import TRANSFERS

BULK_POST: Final = "FSPIOP_CALLBACK_URL_BULK_TRANSFER_POST"
BULK_PUT: Final = "FSPIOP_CALLBACK_URL_BULK_TRANSFER_PUT"
BULK_ERROR: Final = "FSPIOP_CALLBACK_URL_BULK_TRANSFER_ERROR"

LINES_AT_ONCE: Final = 20  # before others get their turn on the event loop; about 2 ms


class BulkNotifier(Notifier):
    """Emits the callbacks of one record about one bulk."""

    def __init__(self, record: Record, view: View, bulk_id: str, trace: str | None, context: LedgerContext) -> None:
        super().__init__(record, view, "bulkTransfers", bulk_id, trace, context.hub_name)
        self._lines = view
        self._hub = context.hub_name
        self._bulk_id = bulk_id
        self._fsp_in_paths = context.fsp_in_bulk_paths

    def post(self, payee: str, payer: str, body: bytes) -> None:
        """POST /bulkTransfers to the payee; if it has no endpoint, the payer hears so (protocol 5.4).

        Of any other failure it hears nothing but the bulk's expiry: the payee may have got the bulk after all.
        """
        failure = FailureMessage(
            receiver=payer,
            endpoint=BULK_ERROR,
            path=f"{self._path(payer)}/error",
            variables={"id": self._bulk_id},
            no_endpoint_only=True,
        )
        self._tell(payee, "POST", BULK_POST, "/bulkTransfers", body, failure)

    def error(self, receiver: str, error: ErrorInformation) -> None:
        """PUT /bulkTransfers/{ID}/error."""
        path = f"{self._path(receiver)}/error"
        self._tell(receiver, "PUT", BULK_ERROR, path, orjson.dumps(error.as_json()))

    def eligibility(self, bulk: Bulk, *receivers: str) -> Iterator[None]:
        """PUT /bulkTransfers/{ID} to each of them, with the lines that it may see; every line is read once."""
        taken = dict(bulk.taken)
        lines: list[LineView] = []
        for place, transfer_id in enumerate(bulk.transfer_ids):
            error = taken.get(place)
            if error is not None:
                lines.append(taken_view(transfer_id, error))
                continue
            line = self._lines.get(TRANSFERS, transfer_id)
            assert line is not None, f"{bulk.bulk_id} has lost its line {transfer_id}"
            lines.append(line_view(line))
            if place % LINES_AT_ONCE == LINES_AT_ONCE - 1:
                yield
        for receiver in receivers:
            body = bulk_body(bulk, lines, for_payee=receiver != bulk.payer)
            self._tell(receiver, "PUT", BULK_PUT, self._path(receiver), orjson.dumps(body))

    def _path(self, receiver: str) -> str:
        """The service path; Mojaloop's own adapter has the receiver's name in front (protocol 1.7)."""
        path = f"/bulkTransfers/{self._bulk_id}"
        return f"/{receiver}{path}" if self._fsp_in_paths else path

    def _tell(
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
            self._hub,
            method,
            endpoint,
            path,
            variables={"id": self._bulk_id},
            headers={},
            body=body,
            failure=failure,
        )
