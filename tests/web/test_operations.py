"""GET /health, GET /ready and GET /metrics (protocol 12)."""

from __future__ import annotations

import json
import re

import pytest

from clearinghub import __version__
from tests.web.admin_world import Operator
from tests.web.fspiop_client import Dfsp

SETTLEMENT_BASE_PATH = "/v2"
SERIES = 'clearinghub_http_request_seconds_count{{method="{}",route="{}",status="{}"}}'


async def test_a_hub_that_is_well_says_so(dfsp: Dfsp) -> None:
    answer = await dfsp.send("GET", "/health")

    assert 200 == answer.status
    assert "application/json; charset=utf-8" == answer.headers["Content-Type"]
    report = json.loads(answer.body)
    assert report.pop("uptime") >= 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", report.pop("startTime"))
    assert {
        "status": "OK",
        "versionNumber": __version__,
        "services": [{"name": "broker", "status": "OK"}, {"name": "datastore", "status": "OK"}],
    } == report


@pytest.mark.parametrize("down", ["broker", "datastore"])
async def test_a_hub_that_misses_something_is_down(dfsp: Dfsp, down: str) -> None:
    dfsp.health.up[down] = False

    answer = await dfsp.send("GET", "/health")

    assert 502 == answer.status
    report = json.loads(answer.body)
    assert "DOWN" == report["status"]
    assert {"broker": "OK", "datastore": "OK", down: "DOWN"} == {
        service["name"]: service["status"] for service in report["services"]
    }


async def test_a_process_is_ready_though_a_ledger_worker_is_away(dfsp: Dfsp) -> None:
    dfsp.health.up["datastore"] = False

    answer = await dfsp.send("GET", "/ready")

    assert 200 == answer.status
    report = json.loads(answer.body)
    assert "OK" == report["status"]
    assert {"broker": "OK", "participantEndpointService": "OK"} == {
        service["name"]: service["status"] for service in report["services"]
    }


async def test_a_process_without_what_it_needs_itself_is_not_ready(dfsp: Dfsp) -> None:
    dfsp.health.own_up["broker"] = False

    answer = await dfsp.send("GET", "/ready")

    assert (502, "DOWN") == (answer.status, json.loads(answer.body)["status"])


async def test_the_operators_surface_is_ready_as_the_other_is(operator: Operator) -> None:
    answer = await operator.get("/ready")

    assert (200, "OK") == (answer.status, answer.json["status"])


async def test_health_and_metrics_are_where_clients_of_the_settlement_api_look(operator: Operator) -> None:
    report = await operator.get(f"{SETTLEMENT_BASE_PATH}/health")
    metrics = await operator.get(f"{SETTLEMENT_BASE_PATH}/metrics")

    assert (200, "OK") == (report.status, report.json["status"])
    assert {"broker", "datastore"} == {service["name"] for service in report.json["services"]}
    assert 200 == metrics.status


@pytest.mark.parametrize(
    ("method", "path", "series"),
    [
        ("POST", "/transfers", ("POST", "/transfers", 202)),
        ("GET", "/transfers/1", ("GET", "/transfers/{ID}", 400)),
        ("GET", "/nowhere", ("GET", "other", 404)),
        ("PROPFIND", "/nowhere", ("other", "other", 404)),
    ],
)
async def test_requests_are_counted_by_route(dfsp: Dfsp, method: str, path: str, series: tuple[str, str, int]) -> None:
    name = SERIES.format(*series)
    before = await value_of(dfsp, name)

    if method == "POST":
        await dfsp.post()
    else:
        await dfsp.send(method, path)

    assert before + 1 == await value_of(dfsp, name)


async def value_of(dfsp: Dfsp, name: str) -> float:
    answer = await dfsp.send("GET", "/metrics")
    assert 200 == answer.status
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    for line in answer.body.decode().splitlines():
        if line.startswith(name):
            return float(line.removeprefix(name))
    return 0.0
