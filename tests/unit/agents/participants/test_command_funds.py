"""Commands that record funds: on the DFSP's partition, and as a credit on the hub's."""

from __future__ import annotations

from typing import Any

import pytest

from clearinghub.domain.transfers.transfer import State
from clearinghub.messages import decode
from clearinghub.messages.transfers import CreditMessage
from tables.transfers import TRANSFERS
from tests.unit.agents.commands import Ledger, funded_ledger, funds


@pytest.fixture
def funded() -> Ledger:
    return funded_ledger()


def test_funds_in(funded: Ledger) -> None:
    assert [("SETTLEMENT", -1_000_000, -1_000_000, "in-1", "RECORD_FUNDS_IN")] == funded.movements()
    credit = CreditMessage(
        id="in-1",
        participant="Hub",
        currency="USD",
        account_type="HUB_RECONCILIATION",
        change=1_000_000,
        entry="RECORD_FUNDS_IN",
        window=None,
        trace="00-trace",
    )
    assert [credit] == [decode(one.value)[0] for one in funded.on("credit")]
    assert ["Hub"] == [one.key for one in funded.on("credit")]
    assert ["in-1"] == [one.key for one in funded.on("transfers")]
    assert State.COMMITTED is funded.view.rows(TRANSFERS)["in-1"].state


def test_funds_in_again_change_nothing(funded: Ledger) -> None:
    assert {"state": None, "reason": "already COMMITTED"} == funded.done("record-funds-in", request=funds("in-1"))
    assert {"reply"} == funded.topics_written()
    assert -1_000_000 == funded.position("SETTLEMENT").value


def test_funds_out_reserved_and_committed(funded: Ledger) -> None:
    assert {"state": "RESERVED", "reason": None} == funded.done("reserve-funds-out", request=funds("out-1", 400_000))
    assert [("SETTLEMENT", 400_000, -600_000, "out-1", "RECORD_FUNDS_OUT")] == funded.movements()
    assert [] == funded.on("credit")

    done = funded.done("commit-funds-out", account_id=11, transfer_id="out-1")

    assert {"state": "COMMITTED", "reason": None} == done
    assert [] == funded.movements()
    assert [-400_000] == [one.header["change"] for one in funded.on("credit")]

    again = funded.done("commit-funds-out", account_id=11, transfer_id="out-1")

    assert {"state": None, "reason": "already COMMITTED"} == again
    assert {"reply"} == funded.topics_written()


def test_funds_out_reserved_and_aborted(funded: Ledger) -> None:
    funded.done("reserve-funds-out", request=funds("out-1", 400_000))

    assert {"state": "ABORTED_REJECTED", "reason": None} == funded.done(
        "abort-funds-out", account_id=11, transfer_id="out-1"
    )
    assert [("SETTLEMENT", -400_000, -1_000_000, "out-1", "RECORD_FUNDS_OUT")] == funded.movements()
    assert [] == funded.on("credit")


def test_more_than_there_is(funded: Ledger) -> None:
    assert {
        "state": "ABORTED_REJECTED",
        "reason": "Payer FSP insufficient liquidity - Aborted due to insufficient funds",
    } == funded.done("reserve-funds-out", request=funds("out-1", 1_000_001))
    assert [] == funded.movements()
    assert State.ABORTED_REJECTED is funded.view.rows(TRANSFERS)["out-1"].state


@pytest.mark.parametrize("change", [{"account_id": 7}, {"account_id": 99}, {"currency": "EUR"}])
def test_accounts_that_take_no_funds(funded: Ledger, change: dict[str, Any]) -> None:
    for name in ("record-funds-in", "reserve-funds-out"):
        assert ("2001", 500) == (
            (error := funded.refused(name, request=funds("new", **change)))["code"],
            error["status"],
        )


def test_the_books_balance(funded: Ledger) -> None:
    """The hub's reconciliation account mirrors the funds, but for what is reserved to go out (protocol 4.2)."""
    reconciliation = 1_000_000
    for name, args in (
        ("reserve-funds-out", {"request": funds("out-1", 300_000)}),
        ("reserve-funds-out", {"request": funds("out-2", 200_000)}),
        ("commit-funds-out", {"account_id": 11, "transfer_id": "out-1"}),
        ("abort-funds-out", {"account_id": 11, "transfer_id": "out-2"}),
        ("record-funds-in", {"request": funds("in-2", 5)}),
    ):
        funded.done(name, **args)
        reconciliation += sum(one.header["change"] for one in funded.on("credit"))

    assert 700_005 == reconciliation == -funded.position("SETTLEMENT").value
