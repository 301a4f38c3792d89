"""Bodies as bytes: broken, hostile, huge or compressed, they lead to an error of the API or are forwarded untouched."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from clearinghub.config import Settings
from tests.fakes import fields_of
from tests.web.fspiop_client import PREPARE, Dfsp, raw_prepare, send_raw

BODY_BYTES_MAX = Settings().body_bytes_max_of("transfers")
NOT_JSON = (400, "3101", "Malformed syntax - Invalid request payload JSON format")
NOT_AN_OBJECT = (400, "3101", "Malformed syntax - /requestBody must be object")
TOO_LARGE = (400, "3104", "Too large payload - Payload size is too large")
GOOD = json.dumps(PREPARE).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        GOOD[:-1],
        GOOD + b"x",
        b"\xef\xbb\xbf" + GOOD,
        GOOD.replace(b"payerfsp", b"payer\xff"),
        GOOD.replace(b"payerfsp", rb"\ud800"),
        GOOD.replace(b'"123.45"', b"NaN"),
        GOOD.replace(b'"123.45"', b"Infinity"),
        GOOD.replace(b'"123.45"', b"1e999"),
        GOOD.replace(b'"123.45"', b"9" * 5_000),
        GOOD.replace(b'"123.45"', b"[" * 50_000),
        b'{"deep":' + b"[" * 300 + b"]" * 300 + b"," + GOOD[1:],
    ],
)
async def test_what_is_not_json_is_refused(dfsp: Dfsp, body: bytes) -> None:
    answer = await dfsp.send("POST", "/transfers", data=body)

    assert NOT_JSON == answer.error
    assert [] == dfsp.recorder.records


@pytest.mark.parametrize("body", [b"null", b"1", b'"text"', b"[]", b"[" + GOOD + b"]", b"true"])
async def test_a_body_must_be_an_object(dfsp: Dfsp, body: bytes) -> None:
    answer = await dfsp.send("POST", "/transfers", data=body)

    assert NOT_AN_OBJECT == answer.error


async def test_of_a_repeated_key_the_last_value_counts(dfsp: Dfsp) -> None:
    body = GOOD[:-1] + b',"payerFsp":"lastfsp"}'

    assert 202 == (await dfsp.send("POST", "/transfers", data=body)).status

    assert "lastfsp" == dfsp.recorder.records[0][1]


async def test_fields_that_the_api_does_not_know_go_on_with_the_body(dfsp: Dfsp) -> None:
    body = GOOD[:-1] + b', "huge": 123456789012345678901234567890, "deep": ' + b"[" * 200 + b"]" * 200 + b"}"

    assert 202 == (await dfsp.send("POST", "/transfers", data=body)).status

    assert body == fields_of(dfsp.recorder.records[0][2])[1]


async def test_a_body_that_says_it_is_too_large_is_refused_unread(dfsp: Dfsp) -> None:
    head, _, _ = raw_prepare(body=b" " * (BODY_BYTES_MAX + 1)).partition(b"\r\n\r\n")

    answer = await send_raw(dfsp, head + b"\r\n\r\n", until=b"}}")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"Too large payload - Payload size is too large"' in answer


@pytest.mark.parametrize("data", [b" " * 6_000_000, b"x" * (BODY_BYTES_MAX + 1)])
async def test_a_body_with_content_length_that_is_too_large_is_refused(dfsp: Dfsp, data: bytes) -> None:
    answer = await dfsp.send("POST", "/transfers", data=io.BytesIO(data))

    assert TOO_LARGE == answer.error


@pytest.mark.parametrize("pieces", [2, 100])
async def test_a_stream_that_becomes_too_large_is_refused(dfsp: Dfsp, pieces: int) -> None:
    """Also one that is too large for a transfer, and not for every body."""

    async def stream() -> AsyncIterator[bytes]:
        for _ in range(pieces):
            yield b" " * 60_000

    answer = await dfsp.send("POST", "/transfers", data=stream())

    assert TOO_LARGE == answer.error
    assert [] == dfsp.recorder.records


async def test_a_body_of_just_the_limit_is_accepted(dfsp: Dfsp) -> None:
    body = GOOD + b" " * (BODY_BYTES_MAX - len(GOOD))

    assert 202 == (await dfsp.send("POST", "/transfers", data=io.BytesIO(body))).status


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "GZIP", "gzip, identity", "unheard-of", ""])
@pytest.mark.parametrize("data", [gzip.compress(b" " * 20_000_000), gzip.compress(GOOD), GOOD])
async def test_an_encoded_body_is_refused_before_anything_is_unfolded(dfsp: Dfsp, encoding: str, data: bytes) -> None:
    answer = await dfsp.send("POST", "/transfers", {"Content-Encoding": encoding}, data)

    assert (400, "3101", "Malformed syntax - Unsupported content-encoding header") == answer.error
    assert [] == dfsp.recorder.records


async def test_the_encoding_identity_is_none(dfsp: Dfsp) -> None:
    assert 202 == (await dfsp.send("POST", "/transfers", {"Content-Encoding": "identity"}, GOOD)).status


async def test_a_client_that_hangs_up_in_the_middle_leaves_nothing_but_a_line(
    dfsp: Dfsp, caplog: pytest.LogCaptureFixture
) -> None:
    with capture_logs() as logs:
        await send_raw(dfsp, raw_prepare()[:-10], half_close=True)
        assert 202 == (await dfsp.post()).status

    assert [("client-gone", "POST", "/transfers")] == [(log["event"], log["method"], log["path"]) for log in logs]
    assert [] == [record for record in caplog.records if record.levelname != "DEBUG"]
    assert 1 == len(dfsp.recorder.records)


@pytest.mark.parametrize("resource", ["transfers", "quotes", "parties", "transactionRequests", "authorizations"])
def test_a_body_may_be_as_large_as_its_resource_needs(resource: str) -> None:
    """A transfer's longest fields are an ILP packet of 32,768 characters and 16 extensions of 160."""
    settings = Settings()

    assert 40_000 < settings.body_bytes_max_of(resource) <= 131_072
    assert settings.body_bytes_max == settings.body_bytes_max_of("bulkTransfers")
    assert 1_024 == Settings(body_bytes_max=1_024).body_bytes_max_of(resource)
