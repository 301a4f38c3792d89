"""The messages that a simulated DFSP sends and receives, and the hops of which a payment's journey is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class CallbackKind(Enum):
    """The four messages that the hub sends to a DFSP about a transfer (protocol 3.6)."""

    PREPARE = "POST"
    FULFIL = "PUT"
    NOTICE = "PATCH"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Callback:
    """A message of the hub about a transfer or a bulk.

    Header names are in lower case. `transfer_id` is the id of the transfer or bulk, `arrived_at_ns` a time of
    `time.perf_counter_ns`.
    """

    kind: CallbackKind
    transfer_id: str
    headers: Mapping[str, str]
    body: bytes
    content: dict[str, Any]
    arrived_at_ns: int

    @property
    def source(self) -> str:
        """FSPIOP-Source: the other DFSP if the hub forwards its message, the hub's name if the message is its own."""
        return self.headers.get("fspiop-source", "")

    @property
    def outcome(self) -> str:
        """The state of the transfer or bulk, or the errorCode of an error; empty for a POST."""
        if self.kind is CallbackKind.ERROR:
            return error_code(self.content) or "malformed"
        if self.kind is CallbackKind.PREPARE:
            return ""
        return str(self.content.get("transferState") or self.content.get("bulkTransferState", ""))

    @property
    def label(self) -> str:
        """Kind and outcome as one text: `POST`, `PUT COMMITTED`, `PATCH COMMITTED`, `ERROR 4200`."""
        return f"{self.kind.value} {self.outcome}".rstrip()

    @property
    def shown(self) -> str:
        """The request line with the amount or the outcome, for people: `PUT /transfers/… COMMITTED`."""
        if self.kind is CallbackKind.PREPARE:
            amount = self.content.get("amount")
            money = f"{amount.get('amount')} {amount.get('currency')}" if isinstance(amount, dict) else "?"
            return f"POST /transfers {money}"
        if self.kind is CallbackKind.ERROR:
            return f"PUT /transfers/…/error {self.outcome}"
        return f"{self.kind.value} /transfers/… {self.outcome}".rstrip()

    @property
    def cause(self) -> str | None:
        """The value of the extension `cause`, which says why a transfer was aborted (protocol 3.7), or None."""
        listed = self.content.get("extensionList")
        extensions = listed.get("extension") if isinstance(listed, dict) else None
        for extension in extensions if isinstance(extensions, list) else []:
            if isinstance(extension, dict) and extension.get("key") == "cause":
                return str(extension.get("value"))
        return None


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message about anything but transfers (parties, quotes, requests to pay), from another DFSP or the hub.

    Header names are in lower case; `path` is without the query.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    content: dict[str, Any]
    arrived_at_ns: int

    @property
    def resource(self) -> str:
        """The first segment of the path, such as `quotes`."""
        return self.path.split("/")[1]

    @property
    def transfer_id(self) -> str:
        """The id of the quote, request or party; in the path or, for a POST, in the body."""
        in_path = self.path.removeprefix(f"/{self.resource}").removesuffix("/error").strip("/")
        in_body = (self.content.get(name) for name in ("quoteId", "bulkQuoteId", "transactionRequestId"))
        return in_path or next((value for value in in_body if isinstance(value, str)), "")

    @property
    def error_code(self) -> str:
        """The FSPIOP errorCode; empty if the message is no error."""
        return error_code(self.content)

    @property
    def label(self) -> str:
        """Method, path and errorCode as one text, for messages of exceptions and logs."""
        return f"{self.method} {self.path} {self.error_code}".rstrip()

    @property
    def shown(self) -> str:
        """Method, path and errorCode for people, without ids: `PUT /quotes/…`."""
        return f"{shown_request(self.method, self.path)} {self.error_code}".rstrip()


@dataclass(frozen=True, slots=True)
class Answer:
    """The hub's synchronous answer to a request. Times are of `time.perf_counter_ns`."""

    status: int
    content: dict[str, Any]
    sent_at_ns: int
    answered_at_ns: int

    @property
    def error_code(self) -> str:
        """The FSPIOP errorCode of a refusal; empty if there is none."""
        return error_code(self.content)

    @property
    def text(self) -> str:
        """The status, with the error if there is one: `202`, `400 (3100 Generic validation error - ...)`."""
        error = self.content.get("errorInformation")
        if not isinstance(error, dict):
            return str(self.status)
        return f"{self.status} ({error.get('errorCode')} {error.get('errorDescription')})"


class Direction(Enum):
    """The direction of a hop, as the DFSP sees it."""

    TO_HUB = "to-hub"
    FROM_HUB = "from-hub"


@dataclass(frozen=True, slots=True)
class Message:
    """A request as it was sent or as it arrived. Header names are in lower case; `path` includes the query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def resource(self) -> str:
        """The first segment of the path, such as `transfers`."""
        return self.path.split("/")[1]


@dataclass(frozen=True, slots=True)
class Hop:
    """One message between a DFSP and the hub, as this DFSP saw it.

    `transfer_id` is the id of the transfer, bulk or quote, and of a party `type/identifier`. `what` is a text for
    people, `at_ns` a time of `time.perf_counter_ns`. Only the hub's synchronous answers have no `message`; what the hub
    sends about a transfer or a bulk is also in `callback`.
    """

    dfsp: str
    direction: Direction
    transfer_id: str
    what: str
    at_ns: int
    callback: Callback | None = field(default=None, repr=False)
    message: Message | None = field(default=None, repr=False)


def shown_request(method: str, path: str) -> str:
    """Return a request line for people, without ids: `PUT /quotes/…/error`."""
    resource, _, rest = path.partition("?")[0].removeprefix("/").partition("/")
    return f"{method} /{resource}{'/…' if rest else ''}{'/error' if rest.endswith('/error') else ''}"


def error_code(content: Mapping[str, Any]) -> str:
    """Return the errorCode of a body's errorInformation; empty if it has none."""
    error = content.get("errorInformation")
    return str(error.get("errorCode")) if isinstance(error, dict) else ""
