"""/bulkTransfers at the edge (protocol 1.2, 1.3, 1.6): what is answered, what is recorded, and that nothing else is."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import pytest

from clearinghub.ports import RecorderBusyError, RecorderUnavailableError
from tests.fakes import fields_of
from tests.web.bulk_exchange import (
    ACCEPT,
    BULK_ID,
    CONTENT_TYPE,
    FULFILMENT,
    OF_PAYEE,
    OF_PAYER,
    PATH,
    bulk,
    failed,
    fulfilled,
    item,
    item_id,
    send,
)
from tests.web.exchange import PAYEE, PAYER
from tests.web.fspiop_client import ERROR, FULFIL, Dfsp, a_dfsp

ANSWER = {"bulkTransferState": "COMPLETED", "individualTransferResults": [*fulfilled(1), failed(2)]}
MESSAGES: dict[str, tuple[str, str, dict[str, Any], Any, int]] = {
    "POST": ("POST", "/bulkTransfers", OF_PAYER, bulk([item(1), item(2)]), 202),
    "GET": ("GET", PATH, OF_PAYER, None, 202),
    "PUT": ("PUT", PATH, OF_PAYEE, ANSWER, 200),
    "PUT error": ("PUT", f"{PATH}/error", OF_PAYEE, ERROR, 200),
}
WITH_BODY = [name for name in MESSAGES if name != "GET"]
SYNTAX = "Malformed syntax - "
MISSING = "Missing mandatory element - "
INVALID = "Generic validation error - "
UNKNOWN_VERSION = {"extension": [{"key": "1", "value": "0"}, {"key": "1", "value": "1"}, {"key": "2", "value": "0"}]}


@pytest.mark.parametrize("name", MESSAGES)
async def test_a_good_message_is_recorded_then_answered(dfsp: Dfsp, name: str) -> None:
    method, path, headers, body, status = MESSAGES[name]

    answer = await send(dfsp, method, path, headers, body)

    assert (status, b"") == (answer.status, answer.body)
    assert 1 == len(dfsp.recorder.records)


async def test_the_record_of_a_bulk(dfsp: Dfsp) -> None:
    body = bulk([item(1, "1.5", unknown=[1e300]), item(2, "600")], unknown=1)
    await send(dfsp, "POST", "/bulkTransfers", OF_PAYER, body)

    ((topic, key, value),) = dfsp.recorder.records
    message, content = fields_of(value)
    assert ("bulk-prepare", PAYER) == (topic, key)
    hashes = message.pop("hashes")
    assert {
        "v": 1,
        "kind": "bulk-prepare",
        "id": BULK_ID,
        "source": PAYER,
        "destination": PAYEE,
        "payer": PAYER,
        "payee": PAYEE,
        "expires_at_ms": 1_700_007_200_000,
        "hash": message["hash"],
        "amounts": [15_000, 6_000_000],
        "trace": None,
    } == message | {"expires_at_ms": 1_700_007_200_000}
    assert 2 == len(set(hashes))
    assert bulk([item(1, "1.5"), item(2, "600")]) == json.loads(content), "what the API knows, and no more"


async def test_a_line_has_the_hash_of_the_transfer_that_it_would_be(dfsp: Dfsp) -> None:
    extensions = {"extension": [{"key": "k", "value": "v"}]}
    whole = bulk([item(1), item(2, extensionList=extensions)])
    await send(dfsp, "POST", "/bulkTransfers", OF_PAYER, whole)
    for one in whole["individualTransfers"]:
        alike = {
            "transferId": one["transferId"],
            "payerFsp": PAYER,
            "payeeFsp": PAYEE,
            "amount": one["transferAmount"],
            "ilpPacket": one["ilpPacket"],
            "condition": one["condition"],
            "expiration": whole["expiration"],
        } | ({"extensionList": extensions} if "extensionList" in one else {})
        await dfsp.send("POST", "/transfers", None, json.dumps(alike).encode())

    headers = [fields_of(value)[0] for _topic, _key, value in dfsp.recorder.records]
    assert headers[0]["hashes"] == [one["hash"] for one in headers[1:]]


@pytest.mark.parametrize(("destination", "key"), [(PAYER, PAYER), ("Hub", "Hub"), (None, PAYEE)])
async def test_the_record_of_an_answer(dfsp: Dfsp, destination: str | None, key: str) -> None:
    headers = {**OF_PAYEE, "FSPIOP-Destination": destination}
    completed = {"completedTimestamp": "2023-11-14T22:13:20.001Z"}
    await send(dfsp, "PUT", PATH, headers, {**ANSWER, **completed, "unknown": 1})
    await send(dfsp, "PUT", f"{PATH}/error", headers, {**ERROR, "unknown": 1})
    await send(dfsp, "PUT", PATH, {**headers, "FSPIOP-Proxy": "proxy1"}, {**ANSWER, **completed})

    records = [(topic, key, *fields_of(value)) for topic, key, value in dfsp.recorder.records]
    assert [("bulk-fulfil", key)] * 3 == [one[:2] for one in records]
    assert ["fulfil", "abort", "fulfil"] == [one[2]["action"] for one in records]
    assert [1_700_000_000_001, None, None] == [one[2]["completed_ms"] for one in records]
    assert [{**ANSWER, **completed}, ERROR, {**ANSWER, **completed}] == [json.loads(one[3]) for one in records]


async def test_an_answer_may_say_nothing_of_the_lines(dfsp: Dfsp) -> None:
    assert 200 == (await send(dfsp, "PUT", PATH, OF_PAYEE, {"bulkTransferState": "ACCEPTED"})).status


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize(
    ("header", "description"),
    [
        ("Accept", "Accept is required"),
        ("Date", "Missing required date header"),
        ("Content-Type", "Content-type is required"),
        ("FSPIOP-Source", "/header must have required property 'fspiop-source'"),
    ],
)
async def test_a_missing_header(dfsp: Dfsp, name: str, header: str, description: str) -> None:
    method, path, headers, body, status = MESSAGES[name]

    answer = await send(dfsp, method, path, {**headers, header: None}, body)

    if header == "Accept" and method == "PUT":
        assert status == answer.status, "callbacks have none"
        return
    assert (400, "3102", MISSING + description) == answer.error
    assert [] == dfsp.recorder.records


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize(("header", "sent"), [("Accept", ACCEPT), ("Content-Type", CONTENT_TYPE)])
async def test_a_wrong_version(dfsp: Dfsp, name: str, header: str, sent: str) -> None:
    method, path, headers, body, status = MESSAGES[name]

    answer = await send(dfsp, method, path, {**headers, header: sent.rpartition("=")[0] + "=9.0"}, body)

    if header == "Accept" and method == "PUT":
        assert status == answer.status, "judged on requests alone"
        return
    assert (406, "3001") == answer.error[:2]
    assert UNKNOWN_VERSION == json.loads(answer.body)["errorInformation"]["extensionList"]
    assert [] == dfsp.recorder.records


@pytest.mark.parametrize("name", MESSAGES)
async def test_another_resource_s_media_type(dfsp: Dfsp, name: str) -> None:
    method, path, headers, body, _status = MESSAGES[name]

    media = "application/vnd.interoperability.transfers+json;version=1.1"
    answer = await send(dfsp, method, path, {**headers, "Content-Type": media}, body)

    assert (400, "3101", f"{SYNTAX}Invalid content-type header") == answer.error


@pytest.mark.parametrize("name", WITH_BODY)
@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"a": NaN}', b"\xff"])
async def test_a_malformed_body(dfsp: Dfsp, name: str, body: bytes) -> None:
    method, path, headers, _body, _status = MESSAGES[name]

    assert (400, "3101") == (await dfsp.send(method, path, headers, body)).error[:2]
    assert [] == dfsp.recorder.records


@pytest.mark.parametrize("path", ["/bulkTransfers/no-id", "/bulkTransfers/no-id/error"])
async def test_an_id_that_is_none(dfsp: Dfsp, path: str) -> None:
    body = ERROR if path.endswith("error") else ANSWER

    assert (400, "3100") == (await send(dfsp, "PUT", path, OF_PAYEE, body)).error[:2]
    if not path.endswith("error"):
        assert (400, "3100") == (await send(dfsp, "GET", path, OF_PAYER)).error[:2]
    assert [] == dfsp.recorder.records


ITEM = "/requestBody/individualTransfers/1"
WRONG_BULKS: list[tuple[Any, str, str]] = [
    (
        bulk([item(1)], bulkTransferId=None),
        "3102",
        f"{MISSING}/requestBody must have required property 'bulkTransferId'",
    ),
    (bulk([item(1)], bulkQuoteId=None), "3102", f"{MISSING}/requestBody must have required property 'bulkQuoteId'"),
    (bulk([item(1)], expiration=None), "3102", f"{MISSING}/requestBody must have required property 'expiration'"),
    (
        bulk([item(1)], individualTransfers=None),
        "3102",
        f"{MISSING}/requestBody must have required property 'individualTransfers'",
    ),
    (bulk([]), "3100", f"{INVALID}/requestBody/individualTransfers must NOT have fewer than 1 items"),
    (bulk([item(1), item(2, condition=None)]), "3102", f"{MISSING}{ITEM} must have required property 'condition'"),
    (bulk([item(1), 5]), "3101", f"{SYNTAX}{ITEM} must be object"),  # type: ignore[list-item]
    (bulk([item(1)], individualTransfers={}), "3101", f"{SYNTAX}/requestBody/individualTransfers must be array"),
    (
        bulk([item(1), item(2, ilpPacket="!")]),
        "3100",
        f'{INVALID}{ITEM}/ilpPacket must match pattern "^[A-Za-z0-9-_]+[=]{{0,2}}$"',
    ),
    (
        bulk([item(1), item(2, transferAmount={"currency": "QQQ", "amount": "1"})]),
        "3100",
        f"{INVALID}{ITEM}/transferAmount/currency must be equal to one of the allowed values",
    ),
    (bulk([item(1), item(2, amount="1.50")]), "3100", f"{INVALID}{ITEM}/transferAmount/amount must match pattern"),
    (
        bulk([item(1), item(2, amount="123456789012345")]),
        "3100",
        f"{INVALID}Amount 123456789012345 exceeds allowed precision of 18",
    ),
    (bulk([item(1)], expiration="tomorrow"), "3100", f"{INVALID}/requestBody/expiration must match pattern"),
    (bulk([item(1)], payeeFsp=""), "3100", f"{INVALID}/requestBody/payeeFsp must NOT have fewer than 1 characters"),
]


@pytest.mark.parametrize(("body", "code", "description"), WRONG_BULKS)
async def test_a_wrong_bulk_is_refused_and_not_recorded(dfsp: Dfsp, body: Any, code: str, description: str) -> None:
    answer = await send(dfsp, "POST", "/bulkTransfers", OF_PAYER, body)

    assert (400, code) == answer.error[:2]
    assert answer.error[2].startswith(description[:128])
    assert [] == dfsp.recorder.records


WRONG_ANSWERS: list[tuple[str, Any, str]] = [
    (PATH, {}, "3102"),
    (PATH, {"bulkTransferState": "DONE"}, "3100"),
    (PATH, {**ANSWER, "individualTransferResults": {}}, "3101"),
    (PATH, {**ANSWER, "individualTransferResults": [{"fulfilment": FULFILMENT}]}, "3102"),
    (PATH, {**ANSWER, "individualTransferResults": fulfilled(1, fulfilment="short")}, "3100"),
    (PATH, {**ANSWER, "individualTransferResults": [{"transferId": item_id(1), "errorInformation": {}}]}, "3102"),
    (PATH, {**ANSWER, "completedTimestamp": "now"}, "3100"),
    (PATH, {**ANSWER, "individualTransferResults": fulfilled(*range(1_001))}, "3100"),
    (f"{PATH}/error", {}, "3102"),
    (f"{PATH}/error", {"errorInformation": {"errorCode": "1", "errorDescription": "x"}}, "3100"),
    (f"{PATH}/error", FULFIL, "3102"),
]


@pytest.mark.parametrize(("path", "body", "code"), WRONG_ANSWERS)
async def test_a_wrong_answer_is_refused_and_not_recorded(dfsp: Dfsp, path: str, body: Any, code: str) -> None:
    assert (400, code) == (await send(dfsp, "PUT", path, OF_PAYEE, body)).error[:2]
    assert [] == dfsp.recorder.records


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        ("GET", "/bulkTransfers", (405, "3000")),
        ("PATCH", PATH, (405, "3000")),
        ("DELETE", PATH, (405, "3000")),
        ("HEAD", PATH, (405, "")),
        ("PUT", "/bulkTransfers/", (404, "3002")),
        ("GET", f"{PATH}/error/more", (404, "3002")),
    ],
)
async def test_what_is_not_there(dfsp: Dfsp, method: str, path: str, answer: tuple[int, str]) -> None:
    got = await send(dfsp, method, path, OF_PAYER)

    assert answer == (got.status, got.error[1] if got.body else "")
    assert [] == dfsp.recorder.records


async def test_a_thousand_items_are_accepted_and_one_more_is_not(dfsp: Dfsp) -> None:
    items = [item(number) for number in range(1_001)]
    assert 202 == (await send(dfsp, "POST", "/bulkTransfers", OF_PAYER, bulk(items[:1_000]))).status

    answer = await send(dfsp, "POST", "/bulkTransfers", OF_PAYER, bulk(items))

    detail = "/requestBody/individualTransfers must NOT have more than 1000 items"
    assert (400, "3100", INVALID + detail) == answer.error


async def test_a_list_as_long_as_a_body_may_be_is_judged_at_once(dfsp: Dfsp) -> None:
    body = io.BytesIO(json.dumps(bulk([], individualTransfers=[0] * 1_000_000)).encode())

    started = time.perf_counter()
    answer = await dfsp.send("POST", "/bulkTransfers", OF_PAYER, body)

    assert 400 == answer.status
    assert time.perf_counter() - started < 3, "most of it on the way"


@pytest.mark.parametrize(
    ("error", "status", "code"), [(RecorderUnavailableError(), 503, "2003"), (RecorderBusyError(), 503, "2005")]
)
@pytest.mark.parametrize("name", MESSAGES)
async def test_what_cannot_be_recorded_is_not_accepted(
    dfsp: Dfsp, name: str, error: Exception, status: int, code: str
) -> None:
    method, path, headers, body, _status = MESSAGES[name]
    dfsp.recorder.fails_with = error

    assert (status, code) == (await send(dfsp, method, path, headers, body)).error[:2]


async def test_a_body_above_the_limit() -> None:
    async with a_dfsp(body_bytes_max=1024) as dfsp:
        answer = await send(dfsp, "POST", "/bulkTransfers", OF_PAYER, bulk([item(number) for number in range(20)]))

        assert (400, "3104", "Too large payload - Payload size is too large") == answer.error
        assert [] == dfsp.recorder.records
