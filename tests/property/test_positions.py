"""Reserving, for all values and limits. Each property is named in tests/PROPERTIES.md."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from clearinghub.domain.participants.position import Position, reserve

LEDGER = 10**18
edges = st.sampled_from((0, 1, 100, 10_000, LEDGER - 1))
amounts = st.one_of(edges, st.integers(0, 200), st.integers(0, LEDGER - 1))
values = st.one_of(edges, st.integers(-200, 200), st.integers(-LEDGER, LEDGER))
caps = st.one_of(st.none(), values)


def accounts(value: int, reserved: int, cap: int | None, funds: int) -> tuple[Position, Position]:
    position = Position("alice", "USD", "POSITION", 1, value, reserved, cap, active=True)
    return position, Position("alice", "USD", "SETTLEMENT", 2, -funds)


def granted(position: Position, settlement: Position, amount: int) -> bool:
    return isinstance(reserve(position, settlement, amount, now_ms=1), Position)


@given(values, amounts, caps, values, amounts)
def test_reservation_is_granted_when_it_fits_and_only_then(
    value: int, reserved: int, cap: int | None, funds: int, amount: int
) -> None:
    outcome = reserve(*accounts(value, reserved, cap, funds), amount, now_ms=1)

    total = value + reserved + amount
    if total > funds:
        expected = "4001"
    elif cap is None or total > cap:
        expected = "4200"
    else:
        expected = "granted"
    assert expected == ("granted" if isinstance(outcome, Position) else outcome.code)
    if isinstance(outcome, Position):
        assert value + amount == outcome.value


@given(values, caps, values, st.lists(amounts, max_size=20))
def test_reservations_together_never_exceed_the_room_at_the_start(
    value: int, cap: int | None, funds: int, expected_end: list[int]
) -> None:
    position, settlement = accounts(value, 0, cap, funds)
    room = max(0, min(funds, cap) - value) if cap is not None else 0
    total = 0
    for amount in expected_end:
        held = reserve(position, settlement, amount, now_ms=1)
        if isinstance(held, Position):
            position, total = held, total + amount

    assert total <= room
    assert value + total == position.value


@given(values, caps, values, amounts, amounts)
def test_more_room_or_less_amount_never_hurts(value: int, cap: int | None, funds: int, amount: int, more: int) -> None:
    position, settlement = accounts(value, 0, cap, funds)
    if not granted(position, settlement, amount):
        return

    assert cap is not None
    assert granted(replace(position, net_debit_cap=cap + more), settlement, amount)
    assert granted(position, replace(settlement, value=settlement.value - more), amount)
    assert granted(replace(position, value=position.value - more), settlement, amount)
    assert granted(position, settlement, max(0, amount - more))


@given(values, st.lists(values, max_size=20))
def test_value_is_the_sum_of_its_movements(value: int, changes: list[int]) -> None:
    position, _ = accounts(value, 0, None, 0)
    for at_ms, change in enumerate(changes, start=1):
        position = position.changed_by(change, at_ms)

    assert value + sum(changes) == position.value
    assert (len(changes), len(changes)) == (position.change_number, position.changed_at_ms)
