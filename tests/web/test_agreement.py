"""Every resource and method that comes before a transfer, as the table of protocol 1.6 has them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.fakes import fields_of
from tests.web.agreement_bodies import ID, QUERY, QUOTE, QUOTE_ANSWER, SENT, Sent
from tests.web.exchange import Exchange, an_exchange
from tests.web.fspiop_client import DATE, Answer, Dfsp, a_dfsp, send_raw

ENDPOINTS = {
    "quotes": "QUOTES",
    "bulkQuotes": "BULK_QUOTES",
    "transactionRequests": "TRX_REQ_SERVICE",
    "transactions": "TRX_REQ_SERVICE",
    "authorizations": "AUTHORIZATIONS",
}
ALL = pytest.mark.parametrize("sent", SENT, ids=lambda sent: f"{sent.method} {sent.path}")
WITH_BODY = pytest.mark.parametrize(
    "sent", [one for one in SENT if one.body is not None], ids=lambda sent: f"{sent.method} {sent.path}"
)
QUOTE_POST = SENT[0]


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    async with an_exchange() as one:
        for name in ("payerfsp", "payeefsp"):
            for kind in sorted(set(ENDPOINTS.values())):
                await one.operator.post(
                    f"/participants/{name}/endpoints",
                    {"type": f"FSPIOP_CALLBACK_URL_{kind}", "value": f"http://{name}"},
                )
        yield one


async def send(dfsp: Dfsp, sent: Sent, headers: dict[str, str | None] | None = None, **changes: Any) -> Answer:
    """Send it, with changed headers, or with a changed `body` or `url`."""
    raw = changes.get("body", sent.raw)
    return await dfsp.send(sent.method, changes.get("url", sent.url), {**sent.headers, **(headers or {})}, raw)


async def test_a_good_message_is_recorded_and_passed_on(exchange: Exchange) -> None:
    for sent in SENT:
        answer = await send(exchange.dfsp, sent)

        assert (200 if sent.answering else 202, b"") == (answer.status, answer.body), sent
        [callback] = exchange.callbacks()
        source, receiver = sent.headers["FSPIOP-Source"], sent.headers["FSPIOP-Destination"]
        assert (receiver, source, sent.method, sent.path + sent.query, sent.body) == callback
        topic, key, value = exchange.hub.records[-1]
        line, body = fields_of(value)
        assert ("agreement", ID, ID, sent.raw or b"") == (topic, key, line["id"], body)


async def test_the_sender_is_notified_of_an_unknown_receiver(exchange: Exchange) -> None:
    for sent in SENT:
        await send(exchange.dfsp, sent, {"FSPIOP-Destination": "nobody"})

        [callback] = exchange.callbacks()
        assert (sent.headers["FSPIOP-Source"], "Hub", "PUT", f"/{sent.resource}/{ID}/error") == callback[:4]
        information = callback.body["errorInformation"]
        assert "3201" == information["errorCode"]
        unsupported = (sent.method, sent.resource) in {("POST", "quotes"), ("POST", "bulkQuotes")}
        text = "Unsupported participant" if unsupported else f"No FSPIOP_CALLBACK_URL_{ENDPOINTS[sent.resource]} "
        assert information["errorDescription"].startswith(f"Destination FSP Error - {text}"), sent


async def test_what_the_hub_seems_to_send_reaches_nobody(exchange: Exchange) -> None:
    for sent in SENT:
        assert (await send(exchange.dfsp, sent, {"FSPIOP-Source": "Hub"})).status in (200, 202)
    assert [] == exchange.callbacks()


@pytest.mark.parametrize("query", [b"?a=\xc3\xa9", b"?a=\xff", b"?\xe2\x80\xa8", b"?a=\x7f"])
async def test_a_query_that_is_not_encoded_is_refused_at_once(dfsp: Dfsp, query: bytes) -> None:
    """The callback repeats it in its URL and in FSPIOP-URI, which are ASCII; the server's parser refuses others."""
    sent = next(one for one in SENT if (one.method, one.resource) == ("GET", "transactionRequests"))
    sent_headers = {**sent.headers, "Date": DATE, "Connection": "close"}
    headers = "".join(f"{name}: {value}\r\n" for name, value in sent_headers.items()).encode()

    def request(query: bytes) -> bytes:
        return b"GET " + sent.path.encode() + query + b" HTTP/1.1\r\nHost: hub\r\n" + headers + b"\r\n"

    assert b" 400 " in (await send_raw(dfsp, request(query))).partition(b"\r\n")[0]
    assert [] == dfsp.recorder.records
    assert (await send_raw(dfsp, request(b"?a=%C3%A9"))).startswith(b"HTTP/1.1 202 ")


@ALL
async def test_a_header_that_is_missing_is_named(dfsp: Dfsp, sent: Sent) -> None:
    accept = "/header must have required property 'accept'" if "uotes" in sent.resource else "Accept is required"
    missing = {
        "Date": "Missing required date header",
        "Content-Type": "Content-type is required",
        "FSPIOP-Source": "/header must have required property 'fspiop-source'",
        "FSPIOP-Destination": "/header must have required property 'fspiop-destination'",
    } | ({} if sent.answering else {"Accept": accept})

    for name, text in missing.items():
        assert (400, "3102", f"Missing mandatory element - {text}") == (await send(dfsp, sent, {name: None})).error
    assert [] == dfsp.recorder.records


@ALL
async def test_a_version_that_is_not_supported_is_refused(dfsp: Dfsp, sent: Sent) -> None:
    media = f"application/vnd.interoperability.{sent.resource}+json;version="
    answers = [await send(dfsp, sent, {"Content-Type": media + "9.9"})]
    if not sent.answering:
        answers.append(await send(dfsp, sent, {"Accept": media + "9"}))
    if sent.resource in ("transactionRequests", "authorizations"):
        answers.append(await send(dfsp, sent, {"Content-Type": media + "2.0"}))

    for answer in answers:
        assert (406, "3001") == answer.error[:2]
    assert [] == dfsp.recorder.records


@ALL
async def test_another_resources_media_type_is_malformed(dfsp: Dfsp, sent: Sent) -> None:
    other = "application/vnd.interoperability.transfers+json;version=1.1"
    assert (400, "3101", "Malformed syntax - Invalid content-type header") == (
        await send(dfsp, sent, {"Content-Type": other})
    ).error
    xml = f"application/vnd.interoperability.{sent.resource}+xml;version=1.1"
    assert (400, "3101", "Malformed syntax - Unsupported Media Type") == (
        await send(dfsp, sent, {"Content-Type": xml})
    ).error
    assert (400, "3101", "Malformed syntax - Invalid accept header") == (
        await send(dfsp, sent, {"Accept": "*/*"})
    ).error


@ALL
async def test_an_id_that_is_none_is_refused(dfsp: Dfsp, sent: Sent) -> None:
    if sent.method != "POST":
        answer = await send(dfsp, sent, url=sent.url.replace(ID, ID.upper()))
        assert (400, "3100") == answer.error[:2]
        assert "/path/ID must match pattern" in answer.error[2]
    assert [] == dfsp.recorder.records


@WITH_BODY
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'{"a":' * 300])
async def test_what_is_no_json_object_is_malformed(dfsp: Dfsp, sent: Sent, body: bytes) -> None:
    assert (400, "3101") == (await send(dfsp, sent, body=body)).error[:2]
    assert [] == dfsp.recorder.records


@WITH_BODY
async def test_each_required_field_is_checked(dfsp: Dfsp, sent: Sent) -> None:
    optional = {"payeeReceiveAmount", "individualQuoteResults", "authenticationInfo", "code"}
    optional |= {"geoCode", "authenticationType"} | ({"expiration"} if sent.method == "POST" else set())
    for name in sent.body:
        body = {key: value for key, value in sent.body.items() if key != name}
        answer = await send(dfsp, sent, body=json.dumps(body).encode())
        if name in optional:
            assert answer.status in (200, 202)
        else:
            text = f"Missing mandatory element - /requestBody must have required property '{name}'"
            assert (400, "3102", text) == answer.error


@WITH_BODY
async def test_unknown_fields_at_the_top_are_refused_in_quotes_alone(dfsp: Dfsp, sent: Sent) -> None:
    answer = await send(dfsp, sent, body=json.dumps({**sent.body, "unknown": 1}).encode())
    if sent.resource in ("quotes", "bulkQuotes") and not sent.path.endswith("/error"):
        text = "Too many elements - /requestBody must NOT have additional properties"
        assert (400, "3103", text) == answer.error
    else:
        assert answer.status in (200, 202)


@pytest.mark.parametrize(
    ("payer", "code", "text"),
    [
        ({"personalInfo": {"complexName": {"lastName": "@#4768"}}}, "3100", "complexName/lastName must match pattern"),
        ({"personalInfo": {"complexName": {"firstName": "  "}}}, "3100", "complexName/firstName must match pattern"),
        ({"personalInfo": {"dateOfBirth": "1983-25-25"}}, "3100", "personalInfo/dateOfBirth must match pattern"),
        ({"personalInfo": {"dateOfBirth": None}}, "3100", "personalInfo/dateOfBirth must match pattern"),
        ({"personalInfo": {"dateOfBirth": "1983-02-29"}}, "3100", "personalInfo/dateOfBirth must match pattern"),
        ({"partyIdInfo": {"partyIdType": "X"}}, "3102", "partyIdInfo must have required property 'partyIdentifier'"),
        (
            {"partyIdInfo": {"partyIdType": "X", "partyIdentifier": "1"}},
            "3100",
            "partyIdType must be equal to one of the allowed values",
        ),
        ({"supportedCurrencies": ["ZZZ"]}, "3100", "supportedCurrencies/0 must be equal to one of the allowed values"),
    ],
)
async def test_parties_are_looked_at(dfsp: Dfsp, payer: dict[str, Any], code: str, text: str) -> None:
    party = {**QUOTE["payer"], **payer}  # type: ignore[dict-item]
    answer = await send(dfsp, QUOTE_POST, body=json.dumps({**QUOTE, "payer": party}).encode())
    assert (400, code) == answer.error[:2]
    assert text in answer.error[2]


async def test_an_unknown_field_within_is_passed_on(dfsp: Dfsp) -> None:
    party = {**QUOTE["payer"], "personalInfo": {"complexName": {"FirstName": "Mats", "lastName": "H"}}}  # type: ignore[dict-item]
    raw = json.dumps({**QUOTE, "payer": party}).encode()
    assert 202 == (await send(dfsp, QUOTE_POST, body=raw)).status
    assert raw == fields_of(dfsp.recorder.records[0][2])[1]


@pytest.mark.parametrize(
    ("query", "code", "text"),
    [
        ("", "3102", "Missing mandatory element - /query must have required property 'authenticationType'"),
        (QUERY.replace("&retriesLeft=2", ""), "3102", "/query must have required property 'retriesLeft'"),
        (QUERY.replace("&amount=102", ""), "3102", "/query must have required property 'amount'"),
        (QUERY.replace("&currency=USD", ""), "3102", "/query must have required property 'currency'"),
        (QUERY.replace("OTP", "XTP"), "3100", "/query/authenticationType must be equal to one of the allowed values"),
        (QUERY.replace("=2", "=g"), "3101", "Malformed syntax - /query/retriesLeft must be integer"),
        (QUERY.replace("=2", "=1.5"), "3101", "Malformed syntax - /query/retriesLeft must be integer"),
        (QUERY.replace("=2", "=\u0662"), "3101", "Malformed syntax - /query/retriesLeft must be integer"),
        (QUERY.replace("=102", "=1.50"), "3100", "/query/amount must match pattern"),
        (QUERY.replace("=102", "=1%0A"), "3100", "/query/amount must match pattern"),
        (QUERY.replace("USD", "ZZZ"), "3100", "/query/currency must be equal to one of the allowed values"),
        (QUERY + "&amount=1", "3101", "/query/amount must not be there twice"),
    ],
)
async def test_the_query_of_an_authorization(dfsp: Dfsp, query: str, code: str, text: str) -> None:
    sent = next(one for one in SENT if one.query)
    answer = await send(dfsp, sent, url=sent.path + query)
    assert (400, code) == answer.error[:2]
    assert text in answer.error[2]
    assert [] == dfsp.recorder.records


@pytest.mark.parametrize("path", ["/quotes/", "/bulkQuotes/", "/authorizations", "/transactions", "/quotes/a/b"])
async def test_other_paths_are_unknown(dfsp: Dfsp, path: str) -> None:
    assert (404, "3002") == (await send(dfsp, QUOTE_POST, url=path)).error[:2]


async def test_an_answer_with_accept_is_refused_by_callback(exchange: Exchange) -> None:
    put = next(one for one in SENT if one.path == f"/quotes/{ID}" and one.answering)
    answer = await send(exchange.dfsp, put, {"Accept": "application/vnd.interoperability.quotes+json;version=1.1"})
    assert 200 == answer.status
    [callback] = exchange.callbacks()
    assert ("payeefsp", "Hub") == callback[:2]
    assert "3100" == callback.body["errorInformation"]["errorCode"]


async def test_what_the_ledger_looks_at_is_in_the_record() -> None:
    async with a_dfsp() as dfsp:
        await send(dfsp, QUOTE_POST)
        await dfsp.send(
            "PUT",
            f"/quotes/{ID}",
            SENT[2].headers,
            json.dumps({**QUOTE_ANSWER, "payeeReceiveAmount": {"currency": "EUR", "amount": "1"}}).encode(),
        )
        await send(dfsp, next(one for one in SENT if one.path == "/bulkQuotes"))
        lines = [fields_of(value)[0] for _, _, value in dfsp.recorder.records]
    names = ("currency", "payer_fsp", "payee_fsp", "expires_at_ms")
    assert [
        ("USD", "payerfsp", "payeefsp", 1_700_007_200_000),
        ("EUR", None, None, 1_700_007_200_000),
        ("USD", "payerfsp", "payeefsp", None),
    ] == [tuple(line[name] for name in names) for line in lines]


async def test_stored_quotes_end_to_end() -> None:
    async with an_exchange(quotes="stored") as exchange:
        for name in ("payerfsp", "payeefsp"):
            await exchange.operator.post(
                f"/participants/{name}/endpoints", {"type": "FSPIOP_CALLBACK_URL_QUOTES", "value": f"http://{name}"}
            )
        post, get, put, _ = SENT[:4]
        await send(exchange.dfsp, get)
        await send(exchange.dfsp, post)
        await send(exchange.dfsp, put)
        await send(exchange.dfsp, post)
        await send(exchange.dfsp, get)
        await send(exchange.dfsp, post, body=json.dumps({**QUOTE, "note": "changed"}).encode())
        received = exchange.callbacks()

    assert [
        ("payerfsp", "Hub", "PUT", f"/quotes/{ID}/error"),
        ("payeefsp", "payerfsp", "POST", "/quotes"),
        ("payerfsp", "payeefsp", "PUT", f"/quotes/{ID}"),
        ("payerfsp", "payeefsp", "PUT", f"/quotes/{ID}"),
        ("payerfsp", "payeefsp", "PUT", f"/quotes/{ID}"),
        ("payerfsp", "Hub", "PUT", f"/quotes/{ID}/error"),
    ] == [callback[:4] for callback in received]
    assert ["3205", "3106"] == [received[at].body["errorInformation"]["errorCode"] for at in (0, 5)]
