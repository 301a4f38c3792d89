"""Telling DFSPs of parties: what is passed on, and the hub's own answers, for each path with and without a sub-id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from agents.notify import Notifier
from agents.turn import Turn
from clearinghub.domain.errors import ErrorInformation
from clearinghub.messages import FailureMessage

_PREFIX: Final = "FSPIOP_CALLBACK_URL_"
# Endpoint types by resource and by what is sent (protocol 5.4); a sub-id stands behind the resource's name.
_NAMES: Final[Mapping[str, str]] = {"parties": "PARTIES", "participants": "PARTICIPANT"}
BATCH_PUT: Final = f"{_PREFIX}PARTICIPANT_BATCH_PUT"
BATCH_PUT_ERROR: Final = f"{_PREFIX}PARTICIPANT_BATCH_PUT_ERROR"


class PartyNotifier(Notifier):
    """The callbacks that a request about one party leads to."""

    def __init__(self, turn: Turn, asked: Mapping[str, Any]) -> None:
        super().__init__(turn._replace(trace=asked["trace"]), asked["resource"], asked["path"])
        self._asked = asked
        self._variables = {"partyIdType": asked["id_type"], "partyIdentifier": asked["identifier"]}
        if asked["sub_id"] is not None:
            self._variables["partySubIdOrType"] = asked["sub_id"]

    def pass_on(self, receiver: str, body: bytes, patience_ms: int) -> None:
        """The sender's own message, worth nothing after `patience_ms`.

        If it cannot be delivered its sender hears so, unless it was an error itself.
        """
        asked = self._asked
        source = asked["source"]
        self.send(
            receiver,
            source,
            asked["method"],
            self._endpoint(asked["method"], is_error=asked["is_error"]),
            self._path(is_error=asked["is_error"]),
            variables=self._variables,
            headers=asked["headers"],
            body=body,
            deliver_by_ms=self._turn.now_ms + patience_ms,
            failure=None if asked["is_error"] else self._failure(source),
        )

    def put(self, receiver: str, body: Mapping[str, object], *, source: str | None = None) -> None:
        """The hub's own answer, or one in a DFSP's name."""
        headers = {} if source is None else _without_signature(self._asked["headers"])
        self.send(
            receiver,
            source or self._turn.hub_name,
            "PUT",
            self._endpoint("PUT", is_error=False),
            self._path(is_error=False),
            variables=self._variables,
            headers=headers,
            body=orjson.dumps(body),
        )

    def error(self, receiver: str, error: ErrorInformation) -> None:
        """The hub's own error."""
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
        return {
            "receiver": receiver,
            "endpoint": self._endpoint("PUT", is_error=True),
            "path": self._path(is_error=True),
            "variables": self._variables,
        }

    def _endpoint(self, method: str, *, is_error: bool) -> str:
        sub_id = "_SUB_ID" if self._asked["sub_id"] is not None else ""
        return f"{_PREFIX}{_NAMES[self._asked['resource']]}{sub_id}_{method}{'_ERROR' if is_error else ''}"

    def _path(self, *, is_error: bool) -> str:
        path: str = self._asked["path"]
        return f"{path}/error" if is_error else path


class BatchNotifier(Notifier):
    """What the sender of a batch hears."""

    def __init__(self, turn: Turn, request_id: str, trace: str | None) -> None:
        super().__init__(turn._replace(trace=trace), "participants", request_id)

    def result(self, receiver: str, body: Mapping[str, object]) -> None:
        """PUT /participants/{requestId}."""
        self._tell(receiver, BATCH_PUT, f"/participants/{self._subject}", body)

    def error(self, receiver: str, error: ErrorInformation) -> None:
        """PUT /participants/{requestId}/error."""
        self._tell(receiver, BATCH_PUT_ERROR, f"/participants/{self._subject}/error", error.as_json())

    def _tell(self, receiver: str, endpoint: str, path: str, body: Mapping[str, object]) -> None:
        variables = {"requestId": self._subject}
        self.send(
            receiver,
            self._turn.hub_name,
            "PUT",
            endpoint,
            path,
            variables=variables,
            headers={},
            body=orjson.dumps(body),
        )


def tell_of_failure(turn: Turn, line: Mapping[str, Any], error: ErrorInformation) -> None:
    """Tell whoever sent what led to a record of topic `party` that it came to nothing."""
    asked = line["asked"] if line["kind"] == "oracle-answer" else line
    if asked["kind"] == "party":
        PartyNotifier(turn, asked).error(asked["source"], error)
        return
    if asked["kind"] == "party-batch":
        request_id, source = asked["id"], asked["source"]
    else:
        request_id, _, source = asked["batch"].partition("/")
    BatchNotifier(turn, request_id, None).error(source, error)


def _without_signature(headers: Mapping[str, str]) -> dict[str, str]:
    """What stood under it is another message."""
    return {name: value for name, value in headers.items() if name != "fspiop-signature"}
