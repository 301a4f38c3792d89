"""What each request becomes on Kafka, byte for byte, and what is answered."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest

from tests.fakes import fields_of
from tests.web.fspiop_client import (
    CALLBACK_HEADERS,
    CONTENT_TYPE,
    DATE,
    ERROR,
    FULFIL,
    NOW_MS,
    PREPARE,
    TRANSFER_ID,
    Dfsp,
    a_dfsp,
)

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
INVALID = "Generic validation error -"
PATH = f"/transfers/{TRANSFER_ID}"
FORWARDED = {
    "content-type": CONTENT_TYPE,
    "date": DATE,
    "fspiop-source": "payeefsp",
    "fspiop-destination": "payerfsp",
}


def hash_of(body: Any) -> str:
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    return base64.b64encode(hashlib.sha256(text).digest()).decode().rstrip("=")


async def test_a_prepare_is_recorded_exactly_so(dfsp: Dfsp) -> None:
    body = json.dumps(PREPARE, indent=1).encode()
    headers = {
        "FSPIOP-Signature": '{"signature":"s","protectedHeader":"p"}',
        "traceparent": TRACE,
        "User-Agent": "sdk",
        "Accept-Encoding": "gzip",
        "Authorization": "Bearer secret",
        "Cookie": "session=secret",
        "Connection": "keep-alive",
    }

    answer = await dfsp.send("POST", "/transfers", headers, body)

    assert (202, b"", "0") == (answer.status, answer.body, answer.headers["Content-Length"])
    header = (
        f'{{"kind":"prepare","v":1,"trace":"{TRACE}",'
        '"id":"b51ec534-ee48-4575-b6a9-ead2955b8069","source":"payerfsp","payer":"payerfsp",'
        '"payee":"payeefsp","amount":1234500,"currency":"USD",'
        '"condition":"f5sqb7tBTWPd5Y8BDFdMm9BJR_MNI4isf8p8n4D5pHA","expires_at_ms":1700007200000,'
        f'"hash":"{hash_of(PREPARE)}","extensions":{{"extension":[{{"key":"k","value":"v"}}]}},'
        '"headers":{"accept":"application/vnd.interoperability.transfers+json;version=1",'
        '"content-type":"application/vnd.interoperability.transfers+json;version=1.1",'
        '"date":"Tue, 23 May 2017 21:12:31 GMT","fspiop-source":"payerfsp","fspiop-destination":"payeefsp",'
        '"fspiop-signature":"{\\"signature\\":\\"s\\",\\"protectedHeader\\":\\"p\\"}",'
        f'"traceparent":"{TRACE}"}}}}\n'
    )
    assert [("prepare", "payerfsp", header.encode() + body)] == dfsp.recorder.records


@pytest.mark.parametrize(
    ("state", "action"),
    [("COMMITTED", "commit"), ("RECEIVED", "commit"), ("RESERVED", "reserve"), ("ABORTED", "reject")],
)
async def test_a_fulfil_is_recorded_with_the_action_of_its_state(dfsp: Dfsp, state: str, action: str) -> None:
    body = {**FULFIL, "transferState": state, "completedTimestamp": "2023-11-14T22:13:20.000Z"}
    raw = json.dumps(body).encode()

    answer = await dfsp.send("PUT", PATH, data=raw)

    assert (200, b"") == (answer.status, answer.body)
    [(topic, key, value)] = dfsp.recorder.records
    header, recorded = fields_of(value)
    assert ("fulfil", "payerfsp", raw) == (topic, key, recorded)
    assert {
        "v": 1,
        "kind": "fulfil",
        "id": TRANSFER_ID,
        "action": action,
        "source": "payeefsp",
        "destination": "payerfsp",
        "fulfilment": FULFIL["fulfilment"],
        "completed": "2023-11-14T22:13:20.000Z",
        "error_code": None,
        "error_description": None,
        "hash": hash_of(body),
        "extensions": None,
        "headers": FORWARDED,
        "trace": None,
        "hops": 0,
        "same_payee_at": None,
        "same_id_at": None,
    } == header


async def test_an_error_is_recorded_as_an_abort(dfsp: Dfsp) -> None:
    raw = json.dumps(ERROR).encode()

    answer = await dfsp.send("PUT", f"{PATH}/error", data=raw)

    assert (200, b"") == (answer.status, answer.body)
    [(topic, key, value)] = dfsp.recorder.records
    header, recorded = fields_of(value)
    assert ("fulfil", "payerfsp", raw) == (topic, key, recorded)
    assert ("abort", "5100", "Payee rejected", None, hash_of(ERROR)) == (
        header["action"],
        header["error_code"],
        header["error_description"],
        header["fulfilment"],
        header["hash"],
    )


async def test_a_get_is_recorded_for_the_ring(dfsp: Dfsp) -> None:
    answer = await dfsp.send("GET", PATH, {"traceparent": TRACE})

    assert (202, b"") == (answer.status, answer.body)
    [(topic, key, value)] = dfsp.recorder.records
    header, body = fields_of(value)
    assert ("lookup", "payerfsp", b"") == (topic, key, body)
    assert ("get", TRANSFER_ID, "payerfsp", TRACE, 0) == (
        header["kind"],
        header["id"],
        header["source"],
        header["trace"],
        header["hops"],
    )


async def test_a_patch_is_not_for_the_hub(dfsp: Dfsp) -> None:
    answer = await dfsp.send("PATCH", PATH, data=json.dumps(FULFIL).encode())

    assert (501, "2002", "Not implemented") == answer.error
    assert [] == dfsp.recorder.records


@pytest.mark.parametrize("destination", [None, ""])
async def test_a_callback_without_destination_goes_to_the_partition_of_its_source(
    dfsp: Dfsp, destination: str | None
) -> None:
    await dfsp.send("PUT", PATH, {"FSPIOP-Destination": destination}, json.dumps(FULFIL).encode())

    [(_, key, value)] = dfsp.recorder.records
    assert ("payeefsp", None) == (key, fields_of(value)[0]["destination"])


async def test_a_prepare_is_keyed_by_the_payer_of_its_body_not_by_its_sender(dfsp: Dfsp) -> None:
    await dfsp.post({"FSPIOP-Source": "otherfsp"})

    [(_, key, value)] = dfsp.recorder.records
    assert ("payerfsp", "otherfsp") == (key, fields_of(value)[0]["source"])


async def test_the_hash_ignores_whitespace_and_heeds_order(dfsp: Dfsp) -> None:
    bodies = [
        b'{"transferState":"ABORTED","x":"\xc3\xa9"}',
        b' { "transferState" : "ABORTED", "x": "\\u00e9" } ',
        b'{"x":"\xc3\xa9","transferState":"ABORTED"}',
    ]
    for body in bodies:
        await dfsp.send("PUT", PATH, data=body)

    first, spaced, turned = (fields_of(value)[0]["hash"] for _, _, value in dfsp.recorder.records)
    assert first == spaced
    assert first != turned


@pytest.mark.parametrize(
    ("completed", "description"),
    [
        ("2023-11-14T22:13:20.200Z", None),
        (
            "2023-11-14T22:13:20.201Z",
            f"{INVALID} completedTimestamp fails because future timestamp was provided",
        ),
        ("2023-11-14T22:08:20.000Z", None),
        (
            "2023-11-14T22:08:19.999Z",
            f"{INVALID} completedTimestamp fails because provided timestamp exceeded the maximum timeout duration",
        ),
        ("2023-11-15T02:13:20.000+04:00", None),
    ],
)
async def test_a_completed_timestamp_must_be_of_about_now(dfsp: Dfsp, completed: str, description: str | None) -> None:
    assert 1_700_000_000_000 == NOW_MS  # 2023-11-14T22:13:20.000Z
    body = json.dumps({**FULFIL, "completedTimestamp": completed}).encode()

    answer = await dfsp.send("PUT", PATH, data=body)

    if description is None:
        assert 200 == answer.status
    else:
        assert (400, "3100", description[:128]) == answer.error
        assert [] == dfsp.recorder.records


async def test_through_a_proxy_a_completed_timestamp_is_not_judged(dfsp: Dfsp) -> None:
    body = json.dumps({**FULFIL, "completedTimestamp": "2000-01-01T00:00:00.000Z"}).encode()

    assert 200 == (await dfsp.send("PUT", PATH, {"fspiop-proxy": "proxy1"}, body)).status


@pytest.mark.parametrize("trace", ["", "garbage", TRACE.upper(), TRACE + "-x"])
async def test_a_trace_that_is_none_is_left_alone(dfsp: Dfsp, trace: str) -> None:
    assert 202 == (await dfsp.post({"traceparent": trace})).status

    assert fields_of(dfsp.recorder.records[0][2])[0]["trace"] is None


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/transfers/"), ("POST", "/transfers/"), ("POST", "/nowhere"), ("GET", "/"), ("PUT", f"{PATH}/error/x")],
)
async def test_a_path_that_is_none_is_404(dfsp: Dfsp, method: str, path: str) -> None:
    answer = await dfsp.send(method, path, data=None if method == "GET" else b"{}")

    assert (404, "3002", "Unknown URI") == answer.error


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("DELETE", PATH, "GET,PATCH,PUT"), ("GET", "/transfers", "POST"), ("PROPFIND", "/transfers", "POST")],
)
async def test_a_method_that_a_path_has_not_is_405(dfsp: Dfsp, method: str, path: str, allowed: str) -> None:
    answer = await dfsp.send(method, path)

    assert (405, "3000", "Generic client error - Method Not Allowed") == answer.error
    assert allowed == answer.headers["Allow"]


async def test_a_head_asks_the_ledger_nothing(dfsp: Dfsp) -> None:
    assert 405 == (await dfsp.send("HEAD", PATH, CALLBACK_HEADERS)).status
    assert [] == dfsp.recorder.records


async def test_unknown_query_parameters_are_ignored(dfsp: Dfsp) -> None:
    assert 202 == (await dfsp.send("GET", f"{PATH}?x=1")).status


async def test_the_limits_of_completed_timestamps_are_settings() -> None:
    async with a_dfsp(completed_timestamp_age_ms_max=1_000) as dfsp:
        body = json.dumps({**FULFIL, "completedTimestamp": "2023-11-14T22:13:18.999Z"}).encode()
        assert 400 == (await dfsp.send("PUT", PATH, data=body)).status
