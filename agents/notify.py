"""Telling DFSPs: the callbacks that one record leads to, of any resource."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from clearinghub.domain.errors import ErrorInformation
from clearinghub.domain.quotes.agreement import ENDPOINTS, Action
from clearinghub.domain.quotes.stored_quote import StoredAnswer
from clearinghub.engine.record import Record, View
from clearinghub.messages import AgreementMessage, FailureMessage, NotificationMessage, encode
from clearinghub.messages.callbacks import Method

TRANSFER_POST: Final = "FSPIOP_CALLBACK_URL_TRANSFER_POST"
TRANSFER_PUT: Final = "FSPIOP_CALLBACK_URL_TRANSFER_PUT"
TRANSFER_ERROR: Final = "FSPIOP_CALLBACK_URL_TRANSFER_ERROR"


class Notifier:
    """Emits the callbacks of one record; their ids are derived, so that a replay emits the same."""

    def __init__(
        self, record: Record, view: View, resource: str, subject: str, trace: str | None, hub_name: str
    ) -> None:
        """`subject` is the id of what the callbacks are about: those of one subject and receiver stay in order."""
        self._record = record
        self._view = view
        self._resource = resource
        self._subject = subject
        self._trace = trace
        self._hub_name = hub_name
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
        """Emit one callback; the fields are those of `NotificationMessage`."""
        record = self._record
        message = NotificationMessage(
            notification_id=f"{record.topic}-{record.partition}-{record.offset}-{self._count}",
            id=self._subject,
            receiver=receiver,
            source=source,
            method=method,
            resource=self._resource,
            endpoint=endpoint,
            path=path,
            variables=variables,
            headers=headers,
            trace=self._trace,
            failure=failure,
            deliver_by_ms=deliver_by_ms,
        )
        self._count += 1
        self._view.emit_to_partition("notification", self._view.partition, receiver, encode(message, body))


class TransferNotifier(Notifier):
    """The callbacks of /transfers (protocol 3.6)."""

    def __init__(self, record: Record, view: View, transfer_id: str, trace: str | None, hub_name: str) -> None:
        super().__init__(record, view, "transfers", transfer_id, trace, hub_name)
        self._variables = {"transferId": transfer_id}

    def forward(
        self, receiver: str, source: str, method: Method, endpoint: str, headers: dict[str, str], body: bytes
    ) -> None:
        """Pass a DFSP's own message on: its headers, its signature, its bytes (protocol 1.7)."""
        self._send(receiver, source, method, endpoint, headers, body)

    def forward_prepare(self, payee: str, source: str, headers: dict[str, str], body: bytes) -> None:
        """Pass a prepare on to the payee; if it has no endpoint, its payer hears so (protocol 5.4).

        Of any other failure it hears nothing but the transfer's expiry: the payee may have got the prepare after all.
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
        """The hub's own PUT /transfers/{id}."""
        self._send(receiver, self._hub_name, "PUT", TRANSFER_PUT, {}, orjson.dumps(body))

    def confirm(self, receiver: str, endpoint: str, body: bytes) -> None:
        """Tell the payee what it told the hub, as the hub's own PUT with the same body (protocol 3.6)."""
        self._send(receiver, self._hub_name, "PUT", endpoint, {}, body)

    def patch(self, receiver: str, body: dict[str, object]) -> None:
        """The hub's own PATCH /transfers/{id}, which uses the endpoint of PUT (protocol 3.6)."""
        self._send(receiver, self._hub_name, "PATCH", TRANSFER_PUT, {}, orjson.dumps(body))

    def error(self, receiver: str, error: ErrorInformation) -> None:
        """The hub's own PUT /transfers/{id}/error."""
        self._send(receiver, self._hub_name, "PUT", TRANSFER_ERROR, {}, orjson.dumps(error.as_json()))

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


class AgreementNotifier(Notifier):
    """The callbacks of what is agreed on before a transfer (protocol 7): one endpoint type a resource, a base URL."""

    def __init__(
        self,
        record: Record,
        view: View,
        resource: str,
        subject: str,
        trace: str | None,
        hub_name: str,
        deliver_by_ms: int,
    ) -> None:
        """What is passed on is worth nothing from `deliver_by_ms` on: its sender hears so, and asks again or gives up.

        The hub's own errors have no such end: who waits for an answer is to hear that there is none.
        """
        super().__init__(record, view, resource, subject, trace, hub_name)
        self._deliver_by_ms = deliver_by_ms
        self._endpoint = ENDPOINTS[resource]
        self._path = f"/{resource}/{subject}"

    def forward(self, message: AgreementMessage, body: bytes) -> None:
        """Forward a DFSP's message; unless it is an error, its sender is notified if it cannot be delivered."""
        failure = FailureMessage(
            receiver=message.source, endpoint=self._endpoint, path=f"{self._path}/error", variables={}
        )
        self.send(
            message.destination,
            message.source,
            _METHODS[message.action],
            self._endpoint,
            message.path,
            variables={},
            headers=message.headers,
            body=body,
            deliver_by_ms=self._deliver_by_ms,
            failure=None if message.action is Action.ERROR else failure,
        )

    def answer(self, receiver: str, source: str, answer: StoredAnswer) -> None:
        """Send a stored answer again."""
        path = self._path if answer.action is Action.ANSWER else f"{self._path}/error"
        self.send(
            receiver,
            source,
            "PUT",
            self._endpoint,
            path,
            variables={},
            headers=answer.headers,
            body=answer.body,
            deliver_by_ms=self._deliver_by_ms,
        )

    def error(self, receiver: str, error: ErrorInformation) -> None:
        """The hub's own PUT .../error."""
        self.send(
            receiver,
            self._hub_name,
            "PUT",
            self._endpoint,
            f"{self._path}/error",
            variables={},
            headers={},
            body=orjson.dumps(error.as_json()),
        )


_METHODS: Final[Mapping[Action, Method]] = {
    Action.REQUEST: "POST",
    Action.QUERY: "GET",
    Action.ANSWER: "PUT",
    Action.ERROR: "PUT",
}
_PATHS: Final = {TRANSFER_POST: "/transfers", TRANSFER_PUT: "/transfers/{}", TRANSFER_ERROR: "/transfers/{}/error"}
