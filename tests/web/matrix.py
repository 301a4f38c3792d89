"""The parts of the matrix of resources and methods (protocol 1.6): described operations, and a request for each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

from tests.web.exchange import Callback
from tests.web.fspiop_client import DATE, Answer, Dfsp
from tests.web.test_openapi import METHODS, resolved
from web.documentation.description import surface_description

HUB, NOBODY = "Hub", "nobody"
UNKNOWN_ID = "b51ec534-ee48-4575-b6a9-ead2955b8999"
UNKNOWN_IDENTIFIER = "99999"
UNKNOWN_TYPE = "SHOE_SIZE"
DESCRIPTION_LENGTH_MAX = 128  # protocol 1.2
FSPIOP = surface_description("fspiop")


@dataclass(frozen=True)
class Operation:
    """A method of a path in the API description."""

    method: str
    path: str
    described: Mapping[str, Any]
    parameters: list[Mapping[str, Any]]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def resource(self) -> str:
        """The first part of the path, for example `transfers`."""
        return self.path.split("/")[1]

    @property
    def statuses(self) -> set[int]:
        """The statuses of all described answers."""
        return {int(status) for status in self.described["responses"]}

    @property
    def body(self) -> Any:
        """The schema of the request's body, or None without one."""
        if "requestBody" not in self.described:
            return None
        [content] = self.described["requestBody"]["content"].values()
        return resolved(content["schema"], FSPIOP)

    def parameters_in(self, place: str) -> dict[str, Mapping[str, Any]]:
        """Return the schemas of all parameters in `header`, `path` or `query`, by name."""
        return {one["name"]: one["schema"] for one in self.parameters if one["in"] == place}

    def required(self, place: str) -> list[str]:
        """Return the names of the required parameters."""
        return [one["name"] for one in self.parameters if one["in"] == place and one.get("required")]


def _operations() -> Iterator[Operation]:
    for path, item in FSPIOP["paths"].items():
        for method in sorted(METHODS & item.keys()):
            described = item[method]
            if described["tags"] != ["operations"]:
                parameters = [*item.get("parameters", []), *described.get("parameters", [])]
                yield Operation(method.upper(), path, described, resolved(parameters, FSPIOP))


OPERATIONS = list(_operations())


@dataclass(frozen=True)
class Sent:
    """A good request with only the required headers, and the receiver's name if there is a receiver."""

    method: str
    path: str
    source: str
    destination: str | None = None
    body: Any = None
    query: str = ""

    @property
    def resource(self) -> str:
        """The first part of the path, for example `transfers`."""
        return self.path.split("/")[1]

    @property
    def url(self) -> str:
        """The path with the query, if there is one."""
        return self.path + self.query

    @property
    def subject_path(self) -> str:
        """The path of the subject; the body of a POST has its id first."""
        is_new = self.path == f"/{self.resource}"
        return f"{self.path}/{next(iter(self.body.values()))}" if is_new else self.path.removesuffix("/error")

    @property
    def error_path(self) -> str:
        """The path of an error callback about the subject."""
        return f"{self.subject_path}/error"

    @property
    def headers(self) -> dict[str, str | None]:
        """All headers; None for a header that is not sent."""
        return {
            "Accept": media(self.resource, "1") if self.method in ("GET", "POST", "DELETE") else None,
            "Content-Type": media(self.resource, "1.1"),
            "Date": DATE,
            "FSPIOP-Source": self.source,
            "FSPIOP-Destination": self.destination,
        }

    def of_a_stranger(self) -> Sent:
        """Return the same request from an unknown FSP."""
        return replace(self, source=NOBODY, body=_renamed(self.body, self.source, NOBODY))

    def for_a_stranger(self) -> Sent:
        """Return the same request to an unknown FSP."""
        return replace(self, destination=NOBODY, body=_renamed(self.body, self.destination, NOBODY))

    def about_something_unknown(self) -> Sent:
        """Return the same request with another id or identifier in its path."""
        steps = self.path.removesuffix("/error").split("/")
        steps[-1] = UNKNOWN_ID if len(steps[-1]) == len(UNKNOWN_ID) else UNKNOWN_IDENTIFIER
        return replace(self, path="/".join(steps) + ("/error" if self.path.endswith("/error") else ""))

    def of_an_unknown_type(self) -> Sent:
        """Return the same request about a type of identifiers that nobody serves."""
        return replace(self, path=self.path.replace("MSISDN", UNKNOWN_TYPE))

    def with_more(self) -> Sent:
        """Return the same request with an additional, unknown property."""
        return replace(self, body={**self.body, "unheardOf": {"in": "the API"}})


def media(resource: str, version: str) -> str:
    """Return the media type of a resource."""
    return f"application/vnd.interoperability.{resource}+json;version={version}"


def _renamed(body: Any, name: str | None, other: str) -> Any:
    """Return a body with one FSP's name replaced by another."""
    if isinstance(body, dict):
        return {key: _renamed(value, name, other) for key, value in body.items()}
    if isinstance(body, list):
        return [_renamed(value, name, other) for value in body]
    return other if body == name and name is not None else body


async def send(dfsp: Dfsp, sent: Sent, headers: Mapping[str, str | None] | None = None, raw: bytes = b"") -> Answer:
    """Send the request, with other headers or another body if given."""
    data = raw or (None if sent.body is None else json.dumps(sent.body).encode())
    return await dfsp.send(sent.method, sent.url, {**sent.headers, **(headers or {})}, data)


class Refusal(NamedTuple):
    """A synchronous refusal: status, errorCode, errorDescription."""

    status: int
    code: str
    description: str


Outcome: TypeAlias = Refusal | list[Callback]
Expected: TypeAlias = Callable[[Sent], Outcome]
"""What a request must lead to: a refusal, or a list of callbacks."""


def silence(_sent: Sent) -> Outcome:
    """Expect no callback: there is nobody to notify, or nothing to send."""
    return []


def forwarded(to: str | None = None) -> Expected:
    """Expect that the other DFSP gets the message unchanged."""
    return lambda sent: [Callback(to or str(sent.destination), sent.source, sent.method, sent.url, sent.body)]


def hub_answer(body: Any, to: str | None = None) -> Expected:
    """Expect the hub's own answer, to the sender unless `to` names another DFSP."""
    return lambda sent: [Callback(to or sent.source, HUB, "PUT", sent.subject_path, body)]


def hub_error(body: Any, to: str | None = None) -> Expected:
    """Expect the hub's own copy of a DFSP's error, to the sender unless `to` names another DFSP."""
    return lambda sent: [Callback(to or sent.source, HUB, "PUT", sent.error_path, body)]


def confirmed(sent: Sent) -> Outcome:
    """Expect the hub's own confirmation to the message's sender: what the message says, in the hub's words."""
    body = {"completedTimestamp": "any", "transferState": "COMMITTED", "fulfilment": sent.body["fulfilment"]}
    return [Callback(sent.source, HUB, sent.method, sent.path, body)]


def error(code: str, description: str, to: str | None = None, *, extended: bool = False) -> Expected:
    """Expect the hub's own error; `{0.…}` in its text are fields of the request, `extended` adds its extensions."""

    def outcome(sent: Sent) -> Outcome:
        text = description.format(sent)[:DESCRIPTION_LENGTH_MAX]
        information = {"errorCode": code, "errorDescription": text}
        if extended:
            information["extensionList"] = sent.body["extensionList"]
        return hub_error({"errorInformation": information}, to)(sent)

    return outcome


def refused(status: int, code: str, description: str) -> Expected:
    return lambda _sent: Refusal(status, code, description)


def refused_stranger(sent: Sent) -> Outcome:
    """Expect what every request of an unknown FSP leads to."""
    if sent.resource == "participants":
        return Refusal(400, "3200", "Generic ID not found - Requester FSP not found")
    return Refusal(400, "3101", "Malformed syntax - invalid fspiop-source header")


def each(*parts: Expected) -> Expected:
    """Expect the callbacks of several expectations, in order."""

    def outcome(sent: Sent) -> Outcome:
        callbacks: list[Callback] = []
        for part in parts:
            one = part(sent)
            assert not isinstance(one, Refusal)
            callbacks += one
        return callbacks

    return outcome


@dataclass(frozen=True)
class Row:
    """What an operation must lead to: a good request, one to an unknown FSP, one about an unknown id or type.

    `before` are the requests that must precede the good one. A field is None where the path has no such case.
    """

    sent: Sent
    good: Expected
    for_stranger: Expected
    id_unknown: Expected | None = None
    type_unknown: Expected | None = None
    before: tuple[Sent, ...] = ()
