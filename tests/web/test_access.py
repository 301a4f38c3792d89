"""Who may do what at the operators' port: every route against every role, and against a stranger."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import AbstractRoute, Request

from clearinghub.config import Settings
from clearinghub.security.roles import Role
from tests.in_memory_hub import PARTITIONS, InMemoryHub
from tests.in_memory_ports import InMemoryPorts, admin_app
from tests.web.admin_world import Operator
from web.admin.access import Authenticate, Subject
from web.admin.routes import required_permissions

CREDENTIALS = {"POST /participants/{name}/credentials", "PUT /participants/{name}/credentials/{id}"}
# What each role may do beside the GETs that everybody may. The permissions in the code are judged by this list.
ALLOWED = {
    "reader": set[str](),
    "auditor": {"GET /transactions/{id}", "GET /operators"},
    "operator": {
        "POST /participants",
        "PUT /participants/{name}",
        "POST /participants/{name}/endpoints",
        "POST /participants/{name}/initialPositionAndLimits",
        "PUT /participants/{name}/limits",
        "POST /participants/{name}/accounts",
        "PUT /participants/{name}/accounts/{id}",
        "POST /settlementModels",
        "PUT /settlementModels/{name}",
        "POST /ledgerAccountTypes",
        "POST /oracles",
        "PUT /oracles/{id}",
        "DELETE /oracles/{id}",
        "PUT /features",
        *CREDENTIALS,
    },
    "settlement": {
        "POST /v2/settlementWindows/{id}",
        "POST /v2/settlements",
        "PUT /v2/settlements/{id}",
        "PUT /v2/settlements/{id}/participants/{pid}",
        "PUT /v2/settlements/{id}/participants/{pid}/accounts/{aid}",
    },
    "treasury": {
        "POST /participants/{name}/accounts/{id}",
        "PUT /participants/{name}/accounts/{id}/transfers/{transferId}",
    },
    "security": {"GET /operators", "PUT /operators/{name}", "DELETE /operators/{name}", *CREDENTIALS},
}
# Who may approve a command depends on the command: tests/web/test_approvals.py.
OF_ITS_CONTENT = {"PUT /approvals/{id}"}
PUBLIC = {f"GET {path}" for path in ("/health", "/metrics", "/ready", "/v2/health", "/v2/metrics")}
NOT_ALLOWED = (403, "3000", "Generic client error - your roles do not allow to")
UNKNOWN = (401, "3000", "Generic client error - credential is not registered")


def shown_subject(request: Request) -> Subject | None:
    """Believe the headers that a test sends, in place of a certificate."""
    name = request.headers.get("x-name")
    return None if name is None else Subject(name, tuple(request.headers.getall("x-role", ())))


@asynccontextmanager
async def guarded_hub(*, authenticate: Authenticate | None = shown_subject, **settings: Any) -> AsyncIterator[Operator]:
    """Yield an operator at a hub that knows its operators by those headers."""
    hub = InMemoryHub(Settings(partitions=PARTITIONS, **settings))
    ports = InMemoryPorts(hub)
    async with TestClient(TestServer(admin_app(hub, ports, authenticate))) as client:
        yield Operator(client, hub, ports)


def name_of(route: AbstractRoute) -> str:
    assert route.resource is not None
    return f"{route.method} {route.resource.canonical}"


def all_routes() -> list[str]:
    hub = InMemoryHub(Settings(partitions=PARTITIONS))
    return sorted({name_of(route) for route in required_permissions(admin_app(hub, InMemoryPorts(hub)))})


ROUTES = all_routes()


def is_allowed(role: str, route: str) -> bool:
    route = route.replace("HEAD ", "GET ")
    for_some = set.union(*ALLOWED.values())
    if route in OF_ITS_CONTENT:
        return True
    return route in ALLOWED[role] or (route.startswith("GET ") and route not in for_some)


def path_of(route: str) -> tuple[str, str]:
    method, _, path = route.partition(" ")
    return method, re.sub(r"\{\w+\}", "1", path)


def test_every_route_says_what_it_requires() -> None:
    hub = InMemoryHub(Settings(partitions=PARTITIONS))
    required = required_permissions(admin_app(hub, InMemoryPorts(hub)))

    assert [] == [name_of(route) for route, permission in required.items() if permission is None]
    assert len(required) >= 50


def test_the_list_above_names_routes_that_there_are() -> None:
    changing = {route for route in ROUTES if not route.startswith(("GET ", "HEAD "))} - OF_ITS_CONTENT

    assert changing == {route for routes in ALLOWED.values() for route in routes if not route.startswith("GET ")}
    assert set.union(*ALLOWED.values()) | PUBLIC <= set(ROUTES)
    assert set(ALLOWED) == {role.value for role in Role}


@pytest.mark.parametrize("role", ALLOWED)
async def test_each_role_may_do_what_the_list_says_and_nothing_else(role: str) -> None:
    async with guarded_hub() as operator:
        for route in ROUTES:
            method, path = path_of(route)
            answer = await operator.send(method, path, headers={"x-name": "alice", "x-role": role})
            if is_allowed(role, route) or route in PUBLIC:
                assert answer.status not in (401, 403), (route, answer)
            else:
                assert NOT_ALLOWED[0] == answer.status, (route, answer)
                assert answer.error[2].startswith(NOT_ALLOWED[2]), (route, answer)
        assert [] == operator.ports.sent or role != "reader"


async def test_a_stranger_may_ask_whether_the_hub_is_well_and_nothing_else() -> None:
    async with guarded_hub() as operator:
        for route in ROUTES:
            answer = await operator.send(*path_of(route))
            if route.replace("HEAD ", "GET ") in PUBLIC:
                assert 200 == answer.status, route
            else:
                assert 401 == answer.status, (route, answer)
                assert route.startswith("HEAD ") or UNKNOWN == answer.error, route
        assert UNKNOWN == (await operator.get("/nothing")).error, "nor learn which paths there are"
        assert [] == operator.ports.sent


async def test_an_operator_without_a_known_role_may_do_nothing() -> None:
    async with guarded_hub() as operator:
        answer = await operator.send("GET", "/participants", headers={"x-name": "alice", "x-role": "of 2030"})

        assert 403 == answer.status


async def test_the_ledger_learns_whose_command_it_is() -> None:
    async with guarded_hub() as operator:
        answer = await operator.send(
            "POST",
            "/participants/Hub/accounts",
            {"currency": "USD", "type": "HUB_RECONCILIATION"},
            headers={"x-name": "alice", "x-role": "operator"},
        )

        assert 201 == answer.status
        assert ["alice"] == operator.ports.operators


async def test_with_security_open_everybody_may_do_everything_and_is_nobody(operator: Operator) -> None:
    await operator.currency()

    assert {""} == set(operator.ports.operators)
