"""Every resource and method of the FSPIOP API refuses what is no request of it, and keeps nothing (protocol 1.2, 1.3).

Generated from the OpenAPI description: each required header, each parameter, each constraint of each body.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from tests.web.body_faults import body_faults
from tests.web.fspiop_client import Dfsp
from tests.web.matrix import FSPIOP, OPERATIONS, Operation, Refusal, media, send
from tests.web.matrix_rows import ROWS
from tests.web.test_openapi import METHODS, schema_of

SYNTAX, MISSING = "Malformed syntax - ", "Missing mandatory element - "
TEXTS = {"3100": "Generic validation error - ", "3101": SYNTAX, "3102": MISSING, "3103": "Too many elements - "}
DECLARED = "/header must have required property '{}'"  # those that the reference leaves to its schema
MISSING_HEADERS = {
    "Accept": "Accept is required",
    "Content-Type": "Content-type is required",
    "Date": "Missing required date header",
    "FSPIOP-Source": DECLARED.format("fspiop-source"),
    "FSPIOP-Destination": DECLARED.format("fspiop-destination"),
}
OF_THE_QUOTING_SERVICE = {"Accept": DECLARED.format("accept")}
MALFORMED_HEADERS = (
    ("Accept", "application/json", "3101", "Invalid accept header"),
    ("Accept", "application/vnd.interoperability.nothing+json;version=1.1", "3101", "Invalid accept header"),
    ("Accept", "{media}, {media}", "3101", "Invalid accept header"),
    ("Content-Type", "application/json", "3101", "Invalid content-type header"),
    (
        "Content-Type",
        "application/vnd.interoperability.nothing+json;version=1.1",
        "3101",
        "Invalid content-type header",
    ),
    ("Content-Type", "{unversioned}", "3101", "Invalid content-type header"),
    ("Content-Type", "image/png", "3101", "Unsupported Media Type"),
    ("Date", "2017-05-23T21:12:31.000Z", "3101", "Invalid date header"),
    ("Date", "Wed, 23 May 2017 21:12:31 GMT", "3101", "Invalid date header"),
    ("FSPIOP-Source", "", "3100", "/header/fspiop-source must NOT have fewer than 1 characters"),
    ("FSPIOP-Destination", "", "3100", "/header/fspiop-destination must NOT have fewer than 1 characters"),
)
ACCEPT_UNSUPPORTED = "The Client requested an unsupported version, see extension list for supported version(s)."
CONTENT_UNSUPPORTED = "Client supplied a protocol version which is not supported by the server"
# Of the relaying service; all others also know 2.0.
OLD = ("transactionRequests", "authorizations")
NOT_JSON = (b"{", b"\xff", b'{"a": 1,}', b"'a'", b'{"a":' * 300 + b"1" + b"}" * 300)
NO_OBJECTS = (b"[]", b'"a"', b"1", b"null", b"true")
CORRELATION_ID = schema_of(FSPIOP, "CorrelationId")
OUTSIDE = {  # of what the schema of a path's segment allows
    "CorrelationId": ("1", "B51EC534-EE48-4575-B6A9-EAD2955B8069", "b51ec534-ee48-4575-b6a9-ead2955b806", "%20"),
    "Type": ("T" * 33,),
    "ID": ("1" * 129, "a%20b", "%7Ba%7D", "a%09b"),
    "SubId": ("1" * 129,),
}
EVERY = pytest.mark.parametrize("operation", OPERATIONS, ids=str)
ALL_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
# A sub-id may be empty; after a batch's error it is that of a party called `error`.
WITH_SLASH = {"/parties/{Type}/{ID}", "/participants/{Type}/{ID}", "/participants/{ID}/error"}


async def refused(
    dfsp: Dfsp,
    operation: Operation,
    expected: Refusal,
    headers: Mapping[str, str | None] | None = None,
    raw: bytes = b"",
    **changes: str,
) -> None:
    """The operation's good request with that change is refused so, as is described, and leaves nothing.

    An expected description that ends with a blank is the beginning of one.
    """
    sent = replace(ROWS[str(operation)].sent, **changes)
    status, code, description = (await send(dfsp, sent, headers, raw)).error

    shown = description[: len(expected.description)] if expected.description.endswith(" ") else description
    assert expected == (status, code, shown), (headers, raw, changes)
    assert status in operation.statuses
    assert [] == dfsp.recorder.records, (headers, raw, changes)


@EVERY
async def test_a_missing_header(dfsp: Dfsp, operation: Operation) -> None:
    texts = MISSING_HEADERS | (OF_THE_QUOTING_SERVICE if operation.resource in ("quotes", "bulkQuotes") else {})
    required = operation.required("header")

    assert {"Content-Type", "Date", "FSPIOP-Source"} <= set(required)
    assert (operation.method in ("GET", "POST", "DELETE")) == ("Accept" in required)
    for name in required:
        await refused(dfsp, operation, Refusal(400, "3102", MISSING + texts[name]), headers={name: None})


@EVERY
async def test_a_malformed_header(dfsp: Dfsp, operation: Operation) -> None:
    resource = media(operation.resource, "1.1")
    for name, pattern, code, text in MALFORMED_HEADERS:
        if name == "FSPIOP-Destination" and name not in operation.required("header"):
            continue
        value = pattern.format(media=resource, unversioned=resource.partition(";")[0])
        await refused(dfsp, operation, Refusal(400, code, TEXTS[code] + text), headers={name: value})


@EVERY
async def test_a_wrong_version(dfsp: Dfsp, operation: Operation) -> None:
    newest = () if operation.resource in OLD else ("2.0",)
    content = ("1.1", "1.0") if operation.resource in OLD else ("1.0", "1.1", "2.0")
    wrong = [("Content-Type", "9.9", CONTENT_UNSUPPORTED, content)]
    wrong += [("Content-Type", "2.0", CONTENT_UNSUPPORTED, content)] if not newest else []
    if "Accept" in operation.required("header"):
        wrong.append(("Accept", "9", ACCEPT_UNSUPPORTED, ("1.0", "1.1", *newest)))
    row = ROWS[str(operation)]

    for name, version, text, supported in wrong:
        headers = {name: media(operation.resource, version)}
        expected = Refusal(406, "3001", f"Unacceptable version requested - {text}"[:128])
        await refused(dfsp, operation, expected, headers=headers)
        information = json.loads((await send(dfsp, row.sent, headers)).body)["errorInformation"]
        listed = [(one["key"], one["value"]) for one in information["extensionList"]["extension"]]
        assert [tuple(one.split(".")) for one in supported] == listed


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.required("path")], ids=str)
async def test_a_malformed_path(dfsp: Dfsp, operation: Operation) -> None:
    """Each segment in turn, by the kind that its parameter is described as."""
    row = ROWS[str(operation)]
    good = dict(zip(operation.path.split("/"), row.sent.path.split("/"), strict=True))

    for name, schema in operation.parameters_in("path").items():
        kind = "CorrelationId" if schema == CORRELATION_ID else name
        for outside in OUTSIDE[kind]:
            segments = {**good, f"{{{name}}}": outside}
            path = "/".join(segments[step] for step in operation.path.split("/"))
            await refused(dfsp, operation, Refusal(400, "3100", f"{TEXTS['3100']}/path/{name} must "), path=path)


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.parameters_in("query")], ids=str)
async def test_a_malformed_query(dfsp: Dfsp, operation: Operation) -> None:
    row = ROWS[str(operation)]
    good = dict(one.split("=") for one in row.sent.query.removeprefix("?").split("&") if one)

    for name, schema in operation.parameters_in("query").items():
        code = "3101" if schema["type"] == "integer" else "3100"
        changes = [(_query({**good, name: "?"}), code, f"/query/{name} must ")]
        if name in operation.required("query"):
            without = {key: value for key, value in good.items() if key != name}
            changes.append((_query(without), "3102", f"/query must have required property '{name}'"))
        for query, code, text in changes:
            await refused(dfsp, operation, Refusal(400, code, TEXTS[code] + text), query=query)


def _query(parameters: Mapping[str, str]) -> str:
    return "?" + "&".join(f"{name}={value}" for name, value in parameters.items())


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.body is not None], ids=str)
async def test_a_malformed_body(dfsp: Dfsp, operation: Operation) -> None:
    good = ROWS[str(operation)].sent.body
    not_json, no_object = "Invalid request payload JSON format", "/requestBody must be object"

    for raw in NOT_JSON:
        await refused(dfsp, operation, Refusal(400, "3101", SYNTAX + not_json), raw=raw)
    for raw in NO_OBJECTS:
        await refused(dfsp, operation, Refusal(400, "3101", SYNTAX + no_object), raw=raw)
    faults = list(body_faults(operation.body, good))
    assert faults
    for fault in faults:
        expected = Refusal(400, fault.code, (TEXTS[fault.code] + fault.description)[:128])
        await refused(dfsp, operation, expected, raw=json.dumps(fault.body).encode())


def concrete(path: str) -> str:
    """A path as described, with something good in the place of each parameter."""
    sent = [row.sent.path for name, row in ROWS.items() if name.partition(" ")[2] == path]
    return sent[0] if sent else path.replace("{file}", "page.js")


@pytest.mark.parametrize("path", FSPIOP["paths"])
async def test_a_method_that_a_path_does_not_have(dfsp: Dfsp, path: str) -> None:
    allowed = {method.upper() for method in METHODS & FSPIOP["paths"][path].keys()}
    is_resource = any(path == one.path for one in OPERATIONS)
    allowed |= set() if is_resource else {"HEAD"}

    for method in ALL_METHODS:
        if method in allowed:
            continue
        answer = await dfsp.send(method, concrete(path))
        assert (405, allowed) == (answer.status, set(answer.headers["Allow"].split(","))), method
        if method != "HEAD":
            assert (405, "3000", "Generic client error - Method Not Allowed") == answer.error
    assert [] == dfsp.recorder.records


def unknown_paths() -> Iterator[str]:
    """Near every path, and far from all."""
    yield from (
        "",
        "/",
        "/fxTransfers",
        "/fxQuotes",
        "/services",
        "/consents",
        "/v1.1/transfers",
        "/%00",
        "/error",
        "/../x",
    )
    for path in FSPIOP["paths"]:
        known = concrete(path)
        yield f"/x{known}"
        yield f"/{known[1].swapcase()}{known[2:]}"
        yield f"{known}/error/error/error/x"
        if path not in WITH_SLASH:
            yield f"{known}/"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
async def test_a_path_that_is_not_there(dfsp: Dfsp, method: str) -> None:
    for path in unknown_paths():
        assert (404, "3002", "Unknown URI") == (await dfsp.send(method, path)).error, path
    assert [] == dfsp.recorder.records
