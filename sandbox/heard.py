"""What a simulated DFSP hears before a transfer: about parties, quotes, and what payees ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.fspiop_client import shown_request


@dataclass(frozen=True, slots=True)
class Heard:
    """A message of another DFSP, or an error of the hub. Header names in lower case; `path` without the query."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    content: dict[str, Any]
    arrived_at_ns: int

    @property
    def resource(self) -> str:
        """`quotes`, ..."""
        return self.path.split("/")[1]

    @property
    def transfer_id(self) -> str:
        """What it is about."""
        in_path = self.path.removeprefix(f"/{self.resource}").removesuffix("/error").strip("/")
        in_body = (self.content.get(name) for name in ("quoteId", "bulkQuoteId", "transactionRequestId"))
        return in_path or next((one for one in in_body if isinstance(one, str)), "")

    @property
    def error_code(self) -> str:
        """The errorCode it tells; empty if it is no error."""
        error = self.content.get("errorInformation")
        return str(error.get("errorCode")) if isinstance(error, dict) else ""

    @property
    def label(self) -> str:
        """In a line."""
        return f"{self.method} {self.path} {self.error_code}".rstrip()

    @property
    def shown(self) -> str:
        """For people, without ids: `PUT /quotes/…`."""
        return f"{shown_request(self.method, self.path)} {self.error_code}".rstrip()
