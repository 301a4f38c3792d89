"""What a DFSP sees of a payment: the hub's callbacks, and the hops that its journey is made of."""

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
    """One callback as it arrived. Header names are in lower case; `arrived_at_ns` is of `time.perf_counter_ns`."""

    kind: CallbackKind
    transfer_id: str
    headers: Mapping[str, str]
    body: bytes
    content: dict[str, Any]
    arrived_at_ns: int

    @property
    def source(self) -> str:
        """FSPIOP-Source: the other DFSP when the hub forwards, the hub when it speaks for itself."""
        return self.headers.get("fspiop-source", "")

    @property
    def outcome(self) -> str:
        """The state, of the transfer or of the bulk, or the errorCode that it tells; empty for a POST."""
        error = self.content.get("errorInformation")
        if self.kind is CallbackKind.ERROR:
            return str(error.get("errorCode")) if isinstance(error, dict) else "malformed"
        if self.kind is CallbackKind.PREPARE:
            return ""
        return str(self.content.get("transferState") or self.content.get("bulkTransferState", ""))

    @property
    def label(self) -> str:
        """Kind and outcome in one text: `POST`, `PUT COMMITTED`, `PATCH COMMITTED`, `ERROR 4200`."""
        return f"{self.kind.value} {self.outcome}".rstrip()

    @property
    def shown(self) -> str:
        """The request line and what it tells, for people."""
        if self.kind is CallbackKind.PREPARE:
            amount = self.content.get("amount")
            money = f"{amount.get('amount')} {amount.get('currency')}" if isinstance(amount, dict) else "?"
            return f"POST /transfers {money}"
        if self.kind is CallbackKind.ERROR:
            return f"PUT /transfers/…/error {self.outcome}"
        return f"{self.kind.value} /transfers/… {self.outcome}".rstrip()

    @property
    def cause(self) -> str | None:
        """The extension `cause` that tells why a transfer was aborted (protocol 3.7), or None."""
        listed = self.content.get("extensionList")
        extensions = listed.get("extension") if isinstance(listed, dict) else None
        for extension in extensions if isinstance(extensions, list) else []:
            if isinstance(extension, dict) and extension.get("key") == "cause":
                return str(extension.get("value"))
        return None


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
        error = self.content.get("errorInformation")
        return str(error.get("errorCode")) if isinstance(error, dict) else ""

    @property
    def text(self) -> str:
        """The status, and the error if it is one: `202`, `400 (3100 Generic validation error - ...)`."""
        error = self.content.get("errorInformation")
        if not isinstance(error, dict):
            return str(self.status)
        return f"{self.status} ({error.get('errorCode')} {error.get('errorDescription')})"


class Direction(Enum):
    """Which way a hop went, seen from the DFSP."""

    TO_HUB = "to-hub"
    FROM_HUB = "from-hub"


@dataclass(frozen=True, slots=True)
class Message:
    """A request as it was sent or as it arrived. Header names are in lower case; `path` has its query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def resource(self) -> str:
        """`transfers`, `quotes`, ..."""
        return self.path.split("/")[1]


@dataclass(frozen=True, slots=True)
class Hop:
    """One step of a journey, seen by one DFSP.

    `transfer_id` is the id of what it is about, of a party `type/identifier`. `what` is a text for people, `at_ns`
    is of `time.perf_counter_ns`. Only the hub's synchronous answers have no `message`; what it tells about a transfer
    or a bulk is a `callback` too.
    """

    dfsp: str
    direction: Direction
    transfer_id: str
    what: str
    at_ns: int
    callback: Callback | None = field(default=None, repr=False)
    message: Message | None = field(default=None, repr=False)
