"""What of an operator's request waits for its answer is bounded, and an answer that is too large stops no booking."""

from __future__ import annotations

from typing import Any

from agents.posting import ANSWER_BYTES_MAX, emit_reply
from agents.settlement.waiting import RESULTS_BYTES_MAX, WAITING_MAX
from clearinghub.domain.settlement.settlement import SettlementState
from clearinghub.messages.commands import FundsResult
from tables.settlements import RESULTS, WaitingCommand, results_key
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
        put(world, [request(one.participant_id, one.account_id, state) for one in world.accounts(1)])
    assert [] == world.replies
    return world


def put(world: SettlementWorld, accounts: list[dict[str, Any]]) -> None:
    world.command("advance-settlement", settlement=1, accounts=accounts)


def test_of_an_accepted_account_only_its_identity_waits() -> None:
    world = a_settlement_that_moves()

    row = world.hub.coordinator.get(RESULTS, results_key(1, 1))
    assert row is not None
    assert [(None, None, None)] * 2 == [(one.error, one.state, one.reason) for one in row.results]
    world.deliver_all()
    assert [{"participant_id", "account_id"}] * 2 == [set(one) for one in world.replies[-1]["result"]["accounts"]]


def test_what_waits_is_bounded_in_number_and_size() -> None:
    world = a_settlement_that_moves()
    moving = next(one for one in world.accounts(1) if one.moving is not None)
    again = request(moving.participant_id, moving.account_id, "PS_TRANSFERS_RESERVED", "again")
    refused = [request(1, number, "SETTLED", LONG) for number in range(10_000, 12_000)]

    put(world, [again, *refused * 4])
    assert ["2005"] == [one["error"]["code"] for one in world.replies]
    put(world, [again, *refused])
    assert RESULTS_BYTES_MAX // 4 < len(world.hub.coordinator.tables["settlement"][results_key(1, 2)])
    for _ in range(WAITING_MAX - 2):
        put(world, [again])
    before, account = world.settlements()[0], world.accounts(1)
    assert WAITING_MAX == before.commands_waiting
    put(world, [{**again, "reason": "too much"}])
    assert (before, account) == (world.settlements()[0], world.accounts(1)), "a refusal changes nothing"
    busy = len(world.replies)
    assert 2 == busy

    world.deliver_all()
    answers = world.replies[busy:]
    assert WAITING_MAX == len(answers)
    assert all(one["error"] is None for one in answers)
    (*_, last) = answers[1]["result"]["accounts"]
    assert (11_999, "SETTLED", LONG) == (last["account_id"], last["state"], last["reason"])
    assert SettlementState.PS_TRANSFERS_RESERVED is world.settlements()[0].state
    assert not [key for key in world.hub.coordinator.tables["settlement"] if key.startswith(("waiting/", "results/"))]


def test_an_answer_that_no_record_can_hold_becomes_a_short_error() -> None:
    view = MemoryView()

    waiting = WaitingCommand("c-1", "ingress-0", 1)
    emit_reply(view, waiting, FundsResult("x" * ANSWER_BYTES_MAX, None))
    (reply,) = view.on("reply")
    assert (None, "2003") == (reply.header["result"], reply.header["error"]["code"])
    assert "too large" in reply.header["error"]["description"]
