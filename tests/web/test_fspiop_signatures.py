"""Signatures are checked on every route, after the headers and before the body (protocol 3.1, 10.1)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiohttp.web import Application

from clearinghub.config import Settings
from clearinghub.security.signature import Signer, Verifier
from tests.fakes import FakeHealth, FakeParticipants, FakeRecorder, fields_of
from tests.unit.security.samples import FixedKeys, ec_key, rsa_key
from tests.web.fspiop_client import (
    CALLBACK_HEADERS,
    DATE,
    ERROR,
    FULFIL,
    HEADERS,
    NO_DEFAULTS,
    PREPARE,
    TRANSFER_ID,
    Answer,
    Dfsp,
    a_dfsp,
)
from web.fspiop.app import build_fspiop_app
from web.fspiop.signatures import JwsCheck, signature_check

PAYER, PAYEE, HUB = Signer(rsa_key()), Signer(ec_key()), Signer(ec_key(9))
CHECK = JwsCheck(Verifier(FixedKeys(payerfsp=[rsa_key()], payeefsp=[ec_key()], Hub=[ec_key(9)])), "Hub")
PATH = f"/transfers/{TRANSFER_ID}"
MISSING = (400, "3105", "Invalid signature - header fspiop-uri is missing")
NOT_HIS = (400, "3105", "Invalid signature - not the source's signature over this body and protected header")


@pytest.fixture
async def dfsp() -> AsyncIterator[Dfsp]:
    async with a_dfsp(CHECK) as one:
        yield one


def encoded(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, indent=1).encode()  # white space, so that it is the bytes that count


def signed(signer: Signer, method: str, path: str, data: bytes, **changes: str) -> dict[str, str]:
    """A good DFSP's headers with its signature."""
    usual = HEADERS if method in ("POST", "GET") else CALLBACK_HEADERS
    headers = {name.lower(): value for name, value in usual.items()} | changes
    headers |= {"fspiop-uri": path, "fspiop-http-method": method}
    return headers | {"fspiop-signature": signer.sign(headers, data)}


async def send_signed(dfsp: Dfsp, signer: Signer, method: str, path: str, data: bytes, **changes: str) -> Answer:
    return await exchange(dfsp, method, path, signed(signer, method, path, data, **changes), data)


async def exchange(
    dfsp: Dfsp, method: str, path: str, headers: Mapping[str, str] | list[tuple[str, str]], data: bytes
) -> Answer:
    """Send a request with exactly these headers."""
    async with dfsp.http.request(
        method, path, headers=headers, data=data or None, skip_auto_headers=NO_DEFAULTS
    ) as response:
        return Answer(response.status, await response.read(), response.headers)


@pytest.mark.parametrize(
    ("method", "path", "body", "signer", "status"),
    [
        ("POST", "/transfers", PREPARE, PAYER, 202),
        ("PUT", PATH, FULFIL, PAYEE, 200),
        ("PUT", f"{PATH}/error", ERROR, PAYEE, 200),
    ],
)
async def test_a_signed_message_is_accepted_and_forwarded_with_its_signature(
    dfsp: Dfsp, method: str, path: str, body: Mapping[str, Any], signer: Signer, status: int
) -> None:
    data = encoded(body)

    answer = await send_signed(dfsp, signer, method, path, data)

    assert status == answer.status
    [(_, _, value)] = dfsp.recorder.records
    header, raw = fields_of(value)
    assert data == raw
    assert CHECK._verifier.fault(method, path, header["headers"], raw) is None


async def test_a_message_without_a_signature_is_refused(dfsp: Dfsp) -> None:
    assert MISSING == (await dfsp.post()).error
    assert [] == dfsp.recorder.records


async def test_a_message_signed_by_another_is_refused(dfsp: Dfsp) -> None:
    answer = await send_signed(dfsp, Signer(rsa_key(5)), "POST", "/transfers", encoded(PREPARE))

    assert NOT_HIS == answer.error
    assert [] == dfsp.recorder.records


async def test_a_message_changed_on_the_way_is_refused(dfsp: Dfsp) -> None:
    headers = signed(PAYER, "POST", "/transfers", encoded(PREPARE))

    answer = await exchange(dfsp, "POST", "/transfers", headers, encoded(PREPARE).replace(b"123.45", b"923.45"))

    assert NOT_HIS == answer.error
    assert [] == dfsp.recorder.records


async def test_the_headers_are_judged_before_the_signature_and_the_body_after_it(dfsp: Dfsp) -> None:
    broken = b'{"transferId"'

    both = await dfsp.send("POST", "/transfers", {"Date": None}, broken)
    assert (400, "3102", "Missing mandatory element - Missing required date header") == both.error
    assert MISSING == (await dfsp.send("POST", "/transfers", None, broken)).error
    answer = await send_signed(dfsp, PAYER, "POST", "/transfers", broken)
    assert (400, "3101", "Malformed syntax - Invalid request payload JSON format") == answer.error
    assert MISSING == (await dfsp.send("PUT", "/transfers/no-uuid", None, encoded(FULFIL))).error


async def test_the_gateways_word_comes_first(dfsp: Dfsp) -> None:
    data = encoded(PREPARE)

    answer = await send_signed(dfsp, PAYER, "POST", "/transfers", data, **{"x-client-id": "otherfsp"})
    assert (400, "3100", "Generic validation error - Invalid fspiop-source header") == answer.error
    answer = await send_signed(dfsp, PAYER, "POST", "/transfers", data, **{"x-client-id": "payerfsp"})
    assert 202 == answer.status
    # A proxy's connection: the message in it is still the source's.
    proxied = {"x-client-id": "proxy1", "fspiop-proxy": "proxy1"}
    assert 202 == (await send_signed(dfsp, PAYER, "POST", "/transfers", data, **proxied)).status
    assert NOT_HIS == (await send_signed(dfsp, Signer(rsa_key(5)), "POST", "/transfers", data, **proxied)).error


async def test_a_get_needs_no_signature_but_one_that_is_there_must_be_good(dfsp: Dfsp) -> None:
    assert 202 == (await dfsp.send("GET", PATH)).status
    assert 202 == (await send_signed(dfsp, PAYER, "GET", PATH, b"")).status
    assert NOT_HIS == (await send_signed(dfsp, Signer(rsa_key(5)), "GET", PATH, b"")).error
    spoilt = {"fspiop-signature": "{}", "fspiop-uri": PATH, "fspiop-http-method": "GET"}
    reason = "Invalid signature - signature and protectedHeader must be base64url"
    assert (400, "3105", reason) == (await dfsp.send("GET", PATH, spoilt)).error


@pytest.mark.parametrize("tail", ["", "/personal"])
async def test_a_party_is_removed_only_by_its_own_dfsps_signature(dfsp: Dfsp, tail: str) -> None:
    path = f"/participants/MSISDN/27710101999{tail}"
    media = "application/vnd.interoperability.participants+json;version=1"
    headers = {"Accept": media, "Content-Type": f"{media}.1", "FSPIOP-Source": "payerfsp", "Date": DATE}
    lower = {name.lower(): value for name, value in headers.items()}

    for unproven in (headers, {**headers, "x-client-id": "payerfsp"}):
        assert MISSING == (await exchange(dfsp, "DELETE", path, unproven, b"")).error
    lower |= {"fspiop-uri": path, "fspiop-http-method": "DELETE"}
    for signer, error in ((Signer(rsa_key(5)), NOT_HIS), (PAYER, None)):
        answer = await exchange(dfsp, "DELETE", path, lower | {"fspiop-signature": signer.sign(lower, b"")}, b"")
        if error is not None:
            assert error == answer.error
            assert [] == dfsp.recorder.records
        else:
            assert 202 == answer.status
    assert ["party"] == [topic for topic, _key, _value in dfsp.recorder.records]


@pytest.mark.parametrize(
    ("proves", "client", "status"), [(True, "payerfsp", 202), (True, None, 400), (False, "payerfsp", 400)]
)
async def test_a_proven_connection_removes_its_own_party(proves: bool, client: str | None, status: int) -> None:
    check = JwsCheck(CHECK._verifier, "Hub", connection_proves=proves)
    media = "application/vnd.interoperability.participants+json;version=1"
    headers = {"Accept": media, "Content-Type": f"{media}.1", "FSPIOP-Source": "payerfsp", "Date": DATE}
    async with a_dfsp(check) as dfsp:
        named = headers if client is None else {**headers, "x-client-id": client}
        answer = await exchange(dfsp, "DELETE", "/participants/MSISDN/1", named, b"")
        assert status == answer.status
        unsigned = {**HEADERS, "x-client-id": "payerfsp"}
        assert MISSING == (await exchange(dfsp, "POST", "/transfers", unsigned, encoded(PREPARE))).error


async def test_a_good_message_sent_again_to_another_path_is_refused(dfsp: Dfsp) -> None:
    other = f"/transfers/{TRANSFER_ID.replace('b', 'a')}"
    headers = signed(PAYEE, "PUT", PATH, encoded(FULFIL))

    answer = await exchange(dfsp, "PUT", other, headers, encoded(FULFIL))

    assert (400, "3105", "Invalid signature - FSPIOP-URI is not the request's") == answer.error


async def test_a_callback_of_the_hub_sent_back_to_it_is_refused(dfsp: Dfsp) -> None:
    answer = await send_signed(dfsp, HUB, "PUT", PATH, encoded(FULFIL), **{"fspiop-source": "Hub"})

    assert (400, "3105", "Invalid signature - the hub is no source") == answer.error


async def test_a_signature_sent_twice_is_no_signature(dfsp: Dfsp) -> None:
    data = encoded(PREPARE)
    headers = signed(PAYER, "POST", "/transfers", data)
    twice = [*headers.items(), ("fspiop-signature", headers["fspiop-signature"])]

    answer = await exchange(dfsp, "POST", "/transfers", twice, data)

    assert (400, "3105", "Invalid signature - header fspiop-signature is no JSON object") == answer.error


def message_routes(app: Application) -> list[tuple[str, str]]:
    """Every way to send a message to the hub."""
    return [
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.method in ("POST", "PUT", "PATCH") and route.resource is not None
    ]


async def test_no_route_is_forgotten(dfsp: Dfsp) -> None:
    app = build_fspiop_app(
        Settings(),
        FakeRecorder(),
        FakeHealth(),
        signatures=CHECK,
        participants=FakeParticipants.of("payerfsp", "payeefsp"),
    )
    routes = message_routes(app)
    assert ("PATCH", "/transfers/{ID}") in routes

    for method, path in routes:
        resource = path.split("/")[1]
        media = f"application/vnd.interoperability.{resource}+json;version=1"
        headers = {"Content-Type": f"{media}.1", **({"Accept": media} if method == "POST" else {})}
        answer = await dfsp.send(method, _filled(path), headers, b"{}")
        assert MISSING == answer.error, f"{method} {path}"


def _filled(path: str) -> str:
    """A path with something in place of its parameters."""
    for name, value in (("{ID}", TRANSFER_ID), ("{Type}", "MSISDN"), ("{SubId}", "home")):
        path = path.replace(name, value)
    return path


async def test_off_means_off() -> None:
    async with a_dfsp(signature_check(None, "Hub")) as dfsp:
        assert 202 == (await dfsp.post({"FSPIOP-Signature": "whatever"})).status
