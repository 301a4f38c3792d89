"""The transfers that the demo sends, and the balances that it expects."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearinghub.config import Settings
from clearinghub.domain.money import format_amount
from clearinghub.tools.client.money import shown_amount, units
from clearinghub.tools.command_line import EXIT_WRONG_USAGE
from sandbox.demo.transfers.balances import POSITION, RECONCILIATION, SETTLEMENT, ExpectedBalances
from sandbox.demo.transfers.expectations import EXPECTED, TransferCase, TransferKind
from sandbox.demo.transfers.plan import TRANSFERS_MAX, TRANSFERS_MIN, make_plan
from tests.commands import run_command

sizes = st.integers(TRANSFERS_MIN, TRANSFERS_MAX)
seeds = st.integers(0, 2**32)


@given(sizes, seeds)
def test_plan_has_every_kind_and_the_requested_number(transfers: int, seed: int) -> None:
    plan = make_plan(transfers, seed, "abc123")

    assert len(plan.limit_fillers) + len(plan.cases) == transfers
    assert {case.kind for case in (*plan.limit_fillers, *plan.cases)} == set(TransferKind)
    assert all(case.payer != case.payee for case in plan.cases)
    assert all(2 <= len(dfsp.name) <= 30 for dfsp in plan.dfsps)


@given(sizes, seeds)
def test_refusals_are_certain_and_everything_else_has_room(transfers: int, seed: int) -> None:
    plan = make_plan(transfers, seed, "abc123")
    capped, short = plan.dfsps[-2:]
    room = {dfsp.name: min(dfsp.net_debit_cap_units, dfsp.funds_units) for dfsp in plan.dfsps}
    sent: Counter[str] = Counter()
    for case in (*plan.limit_fillers, *plan.cases):
        if case.kind not in (TransferKind.OVER_CAP, TransferKind.OVER_FUNDS):
            sent[case.payer] += case.amount_units

    assert {case.payer for case in plan.cases if case.kind is TransferKind.OVER_CAP} == {capped.name}
    assert {case.payer for case in plan.cases if case.kind is TransferKind.OVER_FUNDS} == {short.name}
    assert sent[capped.name] == room[capped.name] == capped.net_debit_cap_units < capped.funds_units
    assert sent[short.name] == room[short.name] == short.funds_units < short.net_debit_cap_units
    assert not {capped.name, short.name} & {case.payee for case in (*plan.limit_fillers, *plan.cases)}
    assert all(sent[name] <= room[name] for name in sent)
    # Even the largest refused amount fits the other ceiling, so that the code cannot be the other's.
    assert max(case.amount_units for case in plan.cases) + capped.net_debit_cap_units <= capped.funds_units


def test_same_seed_same_plan() -> None:
    assert make_plan(200, 7, "abc123") == make_plan(200, 7, "abc123")
    assert make_plan(200, 7, "abc123") != make_plan(200, 8, "abc123")


@given(sizes, seeds)
def test_balances_add_up(transfers: int, seed: int) -> None:
    plan = make_plan(transfers, seed, "abc123")
    expected_balances = ExpectedBalances("Hub")
    for dfsp in plan.dfsps:
        expected_balances.add_funds(dfsp.name, dfsp.funds_units)
    for case in (*plan.limit_fillers, *plan.cases):
        expected_balances.add_transfer(case)
    names = [dfsp.name for dfsp in plan.dfsps]

    assert sum(expected_balances.balance(name, POSITION) for name in names) == 0
    assert sum(expected_balances.balance(name, SETTLEMENT) for name in names) == -expected_balances.balance(
        "Hub", RECONCILIATION
    )


@pytest.mark.parametrize("kind", list(TransferKind))
def test_only_committed_transfers_move_money(kind: TransferKind) -> None:
    expected_balances = ExpectedBalances("Hub")

    expected_balances.add_transfer(TransferCase(kind, "ada", "bea", 12_345))

    moved = (
        12_345
        if kind in (TransferKind.COMMITTED, TransferKind.RESERVED, TransferKind.REPEATED, TransferKind.CHANGED)
        else 0
    )
    assert (moved, -moved) == (expected_balances.balance("ada", POSITION), expected_balances.balance("bea", POSITION))
    assert expected_balances.balance("ada", SETTLEMENT) == 0


def test_every_kind_has_an_expected_end() -> None:
    assert set(EXPECTED) == set(TransferKind)
    assert {expected.state for expected in EXPECTED.values()} == {"COMMITTED", "ABORTED"}
    assert all(bool(expected.cause) != expected.is_committed for expected in EXPECTED.values())


@given(st.integers(-(10**18), 10**18))
def test_amounts_are_read_as_they_were_written(amount_units: int) -> None:
    assert units(format_amount(amount_units)) == amount_units
    assert shown_amount(amount_units).replace(",", "") == format_amount(amount_units)


@pytest.mark.parametrize(("amount_units", "shown"), [(0, "0"), (-5_000, "-0.5"), (12_345_678_9012, "12,345,678.9012")])
def test_amounts_for_people(amount_units: int, shown: str) -> None:
    assert shown_amount(amount_units) == shown


@pytest.mark.parametrize("text", ["", "x", "0.00001", "NaN", "Infinity"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"amount|decimals"):
        units(text)


@pytest.mark.parametrize("count", ["0", "19", "2001", "many"])
async def test_number_of_transfers_is_bounded(count: str) -> None:
    assert EXIT_WRONG_USAGE == await run_command(Settings(), "demo", "--transfers", count)
