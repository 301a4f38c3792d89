"""The callbacks of what DFSPs agree on before a transfer (protocol 7): one endpoint type a resource, a base URL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from agents.notify import Notifier
from agents.turn import Turn
from clearinghub.domain.errors import ErrorInformation
from clearinghub.domain.quotes.agreement import ENDPOINTS
from clearinghub.domain.quotes.stored_quote import StoredAnswer
from clearinghub.messages import FailureMessage
from clearinghub.messages.callbacks import Method
from clearinghub.messages.quotes import Action, AgreementMessage

_METHODS: Final[Mapping[Action, Method]] = {
    Action.REQUEST: "POST",
    Action.QUERY: "GET",
    Action.ANSWER: "PUT",
    Action.ERROR: "PUT",
}


class AgreementNotifier(Notifier):
    """Emits the callbacks that follow from one message."""

    def __init__(self, turn: Turn, message: AgreementMessage) -> None:
        super().__init__(turn, message.resource, message.id)
        self._message = message
        self._endpoint = ENDPOINTS[message.resource]
        self._path = f"/{message.resource}/{message.id}"
        # A late message is worthless: its sender is notified of the failure, and may repeat the message.
        self._deliver_by_ms = turn.now_ms + turn.context.forward_patience_ms

    def forward(self, body: bytes) -> None:
        """Forward the message; unless it is an error, its sender is notified if it cannot be delivered in time."""
        message = self._message
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

    def answer(self, source: str, answer: StoredAnswer) -> None:
        """Send a stored answer to the message's sender, with `source` as its FSPIOP-Source."""
        self.send(
            self._message.source,
            source,
            "PUT",
            self._endpoint,
            self._path if answer.action is Action.ANSWER else f"{self._path}/error",
            variables={},
            headers=answer.headers,
            body=answer.body,
            deliver_by_ms=self._deliver_by_ms,
        )

    def error(self, error: ErrorInformation) -> None:
        """Send the hub's own error to the message's sender; it is delivered however late."""
        self.send(
            self._message.source,
            self._turn.hub_name,
            "PUT",
            self._endpoint,
            f"{self._path}/error",
            variables={},
            headers={},
            body=orjson.dumps(error.as_json()),
        )
