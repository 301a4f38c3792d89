"""Every error that is the answer to a request (protocol 2.2): the whole body, by code.

Those that the ledger tells later are in test_error_callbacks.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from clearinghub.domain.errors import ErrorCode
from clearinghub.ports import (
    CommandTimeoutError,
    LedgerUnavailableError,
    RecorderBusyError,
    RecorderUnavailableError,
    RecordOutcomeUnknownError,
)
from tests.web.admin_world import MODEL, Operator
from tests.web.admin_world import Answer as AdminAnswer
from tests.web.exchange import PAYER, Exchange, an_exchange
from tests.web.fspiop_client import FULFIL, TRANSFER_ID, Answer, Dfsp, a_dfsp

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    async with an_exchange() as one:
        yield one


def body(code: str, description: str, extensions: Any = None) -> Mapping[str, Any]:
    """Return an ErrorInformationObject with that error."""
    information = {"errorCode": code, "errorDescription": description}
    return {"errorInformation": information | ({"extensionList": extensions} if extensions is not None else {})}


def answered(answer: Answer | AdminAnswer) -> tuple[int, Any]:
    return answer.status, json.loads(answer.body if isinstance(answer, Answer) else answer.text)


async def test_2001_internal_server_error_of_the_edge(dfsp: Dfsp) -> None:
    dfsp.recorder.fails_with = RuntimeError("a bug, and nobody's business")

    assert (500, body("2001", "Internal server error")) == answered(await dfsp.post())


async def test_2001_internal_server_error_for_an_operator(exchange: Exchange) -> None:
    limit = {"currency": "USD", "limit": {"type": "NET_DEBIT_CAP", "value": 1}}
    answer = await exchange.operator.post(f"/participants/{PAYER}/initialPositionAndLimits", limit)

    expected = body("2001", "Internal server error - Participant Limit or Initial Position already set")
    assert (500, expected) == answered(answer)


async def test_2002_not_implemented(dfsp: Dfsp) -> None:
    answer = await dfsp.send("PATCH", f"/transfers/{TRANSFER_ID}", data=json.dumps(FULFIL).encode())

    assert (501, body("2002", "Not implemented")) == answered(answer)


async def test_2003_service_currently_unavailable(dfsp: Dfsp) -> None:
    dfsp.recorder.fails_with = RecorderUnavailableError("no broker")

    assert (503, body("2003", "Service currently unavailable")) == answered(await dfsp.post())


async def test_2003_service_currently_unavailable_for_an_operator(operator: Operator) -> None:
    await operator.currency()
    operator.ports.fails_with = LedgerUnavailableError("nobody has the partition")

    answer = await operator.get("/participants/Hub/accounts")

    assert (503, body("2003", "Service currently unavailable")) == answered(answer)


async def test_2004_server_timed_out(operator: Operator) -> None:
    operator.ports.fails_with = CommandTimeoutError("no answer")

    answer = await operator.post("/settlementModels", MODEL)

    assert (504, body("2004", "Server timed out")) == answered(answer)


async def test_2004_server_timed_out_for_a_request_that_may_be_recorded(dfsp: Dfsp) -> None:
    dfsp.recorder.fails_with = RecordOutcomeUnknownError("not confirmed in time")

    answer = await dfsp.post()

    description = "Server timed out - The outcome is unknown, repeat the same request with the same id"
    assert (504, body("2004", description)) == answered(answer)
    assert "1" == answer.headers["Retry-After"]


async def test_2005_server_busy(dfsp: Dfsp) -> None:
    dfsp.recorder.fails_with = RecorderBusyError("full")

    answer = await dfsp.post()

    assert (503, body("2005", "Server busy")) == answered(answer)
    assert "1" == answer.headers["Retry-After"]


async def test_3000_generic_client_error_for_a_method(dfsp: Dfsp) -> None:
    answer = await dfsp.send("DELETE", f"/transfers/{TRANSFER_ID}")

    assert (405, body("3000", "Generic client error - Method Not Allowed")) == answered(answer)


@pytest.mark.parametrize(
    ("path", "content", "detail"),
    [
        ("/participants", {"name": PAYER, "currency": "USD"}, "Participant currency has already been registered"),
        ("/settlementModels", MODEL, "Settlement Model already exists"),
        (
            "/ledgerAccountTypes",
            {"name": "POSITION", "description": "again", "isActive": True, "isSettleable": True},
            "This Ledger Account Type already exists",
        ),
    ],
)
async def test_3000_generic_client_error_for_an_operator(
    exchange: Exchange, path: str, content: Any, detail: str
) -> None:
    answer = await exchange.operator.post(path, content)

    assert (400, body("3000", f"Generic client error - {detail}")) == answered(answer)


async def test_3001_unacceptable_version_requested(dfsp: Dfsp) -> None:
    media_type = "application/vnd.interoperability.transfers+json;version=9"
    versions = [("1", "0"), ("1", "1"), ("2", "0")]
    extensions = {"extension": [{"key": major, "value": minor} for major, minor in versions]}
    detail = "The Client requested an unsupported version, see extension list for supported version(s)."

    expected = body("3001", f"Unacceptable version requested - {detail}", extensions)
    assert (406, expected) == answered(await dfsp.post({"Accept": media_type}))


async def test_3002_unknown_uri(dfsp: Dfsp) -> None:
    assert (404, body("3002", "Unknown URI")) == answered(await dfsp.send("PUT", "/transfers/"))


async def test_3003_add_party_information_error(operator: Operator) -> None:
    answer = await operator.post("/participants", {"name": "dfsp", "currency": "USD"})

    detail = "Hub reconciliation account for the specified currency does not exist"
    assert (400, body("3003", f"Add Party information error - {detail}")) == answered(answer)


async def test_3100_generic_validation_error_of_the_schema(dfsp: Dfsp) -> None:
    answer = await dfsp.post(payerFsp="x" * 33)

    detail = "/requestBody/payerFsp must NOT have more than 32 characters"
    assert (400, body("3100", f"Generic validation error - {detail}")) == answered(answer)


async def test_3101_malformed_syntax(dfsp: Dfsp) -> None:
    answer = await dfsp.post(payerFsp=1)

    assert (400, body("3101", "Malformed syntax - /requestBody/payerFsp must be string")) == answered(answer)


async def test_3101_malformed_syntax_for_an_operator(operator: Operator) -> None:
    answer = await operator.post("/participants/dfsp/limits", {})
    assert (405, "3000") == answer.error[:2]

    limit = {"type": "CEILING", "value": 1, "alarmPercentage": 1}
    answer = await operator.put("/participants/dfsp/limits", {"currency": "USD", "limit": limit})

    assert (400, body("3101", 'Malformed syntax - "limit.type" must be [NET_DEBIT_CAP]')) == answered(answer)


async def test_3102_missing_mandatory_element(dfsp: Dfsp) -> None:
    answer = await dfsp.post(transferId=None)

    detail = "/requestBody must have required property 'transferId'"
    assert (400, body("3102", f"Missing mandatory element - {detail}")) == answered(answer)


async def test_3104_too_large_payload() -> None:
    async with a_dfsp(body_bytes_max=1024) as dfsp:
        answer = await dfsp.post(ilpPacket="A" * 1024)

    assert (400, body("3104", "Too large payload - Payload size is too large")) == answered(answer)


async def test_3200_generic_id_not_found(operator: Operator) -> None:
    answer = await operator.get("/participants/nobody")

    detail = "The requested resource could not be found."
    assert (400, body("3200", f"Generic ID not found - {detail}")) == answered(answer)


async def test_6000_generic_settlement_error(operator: Operator) -> None:
    await operator.hub_accounts()

    answer = await operator.post("/participants", {"name": "dfsp", "currency": "USD"})

    detail = "Unable to find a matching or default, Settlement Model"
    assert (400, body("6000", f"Generic Settlement Error - {detail}")) == answered(answer)


def test_no_code_is_forgotten() -> None:
    """Codes of transfers and of the admin API have tests named after them; the others stand in tests of theirs."""
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = {
        name
        for folder in ("agents", "clearinghub", "web")
        for path in (ROOT / folder).rglob("*.py")
        for name in re.findall(r"\bErrorCode\.([A-Z_]+)\b", path.read_text())
    }

    named_after = set(re.findall(r"^async def test_([0-9]{4})_", tests, re.MULTILINE))
    raised = {ErrorCode[name].code for name in named}
    assert named_after <= raised
    assert set() == {code for code in raised if f'"{code}"' not in tests and f'"{code} ' not in tests}
