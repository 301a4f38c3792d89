"""Headers: each check of protocol 1.2, its text, and that the earlier one wins."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from tests.fakes import fields_of
from tests.web.fspiop_client import FULFIL, TRANSFER_ID, Dfsp, a_dfsp, raw_prepare, send_raw
from web.fspiop.headers import is_http_date
from web.fspiop.versions import ANY_VERSION, accepted_versions, content_version, extension_list

MEDIA = "application/vnd.interoperability.transfers+json"
BROKEN = b'{"transferId"'

CLIENT_OTHER = {"x-client-id": "otherfsp"}
PROXY_OTHER = {"x-client-id": "proxy1", "fspiop-proxy": "proxy2"}
PROXY_IS_SOURCE = {"x-client-id": "payerfsp", "fspiop-proxy": "payerfsp"}

# In the order of the checks: every row must be answered before all rows below it.
LADDER: list[tuple[Mapping[str, str | None], tuple[int, str, str]]] = [
    (CLIENT_OTHER, (400, "3100", "Generic validation error - Invalid fspiop-source header")),
    ({"x-client-id": ""}, (400, "3100", "Generic validation error - Invalid fspiop-source header")),
    ({"Accept": None}, (400, "3102", "Missing mandatory element - Accept is required")),
    ({"Date": None}, (400, "3102", "Missing mandatory element - Missing required date header")),
    ({"Content-Type": None}, (400, "3102", "Missing mandatory element - Content-type is required")),
    (
        {"FSPIOP-Source": None},
        (400, "3102", "Missing mandatory element - /header must have required property 'fspiop-source'"),
    ),
    ({}, (400, "3101", "Malformed syntax - Invalid request payload JSON format")),
]


@pytest.mark.parametrize("rung", range(len(LADDER)))
async def test_the_first_mistake_is_answered(dfsp: Dfsp, rung: int) -> None:
    headers: dict[str, str | None] = {}
    for changes, _ in LADDER[rung:]:
        headers.update(changes)

    answer = await dfsp.send("POST", "/transfers", headers, BROKEN)

    assert LADDER[rung][1] == answer.error
    assert [] == dfsp.recorder.records


@pytest.mark.parametrize(
    ("headers", "code", "description"),
    [
        (CLIENT_OTHER, "3100", "Generic validation error - Invalid fspiop-source header"),
        (PROXY_OTHER, "3100", "Generic validation error - Invalid fspiop-proxy header"),
        (PROXY_IS_SOURCE, "3100", "Generic validation error - Invalid fspiop-proxy header"),
        ({"Accept": "application/json"}, "3101", "Malformed syntax - Invalid accept header"),
        ({"Accept": "*/*"}, "3101", "Malformed syntax - Invalid accept header"),
        ({"Accept": ""}, "3101", "Malformed syntax - Invalid accept header"),
        ({"Accept": f"{MEDIA};version=1, {MEDIA};version=2"}, "3101", "Malformed syntax - Invalid accept header"),
        (
            {"Accept": "application/vnd.interoperability.quotes+json;version=1"},
            "3101",
            "Malformed syntax - Invalid accept header",
        ),
        ({"Date": "2017-05-23T21:12:31Z"}, "3101", "Malformed syntax - Invalid date header"),
        ({"Date": ""}, "3101", "Malformed syntax - Invalid date header"),
        ({"Content-Type": "application/json"}, "3101", "Malformed syntax - Invalid content-type header"),
        ({"Content-Type": f"{MEDIA};version=1"}, "3101", "Malformed syntax - Invalid content-type header"),
        ({"Content-Type": MEDIA}, "3101", "Malformed syntax - Invalid content-type header"),
        ({"Content-Type": "text/plain"}, "3101", "Malformed syntax - Invalid content-type header"),
        ({"Content-Type": "application/xml"}, "3101", "Malformed syntax - Unsupported Media Type"),
        ({"Content-Type": "nonsense"}, "3101", "Malformed syntax - Unsupported Media Type"),
        (
            {"FSPIOP-Source": ""},
            "3100",
            "Generic validation error - /header/fspiop-source must NOT have fewer than 1 characters",
        ),
    ],
)
async def test_a_wrong_header_is_refused(
    dfsp: Dfsp, headers: Mapping[str, str | None], code: str, description: str
) -> None:
    answer = await dfsp.post(headers)

    assert (400, code, description) == answer.error
    assert [] == dfsp.recorder.records


@pytest.mark.parametrize(
    "headers",
    [
        {"x-client-id": "payerfsp"},
        {"x-client-id": "proxy1", "fspiop-proxy": "proxy1"},
        {"Accept": f"{MEDIA};version=1"},
        {"Accept": f"{MEDIA} ; version=1.1"},
        {"Accept": f"{MEDIA};version=9,{MEDIA};version=2.0"},
        {"Accept": f"{MEDIA},{MEDIA};version=2"},
        {"Content-Type": f"{MEDIA} ; version=2.0"},
        {"Content-Type": f"{MEDIA};version=1.0"},
        {"FSPIOP-Destination": None},
    ],
)
async def test_what_the_grammar_allows_is_accepted(dfsp: Dfsp, headers: Mapping[str, str | None]) -> None:
    answer = await dfsp.post(headers)

    assert (202, b"") == (answer.status, answer.body)


@pytest.mark.parametrize("accept", [f"{MEDIA};version=3", MEDIA])
async def test_an_accept_that_cannot_be_served_is_406_and_tells_the_versions(dfsp: Dfsp, accept: str) -> None:
    answer = await dfsp.post({"Accept": accept})

    assert 406 == answer.status
    assert {
        "errorInformation": {
            "errorCode": "3001",
            "errorDescription": (
                "Unacceptable version requested - The Client requested an unsupported version, "
                "see extension list for supported version(s)."
            ),
            "extensionList": {
                "extension": [{"key": "1", "value": "0"}, {"key": "1", "value": "1"}, {"key": "2", "value": "0"}]
            },
        }
    } == json.loads(answer.body)


async def test_a_content_version_that_is_not_supported_is_406_in_the_configured_order() -> None:
    async with a_dfsp(content_versions=("1.1", "1.0")) as dfsp:
        answer = await dfsp.post({"Content-Type": f"{MEDIA};version=2.0"})

    assert 406 == answer.status
    assert {
        "errorInformation": {
            "errorCode": "3001",
            "errorDescription": (
                "Unacceptable version requested - Client supplied a protocol version "
                "which is not supported by the server"
            ),
            "extensionList": {"extension": [{"key": "1", "value": "1"}, {"key": "1", "value": "0"}]},
        }
    } == json.loads(answer.body)


async def test_a_scheme_may_allow_an_accept_without_a_version() -> None:
    async with a_dfsp(accept_versions=("1.1", ANY_VERSION)) as dfsp:
        assert 202 == (await dfsp.post({"Accept": MEDIA})).status


async def test_on_a_callback_accept_is_not_required_and_only_its_grammar_is_checked(dfsp: Dfsp) -> None:
    body = json.dumps(FULFIL).encode()
    path = f"/transfers/{TRANSFER_ID}"

    assert 200 == (await dfsp.send("PUT", path, {}, body)).status
    assert 200 == (await dfsp.send("PUT", path, {"Accept": f"{MEDIA};version=9"}, body)).status
    answer = await dfsp.send("PUT", path, {"Accept": "*/*"}, body)
    assert (400, "3101", "Malformed syntax - Invalid accept header") == answer.error


async def test_content_type_is_mandatory_on_a_get_too(dfsp: Dfsp) -> None:
    answer = await dfsp.send("GET", f"/transfers/{TRANSFER_ID}", {"Content-Type": None})

    assert (400, "3102", "Missing mandatory element - Content-type is required") == answer.error


async def test_a_header_sent_twice_is_read_as_one_by_everybody(dfsp: Dfsp) -> None:
    request = raw_prepare((b"FSPIOP-Source", b"otherfsp"), (b"x-client-id", b"payerfsp"))

    assert b"Invalid fspiop-source header" in await send_raw(dfsp, request)


async def test_a_header_that_is_not_utf8_is_refused(dfsp: Dfsp) -> None:
    answer = await send_raw(dfsp, raw_prepare((b"FSPIOP-Custom", b"\xff\xfe")))

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Malformed syntax - Invalid fspiop-custom header" in answer
    assert [] == dfsp.recorder.records


async def test_a_header_in_utf8_goes_on(dfsp: Dfsp) -> None:
    answer = await send_raw(dfsp, raw_prepare((b"FSPIOP-Custom", "Zürich".encode())))

    assert answer.startswith(b"HTTP/1.1 202 ")
    header, _ = fields_of(dfsp.recorder.records[0][2])
    assert "Zürich" == header["headers"]["fspiop-custom"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tue, 23 May 2017 21:12:31 GMT", True),
        ("Thu, 29 Feb 2024 00:00:00 GMT", True),
        ("Wed, 23 May 2017 21:12:31 GMT", False),
        ("Wed, 29 Feb 2023 00:00:00 GMT", False),
        ("Tue, 23 May 2017 24:00:00 GMT", False),
        ("Tue, 23 Foo 2017 21:12:31 GMT", False),
        ("Tue, 23 May 2017 21:12:31 UTC", False),
        ("Tue, 23 May 2017 21:12:31 GMT\n", False),
        ("Tue, 23 May 0000 21:12:31 GMT", False),
        ("Tue, 3 May 2017 21:12:31 GMT", False),
    ],
)
def test_dates(text: str, expected: bool) -> None:
    assert expected == is_http_date(text)


def test_grammar_of_versions() -> None:
    assert frozenset({"1", "2.0", ANY_VERSION}) == accepted_versions(
        "transfers", f"{MEDIA};version=1,{MEDIA};version=2.0,{MEDIA}"
    )
    assert accepted_versions("transfers", f"{MEDIA}; version=1,") is None
    assert accepted_versions("transfers", f"{MEDIA};  version=1") is None
    assert accepted_versions("transfers", f"{MEDIA};version=1;q=0.8") is None
    assert "1.1" == content_version("transfers", f"{MEDIA} ; version=1.1")
    assert content_version("transfers", f"{MEDIA};version=1.1\n") is None
    assert content_version("transfers", f"{MEDIA};version=\uff11.1") is None


def test_versions_as_extensions_are_listed_once_each() -> None:
    assert {"extension": [{"key": "2", "value": "0"}, {"key": "1", "value": "1"}]} == extension_list(
        ["2", "1.1", "2.0", ANY_VERSION]
    )


async def test_headers_are_limited_all_together(dfsp: Dfsp) -> None:
    """Each of them may be long, and there may be many: they go on with the message."""
    each = {f"X-Note-{number}": "x" * 6_000 for number in range(10)}

    assert 202 == (await dfsp.post(each)).status
    recorded = len(dfsp.recorder.records)
    answer = await dfsp.post({**each, "X-Last": "x" * 6_000})

    assert (400, "3101", "Malformed syntax - Headers are too large") == answer.error
    assert recorded == len(dfsp.recorder.records)
