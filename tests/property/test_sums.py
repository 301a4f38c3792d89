"""Sums may exceed 64 bits: what adds to an account cannot be refused, so it must be decidable whatever the sum."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.settlement.moves import on_move
from agents.turn import Turn
from clearinghub.domain.money import AMOUNT_LIMIT
from clearinghub.domain.participants.position import Position
from clearinghub.domain.settlement.settlement import Move
from clearinghub.engine.record import Record
from clearinghub.messages import encode
from clearinghub.messages.settlement import MoveMessage
from clearinghub.messages.transfers import CreditMessage
from tables.positions import POSITIONS, position_key
from tests.in_memory_hub import InMemoryHub

HUB = InMemoryHub()
KEY = position_key("payeefsp", "USD", "POSITION")
BITS_64 = 2**63
values = st.one_of(
    st.sampled_from((-BITS_64, BITS_64 - 1, -2 * BITS_64, 2 * BITS_64 - 1, 2 * BITS_64)),
    st.integers(-1_000 * BITS_64, 1_000 * BITS_64),
)
changes = st.integers(1 - AMOUNT_LIMIT, AMOUNT_LIMIT - 1)


def at(value: int) -> None:
    view = HUB.view_of("payeefsp")
    view.put(POSITIONS, KEY, Position("payeefsp", "USD", "POSITION", 7, value, active=True))
    HUB.written.clear()


def decided() -> int:
    found = HUB.view_of("payeefsp").get(POSITIONS, KEY)
    assert found is not None
    return found.value


@settings(deadline=None)
@given(values, changes)
def test_a_credit_is_decided_whatever_the_sum(value: int, change: int) -> None:
    at(value)
    credit = CreditMessage(
        id="t",
        participant="payeefsp",
        currency="USD",
        account_type="POSITION",
        change=change,
        entry="PRINCIPLE_VALUE",
        window=1,
    )

    HUB.write("credit", "payeefsp", encode(credit))

    assert value + change == decided()
    assert value + change == json.loads(HUB.written["positions"][-1].value)["value"]


@settings(deadline=None)
@given(values, changes)
def test_a_move_of_a_settlement_is_decided_whatever_the_sum(value: int, change: int) -> None:
    at(value)
    view = HUB.view_of("payeefsp")
    message = MoveMessage(
        settlement=1,
        number=1,
        participant="payeefsp",
        account_id=7,
        currency="USD",
        account_type="POSITION",
        moves=(Move(transfer_id="t", change=change, entry_type="SETTLEMENT_NET_RECIPIENT"),),
        raise_cap=False,
    )

    on_move(Turn(Record("settlement", view.partition, 0, 1, b"", b""), view, HUB.context, None, 1), message, b"")

    assert value + change == decided()
    (event,) = (one for one in view.take() if one.topic == "events")
    assert value + change == json.loads(event.value)["value"]
