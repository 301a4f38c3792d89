"""Appointing operators over the admin API, and money that leaves by two of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from clearinghub.security.operators import operator_key
from clearinghub.security.secret_folder import SecretFolder
from tests.web.admin_world import FUNDS_ID, Answer, Operator, funds
from tests.web.cli import Terminal
from tests.web.test_access import guarded_hub

COMMIT = {"action": "recordFundsOutCommit", "reason": "paid"}
NEEDS_ANOTHER = (403, "3000", "Generic client error - needs another operator")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    SecretFolder(tmp_path / "secrets").create("Hub", ["localhost"], ["alice", "bob"], datetime.now(UTC))
    return tmp_path / "secrets/operators"


@pytest.fixture
async def guarded() -> AsyncIterator[Operator]:
    async with guarded_hub() as one:
        yield one


async def asks(operator: Operator, who: str, role: str, method: str, path: str, body: Any = None) -> Answer:
    """Send a request as that operator in that role."""
    return await operator.send(method, path, body, headers={"x-name": who, "x-role": role})


def body_of(folder: Path, name: str, *roles: str) -> dict[str, Any]:
    return {"roles": list(roles), "certificate": (folder / f"{name}.pem").read_text()}


async def test_one_appoints_another(guarded: Operator, folder: Path) -> None:
    put = await asks(
        guarded, "alice", "security", "PUT", "/operators/bob", body_of(folder, "bob", "security", "reader")
    )

    assert 200 == put.status, put.text
    shown = put.json
    assert isinstance(shown.pop("changedDate"), str)
    assert {
        "name": "bob",
        "roles": ["reader", "security"],
        "key": operator_key((folder / "bob.pem").read_text(), "bob"),
        "changedBy": "alice",
    } == shown
    listed = await asks(guarded, "eve", "auditor", "GET", "/operators")
    assert [put.json] == listed.json

    removed = await asks(guarded, "alice", "security", "DELETE", "/operators/bob")
    assert (403, "3000", "Generic client error - needs the role security") == removed.error, "she is not appointed"


async def test_nobody_appoints_themselves(guarded: Operator, folder: Path) -> None:
    body = body_of(folder, "alice", "security")

    assert NEEDS_ANOTHER == (await asks(guarded, "alice", "security", "PUT", "/operators/alice", body)).error
    assert 200 == (await asks(guarded, "bob", "security", "PUT", "/operators/alice", body)).status
    assert NEEDS_ANOTHER == (await asks(guarded, "alice", "security", "DELETE", "/operators/alice")).error


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"roles": ["auditor", "treasury"]}, "nobody may be auditor and treasury"),
        ({"roles": ["king"]}, "no role is called king; there are reader, auditor, operator, settlement, treasury, "),
        ({"certificate": "x"}, "certificate: no certificate in PEM"),
        ({"name": "carol"}, "certificate: not for urn:clearinghub:operator:carol"),
    ],
)
async def test_what_is_refused(guarded: Operator, folder: Path, changes: dict[str, Any], fault: str) -> None:
    body = body_of(folder, "bob", "reader") | changes
    name = body.pop("name", "bob")

    status, code, text = (await asks(guarded, "alice", "security", "PUT", f"/operators/{name}", body)).error

    assert (400, "3100") == (status, code)
    assert f"Generic validation error - {fault}"[:128] == text or text.startswith(f"Generic validation error - {fault}")
    assert [] == guarded.ports.sent


async def test_a_removed_operator_is_not_listed(operator: Operator, folder: Path) -> None:
    """With security=open, as before a hub is made secure, anybody prepares the operators."""
    assert 200 == (await operator.put("/operators/bob", body_of(folder, "bob", "reader"))).status

    assert 204 == (await operator.send("DELETE", "/operators/bob")).status

    assert [] == (await operator.get("/operators")).json
    assert (400, "3200", "Generic ID not found - Operator does not exist") == (
        await operator.send("DELETE", "/operators/bob")
    ).error


async def test_funds_go_out_by_two_operators(guarded: Operator) -> None:
    guarded.client.session.headers.update({"x-name": "dora", "x-role": "operator"})
    await guarded.currency()
    await guarded.dfsp()
    account = (await guarded.account("SETTLEMENT"))["id"]
    path = f"/participants/dfsp/accounts/{account}"
    await asks(guarded, "tom", "treasury", "POST", path, funds("recordFundsIn", 100))
    out = FUNDS_ID[:-1] + "0"
    reserved = await asks(guarded, "tom", "treasury", "POST", path, funds("recordFundsOutPrepareReserve", 40, out))
    assert 202 == reserved.status, reserved.text

    assert NEEDS_ANOTHER == (await asks(guarded, "tom", "treasury", "PUT", f"{path}/transfers/{out}", COMMIT)).error
    assert -60 == (await guarded.balances())[0], "still reserved"
    assert 202 == (await asks(guarded, "tina", "treasury", "PUT", f"{path}/transfers/{out}", COMMIT)).status
    assert (-60, 60) == await guarded.balances()


async def test_the_command_line_appoints_lists_and_removes(terminal: Terminal, folder: Path) -> None:
    certificate = str(folder / "bob.pem")
    done = await terminal.done(
        "operators", "set", "bob", "--role", "settlement", "--role", "treasury", "--certificate", certificate
    )
    assert [("bob", ["settlement", "treasury"])] == [(one["name"], one["roles"]) for one in done]

    shown = await terminal.admin("operators", "list")
    assert 0 == shown.code
    assert "settlement, treasury" in shown.out

    assert [] == await terminal.done("operators", "remove", "bob")


async def test_a_certificate_that_is_no_file(terminal: Terminal) -> None:
    ended = await terminal.admin("operators", "set", "bob", "--role", "reader", "--certificate", "nothing.pem")

    assert (2, "clearinghub: nothing.pem: No such file or directory\n") == (ended.code, ended.err)
