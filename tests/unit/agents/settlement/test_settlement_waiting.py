"""What of an operator's request waits for its answer is bounded, and an answer that is too large stops no booking."""

from __future__ import annotations

from typing import Any

from agents.posting import ANSWER_BYTES_MAX, emit_reply
from agents.settlement.progress import WAITING_BYTES_MAX
from clearinghub.domain.settlement.settlement import SettlementState
from clearinghub.messages.commands import FundsResult
from tables.settlements import WAITING, WaitingCommand, waiting_key
from tests.fakes import MemoryView
from tests.property.settlement_world import SettlementWorld

LONG = "r" * 512


def request(participant_id: int, account_id: int, state: str, reason: str = "r") -> dict[str, Any]:
    return {
        "participant_id": participant_id,
        "account_id": account_id,
        "state": state,
        "reason": reason,
        "external_reference": "bank 7",
    }


def a_settlement_that_moves() -> SettlementWorld:
    """Return a hub whose settlement waits for a recipient's position to move."""
    world = SettlementWorld()
    world.pay("alpha", "beta", 5, "USD")
    world.deliver_all()
    world.command("close-window", window=1, reason="closed")
    world.deliver_all()
    world.command("create-settlement", model="USDNET", reason="r", windows=[1])
    for state in ("PS_TRANSFERS_RECORDED", "PS_TRANSFERS_RESERVED"):
        world.deliver_all()
        world.clear_replies()
        put(world, [request(one.participant_id, one.account_id, state) for one in world.settlements()[0].accounts])
    assert [] == world.replies
    return world


def put(world: SettlementWorld, accounts: list[dict[str, Any]]) -> None:
    world.command("advance-settlement", settlement=1, accounts=accounts)


def test_of_an_accepted_account_only_its_identity_waits() -> None:
    world = a_settlement_that_moves()

    waiting = world.hub.coordinator.get(WAITING, waiting_key(1))
    assert waiting is not None
    (command,) = waiting.commands
    assert [(None, None, None)] * 2 == [(one.error, one.state, one.reason) for one in command.results]
    world.deliver_all()
    assert [{"participant_id", "account_id"}] * 2 == [set(one) for one in world.replies[-1]["result"]["accounts"]]


def test_what_waits_is_bounded_by_its_size() -> None:
    world = a_settlement_that_moves()
    moving = next(one for one in world.settlements()[0].accounts if one.moving is not None)
    again = request(moving.participant_id, moving.account_id, "PS_TRANSFERS_RESERVED", "again")
    refused = [request(1, number, "SETTLED", LONG) for number in range(10_000, 12_000)]

    for _ in range(20):
        put(world, [again, *refused])
    assert {"2005"} == {one["error"]["code"] for one in world.replies}
    row = world.hub.coordinator.tables["settlement"][waiting_key(1)]
    assert WAITING_BYTES_MAX // 2 < len(row) <= WAITING_BYTES_MAX
    before = world.settlements()[0]
    put(world, [{**again, "reason": "too much"}, *refused])
    assert before == world.settlements()[0], "a refusal changes nothing"
    busy = len(world.replies)

    world.deliver_all()
    answers = world.replies[busy:]
    assert 20 + 1 + 1 == busy + len(answers)
    assert all(one["error"] is None for one in answers)
    (*_, last) = answers[-1]["result"]["accounts"]
    assert (11_999, "SETTLED", LONG) == (last["account_id"], last["state"], last["reason"])
    assert SettlementState.PS_TRANSFERS_RESERVED is world.settlements()[0].state


def test_an_answer_that_no_record_can_hold_becomes_a_short_error() -> None:
    view = MemoryView()

    waiting = WaitingCommand("c-1", "ingress-0", (), ())
    emit_reply(view, waiting, FundsResult("x" * ANSWER_BYTES_MAX, None))
    (reply,) = view.on("reply")
    assert (None, "2003") == (reply.header["result"], reply.header["error"]["code"])
    assert "too large" in reply.header["error"]["description"]
