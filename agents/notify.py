"""The callbacks to DFSPs that one record leads to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from agents.turn import Turn
from clearinghub.domain.errors import ErrorInformation
from clearinghub.messages import FailureMessage, NotificationMessage, encode
from clearinghub.messages.callbacks import Method

TRANSFER_POST: Final = "FSPIOP_CALLBACK_URL_TRANSFER_POST"
TRANSFER_PUT: Final = "FSPIOP_CALLBACK_URL_TRANSFER_PUT"
TRANSFER_ERROR: Final = "FSPIOP_CALLBACK_URL_TRANSFER_ERROR"


class Notifier:
    """Emits the callbacks that one record leads to; their ids are derived from it, so a replay emits the same."""

    def __init__(self, turn: Turn, resource: str, subject: str) -> None:
        """`subject` is the id of what the callbacks are about: those of one subject to one receiver stay in order."""
        self._turn = turn
        self._resource = resource
        self._subject = subject
        self._count = 0

    def send(  # noqa: PLR0913 - a callback has so many parts
        self,
        receiver: str,
        source: str,
        method: Method,
        endpoint: str,
        path: str,
        *,
        variables: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
        failure: FailureMessage | None = None,
        deliver_by_ms: int | None = None,
    ) -> None:
        """Emit one callback; the arguments are the fields of `NotificationMessage`."""
        turn = self._turn
        message = NotificationMessage(
            notification_id=f"{turn.place}-{self._count}",
            id=self._subject,
            receiver=receiver,
            source=source,
            method=method,
            resource=self._resource,
            endpoint=endpoint,
            path=path,
            variables=variables,
            headers=headers,
            trace=turn.trace,
            failure=failure,
            deliver_by_ms=deliver_by_ms,
        )
        self._count += 1
        turn.view.emit_to_partition("notification", turn.view.partition, receiver, encode(message, body))


class TransferNotifier(Notifier):
    """The callbacks of /transfers (protocol 3.6)."""

    def __init__(self, turn: Turn, transfer_id: str) -> None:
        super().__init__(turn, "transfers", transfer_id)
        self._variables = {"transferId": transfer_id}

    def forward_put(self, receiver: str, source: str, endpoint: str, headers: dict[str, str], body: bytes) -> None:
        """Forward a DFSP's PUT, or its /error, with its own headers, signature and bytes (protocol 1.7)."""
        self._send(receiver, source, "PUT", endpoint, headers, body)

    def forward_prepare(self, payee: str, source: str, headers: dict[str, str], body: bytes) -> None:
        """Forward a prepare to the payee; the payer is notified if the payee has no endpoint (protocol 5.4).

        After any other failure the transfer expires: the payee may have received the prepare after all.
        """
        failure = FailureMessage(
            receiver=source,
            endpoint=TRANSFER_ERROR,
            path=_PATHS[TRANSFER_ERROR].format(self._subject),
            variables=self._variables,
            no_endpoint_only=True,
        )
        self._send(payee, source, "POST", TRANSFER_POST, headers, body, failure)

    def put(self, receiver: str, body: dict[str, object]) -> None:
        """Send the hub's own PUT /transfers/{id}."""
        self._send(receiver, self._turn.hub_name, "PUT", TRANSFER_PUT, {}, orjson.dumps(body))

    def patch(self, receiver: str, body: dict[str, object]) -> None:
        """Send the hub's own PATCH /transfers/{id}, to the endpoint of PUT (protocol 3.6)."""
        self._send(receiver, self._turn.hub_name, "PATCH", TRANSFER_PUT, {}, orjson.dumps(body))

    def error(self, receiver: str, error: ErrorInformation) -> None:
        """Send the hub's own PUT /transfers/{id}/error."""
        self._send(receiver, self._turn.hub_name, "PUT", TRANSFER_ERROR, {}, orjson.dumps(error.as_json()))

    def _send(
        self,
        receiver: str,
        source: str,
        method: Method,
        endpoint: str,
        headers: dict[str, str],
        body: bytes,
        failure: FailureMessage | None = None,
    ) -> None:
        path = _PATHS[endpoint].format(self._subject)
        self.send(
            receiver,
            source,
            method,
            endpoint,
            path,
            variables=self._variables,
            headers=headers,
            body=body,
            failure=failure,
        )


_PATHS: Final = {TRANSFER_POST: "/transfers", TRANSFER_PUT: "/transfers/{}", TRANSFER_ERROR: "/transfers/{}/error"}
