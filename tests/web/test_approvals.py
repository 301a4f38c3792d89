"""Commands that wait for a second operator, over the admin API and on the command line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearinghub.config import Settings
from clearinghub.domain.participants.approval import VALID_MS
from clearinghub.domain.participants.participant import Participant
from tests.in_memory_hub import PARTITIONS, InMemoryHub
from tests.web.admin_world import LIMIT, Answer, Operator
from tests.web.test_access import guarded_hub

NEEDS_ANOTHER = (403, "3000", "Generic client error - needs another operator")
UNKNOWN = (400, "3200", "Generic ID not found - Approval does not exist")
APPROVE = {"decision": "approve", "reason": "checked"}
REJECT = {"decision": "reject", "reason": "no"}
LOWERED = {"currency": "USD", "limit": {"type": "NET_DEBIT_CAP", "value": 5, "alarmPercentage": 10}}
ALICE, BOB = {"x-name": "alice", "x-role": "operator"}, {"x-name": "bob", "x-role": "operator"}
TOM = {"x-name": "tom", "x-role": "treasury"}


@pytest.fixture
async def guarded() -> AsyncIterator[Operator]:
    """Yield an operator at a hub with a DFSP whose limits change by two operators only."""
    async with guarded_hub(four_eyes=("adjust-limit",)) as one:
        one.client.session.headers.update(ALICE)
        await one.currency()
        await one.dfsp()
        yield one


async def lowered(guarded: Operator) -> str:
    """Ask for a lower limit; return where that is decided."""
    async with guarded.client.put("/participants/dfsp/limits", json=LOWERED) as answer:
        assert (202, "") == (answer.status, await answer.text())
        return answer.headers["Location"]


async def decides(guarded: Operator, where: str, who: dict[str, str], decision: dict[str, str] = APPROVE) -> Answer:
    return await guarded.send("PUT", where, decision, headers=who)


async def cap(guarded: Operator) -> Any:
    return (await guarded.get("/participants/dfsp/limits")).json[0]["limit"]["value"]


async def test_another_operator_approves_and_it_is_done(guarded: Operator) -> None:
    where = await lowered(guarded)
    assert 1000 == await cap(guarded), "nothing is done yet"
    (shown,) = (await guarded.get("/approvals")).json
    assert ("adjust-limit", "dfsp", "alice", where) == (
        shown["command"],
        shown["participant"],
        shown["by"],
        f"/approvals/{shown['id']}",
    )
    assert {"currency": "USD", "net_debit_cap": 50_000, "alarm_percent": 10} == shown["arguments"]

    assert 200 == (await decides(guarded, where, BOB)).status

    assert 5 == await cap(guarded)
    assert [] == (await guarded.get("/approvals")).json
    assert UNKNOWN == (await decides(guarded, where, BOB)).error, "once"


async def test_who_has_requested_it_may_not_approve_and_may_drop_it(guarded: Operator) -> None:
    where = await lowered(guarded)

    assert NEEDS_ANOTHER == (await decides(guarded, where, ALICE)).error
    assert 200 == (await decides(guarded, where, ALICE, REJECT)).status
    assert UNKNOWN == (await decides(guarded, where, BOB)).error
    assert 1000 == await cap(guarded)


async def test_who_may_not_ask_may_not_approve(guarded: Operator) -> None:
    where = await lowered(guarded)

    for decision in (APPROVE, REJECT):
        assert 403 == (await decides(guarded, where, TOM, decision)).status
    assert 1 == len((await guarded.get("/approvals")).json)


async def test_it_expires(guarded: Operator) -> None:
    where = await lowered(guarded)
    guarded.hub.now_ms += VALID_MS

    answer = await decides(guarded, where, BOB)

    assert (403, "3000", "Generic client error - the approval has expired; ask for it again") == answer.error
    assert 1000 == await cap(guarded)


async def test_it_is_decided_against_what_there_is_then(guarded: Operator) -> None:
    """A refusal comes to who approves, and the command is dropped."""
    async with guarded_hub(four_eyes=("set-initial-limit",)) as one:
        one.client.session.headers.update(ALICE)
        await one.currency()
        await one.dfsp(limit=False)
        path = "/participants/dfsp/initialPositionAndLimits"
        where = []
        for _ in range(2):
            async with one.client.post(path, json=LIMIT) as answer:
                assert 202 == answer.status
                where.append(answer.headers["Location"])

        assert 200 == (await decides(one, where[0], BOB)).status
        assert (await decides(one, where[1], BOB)).status >= 400
        assert [] == (await one.get("/approvals")).json


async def test_nobody_approves_a_change_of_their_own_roles(guarded: Operator) -> None:
    async with guarded_hub(four_eyes=("remove-operator",)) as one:
        one.hub.enroll(Participant(1, "Hub", True, 0))
        security = {"x-role": "security"}
        async with one.client.delete("/operators/bob", headers=security | {"x-name": "alice"}) as answer:
            assert 202 == answer.status
            where = answer.headers["Location"]

        assert NEEDS_ANOTHER == (await decides(one, where, security | {"x-name": "bob"})).error
        readable = await one.send("GET", "/approvals", headers={"x-name": "eve", "x-role": "reader"})
        assert [] == readable.json, "who the operators are is not for readers"


async def test_without_identities_nothing_waits() -> None:
    async with guarded_hub(four_eyes=("adjust-limit",), authenticate=None) as one:
        await one.currency()
        await one.dfsp()
        assert 200 == (await one.put("/participants/dfsp/limits", LOWERED)).status


STEPS = st.lists(
    st.tuples(st.sampled_from(["ask", "approve", "reject"]), st.sampled_from(["alice", "bob", "carol"])), max_size=12
)


@given(STEPS)
def test_no_order_of_commands_lets_one_operator_ask_and_approve(steps: list[tuple[str, str]]) -> None:
    hub = InMemoryHub(Settings(partitions=PARTITIONS, four_eyes=("set-active",)))
    hub.enroll(Participant(1, "dfsp", True, 0))
    requested_by: dict[str, str] = {}
    active = True
    for step, who in steps:
        waiting = hub.participants.by_name["dfsp"].approvals
        if step == "ask":
            requested_by[hub.command("set-active", "dfsp", {"active": not active}, by=who)] = who
            assert active == hub.participants.by_name["dfsp"].active
        elif waiting:
            first = waiting[0]
            decision = {"approval": first.approval_id, "approves": step == "approve", "reason": "r"}
            hub.command("decide-approval", "dfsp", decision, by=who)
            after = hub.participants.by_name["dfsp"]
            is_done = first not in after.approvals
            assert is_done == (step == "reject" or who != requested_by[first.approval_id])
            active = after.active
