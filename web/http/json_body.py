"""A request's body: read up to its limit, parsed once, and hashed."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Any, Final, NamedTuple

import orjson
from aiohttp.web import AppKey, Request, RequestKey, RequestPayloadError

from clearinghub.domain.errors import ErrorCode, Rejection
from web.http.errors import PAYLOAD_TOO_LARGE, ApiError

# An application's entry: within how many seconds the whole body of a request must arrive.
BODY_TIMEOUT_S: Final = AppKey("body_timeout_s", float)
BODY_TIMEOUT_DEFAULT_S: Final = 10.0  # a bulk of 5 MiB at 4 Mbit/s
# A request's entry: how many bytes its body may have, if that is less than the application's limit.
BODY_BYTES_MAX: Final = RequestKey("body_bytes_max", int)

_ENCODED: Final = Rejection(ErrorCode.MALFORMED_SYNTAX, "Unsupported content-encoding header")
_TOO_SLOW: Final = Rejection(ErrorCode.MALFORMED_SYNTAX, "The body was not received in time")
_NOT_JSON: Final = Rejection(ErrorCode.MALFORMED_SYNTAX, "Invalid request payload JSON format")
_NOT_AN_OBJECT: Final = Rejection(ErrorCode.MALFORMED_SYNTAX, "/requestBody must be object")


class JsonBody(NamedTuple):
    """A body's bytes, its JSON, and the hash by which a repeated message is distinguished from a changed one."""

    raw: bytes
    parsed: dict[str, Any]
    hash: str


async def read_json_body(request: Request) -> JsonBody:
    """Read and parse the request's body. If a key occurs twice the last value counts, as in JavaScript.

    Raises:
        ApiError: it is not a JSON object (3101).
        HTTPRequestEntityTooLarge: it is longer than the application's `client_max_size`.
    """
    raw = await read_body(request)
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ApiError(_NOT_JSON) from error
    if not isinstance(parsed, dict):
        raise ApiError(_NOT_AN_OBJECT)
    return JsonBody(raw, parsed, body_hash(parsed))


async def read_body(request: Request) -> bytes:
    """Return the bytes of the request's body; the first call reads them, later calls return the same.

    Raises:
        ApiError: it is encoded, it cannot be read to its end, or it has not arrived in time (3101); or it is longer
            than bodies of its resource may be (3104).
        HTTPRequestEntityTooLarge: as above.
    """
    # A small compressed body can unfold to one that costs seconds and hundreds of megabytes.
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ApiError(_ENCODED)
    bytes_max = request.get(BODY_BYTES_MAX, request.client_max_size)
    if (request.content_length or 0) > bytes_max:
        raise ApiError(PAYLOAD_TOO_LARGE)
    try:
        async with asyncio.timeout(request.config_dict.get(BODY_TIMEOUT_S, BODY_TIMEOUT_DEFAULT_S)):
            body = await request.read()
    except TimeoutError as error:
        raise ApiError(_TOO_SLOW, closes=True) from error
    except RequestPayloadError as error:
        raise ApiError(_NOT_JSON) from error
    if len(body) > bytes_max:
        raise ApiError(PAYLOAD_TOO_LARGE)
    return body


def body_hash(parsed: dict[str, Any]) -> str:
    """Return the SHA-256 of the body's JSON as base64 without `=`. Whitespace does not matter, the order of keys does.

    This is the reference's hash (protocol 3.2 and 13.9).

    Raises:
        ApiError: the body is nested more than 254 deep, which nothing in the API is, and which no record may carry.
    """
    try:
        text = orjson.dumps(parsed)
    except orjson.JSONEncodeError as error:
        raise ApiError(_NOT_JSON) from error
    return base64.b64encode(hashlib.sha256(text).digest()).rstrip(b"=").decode()
