"""URLs that participants and oracles may not be registered with: the hub would reach itself or its own network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.admin_world import Operator, an_operator

FORBIDDEN = [
    "http://169.254.169.254/latest",
    "http://127.0.0.1:4001",
    "http://[::1]:4000",
    "http://2130706433",
    "http://0x7f000001",
    "http://0177.0.0.1",
    "http://127.0.0.1.",
    "http://user@127.0.0.1",
    "http://good.example@127.0.0.1",
    "http://[::ffff:10.0.0.1]",
    "http://[64:ff9b::7f00:1]",
    "http://localhost:4001",
    "http://kafka:9092",
]


@pytest.fixture
async def guarded() -> AsyncIterator[Operator]:
    async with an_operator(egress_guard=True) as operator:
        await operator.currency()
        await operator.dfsp()
        yield operator


async def register(operator: Operator, url: str, kind: str = "FSPIOP_CALLBACK_URL_QUOTES") -> Any:
    return await operator.post("/participants/dfsp/endpoints", {"type": kind, "value": url})


def oracle(url: str) -> dict[str, Any]:
    return {"oracleIdType": "IBAN", "endpoint": {"value": url, "endpointType": "URL"}, "isDefault": True}


@pytest.mark.parametrize("url", FORBIDDEN)
async def test_forbidden_urls_are_refused(guarded: Operator, url: str) -> None:
    for answer in (await register(guarded, url), await guarded.post("/oracles", oracle(url))):
        assert (400, "3100") == answer.error[:2]
    assert [] == (await guarded.get("/participants/dfsp/endpoints")).json
    assert [] == (await guarded.get("/oracles")).json


async def test_every_kind_of_url_is_checked(guarded: Operator) -> None:
    for kind in ("FSPIOP_CALLBACK_URL_TRANSFER_PUT", "ALARM_NOTIFICATION_URL", "TP_CB_URL_CONSENT_POST"):
        assert (400, "3100") == (await register(guarded, "http://10.0.0.1/x", kind)).error[:2]
        assert 201 == (await register(guarded, "https://dfsp.example/x", kind)).status


async def test_the_reason_is_in_the_answer(guarded: Operator) -> None:
    expected = "Generic validation error - value is not accepted: 10.0.0.1 is a private address"
    assert (400, "3100", expected) == (await register(guarded, "http://10.0.0.1")).error


async def test_an_oracle_cannot_be_moved_to_a_forbidden_url(guarded: Operator) -> None:
    assert 201 == (await guarded.send("POST", "/oracles", oracle("https://oracle.example"))).status
    oracle_id = (await guarded.get("/oracles")).json[0]["oracleId"]
    moved = await guarded.put(f"/oracles/{oracle_id}", {"endpoint": oracle("http://[::1]")["endpoint"]})
    assert (400, "3100") == moved.error[:2]


async def test_by_default_only_the_hub_itself_is_refused() -> None:
    async with an_operator() as operator:
        await operator.currency()
        await operator.dfsp()
        for url in ("http://127.0.0.1:4100", "http://localhost:5000", "http://payerbank:3000", "http://10.0.0.1"):
            assert 201 == (await register(operator, url)).status
        for url in ("http://127.0.0.1:4001", "http://169.254.169.254"):
            assert (400, "3100") == (await register(operator, url)).error[:2]


async def test_a_full_hub_registers_https_alone(tmp_path: Path) -> None:
    async with an_operator(security="full", secure_dir=tmp_path) as operator:
        await operator.currency()
        await operator.dfsp()
        expected = "Generic validation error - value is not accepted: this hub sends over https only"
        assert (400, "3100", expected) == (await register(operator, "http://dfsp.example")).error
        assert 201 == (await register(operator, "https://dfsp.example")).status
