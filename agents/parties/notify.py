"""The callbacks of /parties and /participants: forwarded requests, and the hub's own answers and errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from agents.notify import Notifier
from agents.turn import Turn
from clearinghub.domain.errors import ErrorInformation
from clearinghub.messages import FailureMessage
from clearinghub.messages.parties import (
    OracleAnswerMessage,
    OracleBatchPart,
    PartyBatchMessage,
    PartyMessage,
    PartyPartDoneMessage,
    PartyPartMessage,
)
from tables.batches import split_batch_key

_PREFIX: Final = "FSPIOP_CALLBACK_URL_"
# The endpoint types by resource (protocol 5.4); `_SUB_ID`, the method and `_ERROR` follow this name.
_NAMES: Final[Mapping[str, str]] = {"parties": "PARTIES", "participants": "PARTICIPANT"}
BATCH_PUT: Final = f"{_PREFIX}PARTICIPANT_BATCH_PUT"
BATCH_PUT_ERROR: Final = f"{_PREFIX}PARTICIPANT_BATCH_PUT_ERROR"


class PartyNotifier(Notifier):
    """Emits the callbacks that follow from a request about one party."""

    def __init__(self, turn: Turn, request: PartyMessage) -> None:
        super().__init__(turn, request.resource, request.path)
        self._request = request
        party = request.party
        self._variables = {"partyIdType": party.id_type, "partyIdentifier": party.identifier}
        if party.sub_id is not None:
            self._variables["partySubIdOrType"] = party.sub_id

    def forward(self, receiver: str, body: bytes) -> None:
        """Forward the request to a DFSP; unless it is an error, its sender is notified if that fails in time."""
        request = self._request
        self.send(
            receiver,
            request.source,
            request.method,
            self._endpoint(request.method, is_error=request.is_error),
            self._path(is_error=request.is_error),
            variables=self._variables,
            headers=request.headers,
            body=body,
            deliver_by_ms=self._turn.now_ms + self._turn.context.forward_patience_ms,
            failure=None if request.is_error else self._failure(request.source),
        )

    def put(self, receiver: str, body: Mapping[str, object], *, source: str | None = None) -> None:
        """Send the hub's own answer; with `source` it is sent in the name of that DFSP, with its request's headers."""
        self.send(
            receiver,
            source or self._turn.hub_name,
            "PUT",
            self._endpoint("PUT", is_error=False),
            self._path(is_error=False),
            variables=self._variables,
            headers={} if source is None else _without_signature(self._request.headers),
            body=orjson.dumps(body),
        )

    def error(self, receiver: str, error: ErrorInformation) -> None:
        """Send the hub's own error callback."""
        self.send(
            receiver,
            self._turn.hub_name,
            "PUT",
            self._endpoint("PUT", is_error=True),
            self._path(is_error=True),
            variables=self._variables,
            headers={},
            body=orjson.dumps(error.as_json()),
        )

    def _failure(self, receiver: str) -> FailureMessage:
        return FailureMessage(
            receiver=receiver,
            endpoint=self._endpoint("PUT", is_error=True),
            path=self._path(is_error=True),
            variables=self._variables,
        )

    def _endpoint(self, method: str, *, is_error: bool) -> str:
        sub_id = "_SUB_ID" if self._request.party.sub_id is not None else ""
        return f"{_PREFIX}{_NAMES[self._request.resource]}{sub_id}_{method}{'_ERROR' if is_error else ''}"

    def _path(self, *, is_error: bool) -> str:
        return f"{self._request.path}/error" if is_error else self._request.path


class BatchNotifier(Notifier):
    """Emits the one callback that answers POST /participants."""

    def __init__(self, turn: Turn, request_id: str) -> None:
        super().__init__(turn, "participants", request_id)

    def result(self, receiver: str, body: Mapping[str, object]) -> None:
        """Send PUT /participants/{requestId} with the result of each party."""
        self._put(receiver, BATCH_PUT, f"/participants/{self._subject}", body)

    def error(self, receiver: str, error: ErrorInformation) -> None:
        """Send PUT /participants/{requestId}/error, for the batch as a whole."""
        self._put(receiver, BATCH_PUT_ERROR, f"/participants/{self._subject}/error", error.as_json())

    def _put(self, receiver: str, endpoint: str, path: str, body: Mapping[str, object]) -> None:
        self.send(
            receiver,
            self._turn.hub_name,
            "PUT",
            endpoint,
            path,
            variables={"requestId": self._subject},
            headers={},
            body=orjson.dumps(body),
        )


FromDfsp = PartyMessage | PartyBatchMessage | PartyPartMessage | PartyPartDoneMessage | OracleAnswerMessage
"""The messages of topic `party` that follow from a DFSP's request."""


def notify_of_failure(turn: Turn, message: FromDfsp, error: ErrorInformation) -> None:
    """Send the DFSP whose request has led to the message an error callback."""
    request = message.request if isinstance(message, OracleAnswerMessage) else message
    if isinstance(request, PartyMessage):
        PartyNotifier(turn, request).error(request.source, error)
        return
    if isinstance(request, PartyBatchMessage):
        request_id, source = request.id, request.source
    else:
        assert isinstance(request, PartyPartMessage | PartyPartDoneMessage | OracleBatchPart)
        request_id, source = split_batch_key(request.batch)
    BatchNotifier(turn, request_id).error(source, error)


def _without_signature(headers: Mapping[str, str]) -> dict[str, str]:
    """Drop the signature: it covers the original body, and we send another."""
    return {name: value for name, value in headers.items() if name != "fspiop-signature"}
