"""Bodies as the API's schema wants them: the first mistake is answered, in its words (protocol 1.3 and 1.4)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fakes import fields_of
from tests.web.fspiop_client import ERROR, FULFIL, PREPARE, TRANSFER_ID, Dfsp, a_dfsp, raw_prepare, send_raw
from web.fspiop.schemas import date_time_ms

INVALID = "Generic validation error -"


@pytest.mark.parametrize(
    ("changes", "code", "description"),
    [
        ({"transferId": None}, "3102", "/requestBody must have required property 'transferId'"),
        (
            {"transferId": None, "payerFsp": None, "amount": 1},
            "3102",
            "/requestBody must have required property 'transferId'",
        ),
        ({"payeeFsp": 1, "expiration": None}, "3102", "/requestBody must have required property 'expiration'"),
        ({"payeeFsp": 1, "payerFsp": ""}, "3101", "/requestBody/payeeFsp must be string"),
        ({"payerFsp": ""}, "3100", "/requestBody/payerFsp must NOT have fewer than 1 characters"),
        ({"payerFsp": "x" * 33}, "3100", "/requestBody/payerFsp must NOT have more than 32 characters"),
        ({"payerFsp": ["a"]}, "3101", "/requestBody/payerFsp must be string"),
        ({"amount": "1"}, "3101", "/requestBody/amount must be object"),
        ({"amount": []}, "3101", "/requestBody/amount must be object"),
        ({"amount": {"amount": 1}}, "3102", "/requestBody/amount must have required property 'currency'"),
        ({"amount": {"currency": "USD", "amount": 1}}, "3101", "/requestBody/amount/amount must be string"),
        (
            {"amount": {"currency": "US", "amount": "1"}},
            "3100",
            "/requestBody/amount/currency must NOT have fewer than 3 characters",
        ),
        (
            {"amount": {"currency": "ZZZ", "amount": "-1"}, "condition": ""},
            "3100",
            "/requestBody/amount/currency must be equal to one of the allowed values",
        ),
        (
            {"amount": {"currency": "usd", "amount": "1"}},
            "3100",
            "/requestBody/amount/currency must be equal to one of the allowed values",
        ),
        ({"condition": "x" * 49}, "3100", "/requestBody/condition must NOT have more than 48 characters"),
        ({"condition": "x" * 42}, "3100", '/requestBody/condition must match pattern "^[A-Za-z0-9-_]{43}$"'),
        ({"condition": "x" * 43 + "\n"}, "3100", '/requestBody/condition must match pattern "^[A-Za-z0-9-_]{43}$"'),
        ({"ilpPacket": ""}, "3100", "/requestBody/ilpPacket must NOT have fewer than 1 characters"),
        ({"ilpPacket": "A" * 32_769}, "3100", "/requestBody/ilpPacket must NOT have more than 32768 characters"),
        ({"ilpPacket": "a b"}, "3100", '/requestBody/ilpPacket must match pattern "^[A-Za-z0-9-_]+[=]{0,2}$"'),
        ({"extensionList": []}, "3101", "/requestBody/extensionList must be object"),
        ({"extensionList": {}}, "3102", "/requestBody/extensionList must have required property 'extension'"),
        ({"extensionList": {"extension": {}}}, "3101", "/requestBody/extensionList/extension must be array"),
        (
            {"extensionList": {"extension": []}},
            "3100",
            "/requestBody/extensionList/extension must NOT have fewer than 1 items",
        ),
        (
            {"extensionList": {"extension": [{"key": "k", "value": "v"}] * 17}},
            "3100",
            "/requestBody/extensionList/extension must NOT have more than 16 items",
        ),
        (
            {"extensionList": {"extension": [{"key": "k", "value": "v"}, {"key": "", "x": 1}]}},
            "3102",
            "/requestBody/extensionList/extension/1 must have required property 'value'",
        ),
        (
            {"extensionList": {"extension": [{"key": "k" * 33, "value": ""}]}},
            "3100",
            "/requestBody/extensionList/extension/0/key must NOT have more than 32 characters",
        ),
    ],
)
async def test_the_first_mistake_in_a_prepare_is_answered(
    dfsp: Dfsp, changes: dict[str, Any], code: str, description: str
) -> None:
    texts = {"3100": "Generic validation error", "3101": "Malformed syntax", "3102": "Missing mandatory element"}

    answer = await dfsp.post(**changes)

    assert (400, code, f"{texts[code]} - {description}") == answer.error
    assert [] == dfsp.recorder.records


@pytest.mark.parametrize("name", ["extensionList", "amount", "payerFsp"])
async def test_null_is_a_value_of_the_wrong_type(dfsp: Dfsp, name: str) -> None:
    answer = await dfsp.send("POST", "/transfers", data=json.dumps({**PREPARE, name: None}).encode())

    expected = "string" if name == "payerFsp" else "object"
    assert (400, "3101", f"Malformed syntax - /requestBody/{name} must be {expected}") == answer.error


@pytest.mark.parametrize(
    "amount", ["1.50", "-1", "+1", "1e3", "", " 1", "01", ".5", "1.", "1.23456", "1,5", "\uff11", "1234567890123456789"]
)
async def test_an_amount_that_is_none_is_refused(dfsp: Dfsp, amount: str) -> None:
    answer = await dfsp.post(amount={"currency": "USD", "amount": amount})

    pattern = '"^([0]|([1-9][0-9]{0,17}))([.][0-9]{0,3}[1-9])?$"'
    assert (400, "3100", f"{INVALID} /requestBody/amount/amount must match pattern {pattern}") == answer.error


@pytest.mark.parametrize("amount", ["123456789012345", "999999999999999999.9999"])
async def test_an_amount_that_the_ledger_cannot_hold_is_refused(dfsp: Dfsp, amount: str) -> None:
    answer = await dfsp.post(amount={"currency": "USD", "amount": amount})

    assert (
        400,
        "3100",
        f"Generic validation error - Amount {amount} exceeds allowed precision of 18",
    ) == answer.error


@pytest.mark.parametrize(
    ("amount", "expected"),
    [("0", 0), ("1", 10_000), ("0.0001", 1), ("1.5", 15_000), ("99999999999999.9999", 10**18 - 1)],
)
async def test_an_amount_becomes_an_integer(dfsp: Dfsp, amount: str, expected: int) -> None:
    assert 202 == (await dfsp.post(amount={"currency": "USD", "amount": amount})).status

    header, _ = fields_of(dfsp.recorder.records[0][2])
    assert expected == header["amount"]


@pytest.mark.parametrize("currency", ["XXX", "XTS", "ZMW", "ABC"])
async def test_currencies_of_iso_4217_and_of_the_scheme(currency: str) -> None:
    async with a_dfsp(currencies_extra=("ABC",)) as dfsp:
        assert 202 == (await dfsp.post(amount={"currency": currency, "amount": "1"})).status


@pytest.mark.parametrize(
    ("transfer_id", "status"),
    [
        (TRANSFER_ID, 202),
        ("01961f2e-9c3b-7def-8123-456789abcdef", 202),
        ("01ARZ3NDEKTSV4RRFFQ69G5FAV", 202),
        (TRANSFER_ID.upper(), 400),
        ("01arz3ndektsv4rrffq69g5fav", 400),
        ("01ARZ3NDEKTSV4RRFFQ69G5FAI", 400),
        ("b51ec534-ee48-8575-b6a9-ead2955b8069", 400),
        ("b51ec534-ee48-4575-76a9-ead2955b8069", 400),
        (TRANSFER_ID + "\n", 400),
        ("", 400),
    ],
)
async def test_ids_are_lower_case_uuids_or_upper_case_ulids(dfsp: Dfsp, transfer_id: str, status: int) -> None:
    answer = await dfsp.post(transferId=transfer_id)

    assert status == answer.status
    if status == 400:
        assert answer.error[2].startswith('Generic validation error - /requestBody/transferId must match pattern "^[')
        assert 128 == len(answer.error[2])


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("2024-02-29T08:38:08.699Z", 1_709_195_888_699),
        ("2024-02-29T08:38:08.699-04:00", 1_709_210_288_699),
        ("2024-02-29T08:38:08.699+19:59", 1_709_195_888_699 - 71_940_000),
        ("1000-01-01T00:00:00.000+00:00", -30_610_224_000_000),
        ("9999-12-31T23:59:59.999-00:00", 253_402_300_799_999),
    ],
)
async def test_a_date_time_becomes_milliseconds(text: str, at_ms: int) -> None:
    async with a_dfsp(expiration_ahead_s_max=10_000 * 366 * 86_400) as dfsp:
        assert 202 == (await dfsp.post(expiration=text)).status

    header, _ = fields_of(dfsp.recorder.records[0][2])
    assert at_ms == header["expires_at_ms"]
    assert at_ms == date_time_ms(text)


@pytest.mark.parametrize(
    "text",
    [
        "2023-02-29T08:38:08.699Z",
        "1900-02-29T08:38:08.699Z",
        "2024-04-31T08:38:08.699Z",
        "2024-02-29T08:38:08Z",
        "2024-02-29T08:38:08.69Z",
        "2024-02-29T08:38:08.6999Z",
        "2024-02-29T08:38:08.699",
        "2024-02-29T24:00:00.000Z",
        "2024-02-29T08:38:60.000Z",
        "2024-02-29 08:38:08.699Z",
        "0999-01-01T00:00:00.000Z",
        "\uff12024-02-29T08:38:08.699Z",
        "2024-02-29T08:38:08.699Z\n",
    ],
)
async def test_a_date_time_that_is_none_is_refused(dfsp: Dfsp, text: str) -> None:
    answer = await dfsp.post(expiration=text)

    assert "3100" == answer.error[1]
    assert answer.error[2].startswith(
        r'Generic validation error - /requestBody/expiration must match pattern "^(?:[1-9]\d{3}-(?:(?:0[1-9]'
    )


@pytest.mark.parametrize(
    ("path", "body", "code", "description"),
    [
        ("", {}, "3102", "Missing mandatory element - /requestBody must have required property 'transferState'"),
        ("", {"transferState": 1}, "3101", "Malformed syntax - /requestBody/transferState must be string"),
        (
            "",
            {"transferState": "SETTLED"},
            "3100",
            "Generic validation error - /requestBody/transferState must be equal to one of the allowed values",
        ),
        (
            "",
            {**FULFIL, "fulfilment": "x"},
            "3100",
            'Generic validation error - /requestBody/fulfilment must match pattern "^[A-Za-z0-9-_]{43}$"',
        ),
        (
            "/error",
            {},
            "3102",
            "Missing mandatory element - /requestBody must have required property 'errorInformation'",
        ),
        (
            "/error",
            {"errorInformation": {"errorCode": "51"}},
            "3102",
            "Missing mandatory element - /requestBody/errorInformation must have required property 'errorDescription'",
        ),
        (
            "/error",
            {"errorInformation": {"errorCode": "0100", "errorDescription": ""}},
            "3100",
            'Generic validation error - /requestBody/errorInformation/errorCode must match pattern "^[1-9]\\d{3}$"',
        ),
        (
            "/error",
            {"errorInformation": {"errorCode": "5\uff1100", "errorDescription": "x"}},
            "3100",
            'Generic validation error - /requestBody/errorInformation/errorCode must match pattern "^[1-9]\\d{3}$"',
        ),
        (
            "/error",
            {"errorInformation": {"errorCode": "5100", "errorDescription": "x" * 129}},
            "3100",
            f"{INVALID} /requestBody/errorInformation/errorDescription must NOT have more than 128 characters",
        ),
    ],
)
async def test_the_first_mistake_in_a_callback_is_answered(
    dfsp: Dfsp, path: str, body: dict[str, Any], code: str, description: str
) -> None:
    answer = await dfsp.send("PUT", f"/transfers/{TRANSFER_ID}{path}", data=json.dumps(body).encode())

    assert (400, code, description[:128]) == answer.error
    assert [] == dfsp.recorder.records


@pytest.mark.parametrize(("method", "path"), [("PUT", ""), ("PUT", "/error"), ("GET", ""), ("PATCH", "")])
@pytest.mark.parametrize("bad", [TRANSFER_ID.upper(), "1", "a%2Fb", "%00", "..", TRANSFER_ID + "%0A", "%FF"])
async def test_the_id_of_a_path_is_checked(dfsp: Dfsp, method: str, path: str, bad: str) -> None:
    target = f"{method} /transfers/{bad}{path} HTTP/1.1".encode()
    request = raw_prepare(body=b"{}").replace(b"POST /transfers HTTP/1.1", target)

    answer = await send_raw(dfsp, request)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'Generic validation error - /path/ID must match pattern \\"^[0-9a-f]{8}-' in answer


async def test_an_error_callback_may_have_extensions(dfsp: Dfsp) -> None:
    extensions = {"extension": [{"key": "k", "value": "v"}]}
    body = {"errorInformation": {**ERROR["errorInformation"], "extensionList": extensions}}

    assert 200 == (await dfsp.send("PUT", f"/transfers/{TRANSFER_ID}/error", data=json.dumps(body).encode())).status

    header, _ = fields_of(dfsp.recorder.records[0][2])
    assert extensions == header["extensions"]
