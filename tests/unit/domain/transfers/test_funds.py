"""Funds in and out: what an account holds after each step."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from clearinghub.domain.errors import Rejection
from clearinghub.domain.money import AMOUNT_LIMIT
from clearinghub.domain.participants.funds_request import FundsRequest
from clearinghub.domain.participants.participant import Account, Participant
from clearinghub.domain.participants.position import Position
from clearinghub.domain.transfers.funds import (
    FUNDS_IN,
    FUNDS_OUT,
    VALIDITY_MS,
    Recorded,
    Unchanged,
    abort_funds_out,
    commit_funds_out,
    record_funds_in,
    reserve_funds_out,
    settlement_account,
)
from clearinghub.domain.transfers.lookup import EXTENSIONS_MAX, Found, decide_get, transfer_body
from clearinghub.domain.transfers.transfer import State, Transfer

NOW_MS = 1_700_000_000_000
ACCOUNT = Account(3, "USD", "SETTLEMENT", active=True, created_at_ms=0)
DFSP = Participant(
    1,
    "dfsp",
    active=True,
    created_at_ms=0,
    accounts=(
        Account(2, "USD", "POSITION", active=True, created_at_ms=0),
        ACCOUNT,
        Account(5, "EUR", "SETTLEMENT", active=False, created_at_ms=0),
    ),
)
REQUEST = FundsRequest("id-1", 3, 1_000_000, "USD", "hash", "bank-7")


def settlement(value: int = 0) -> Position:
    return Position("dfsp", "USD", "SETTLEMENT", 3, value, active=True)


def recorded(outcome: object) -> Recorded:
    assert isinstance(outcome, Recorded)
    return outcome


def reserved() -> Transfer:
    return recorded(reserve_funds_out(REQUEST, None, settlement(-1_000_000), NOW_MS)).transfer


def test_funds_in_are_committed_at_once() -> None:
    outcome = recorded(record_funds_in(REQUEST, None, settlement(), NOW_MS))

    assert (-1_000_000, 1_000_000) == (outcome.settlement_change, outcome.reconciliation_change)
    assert [
        (State.RECEIVED_PREPARE, NOW_MS),
        (State.RESERVED, NOW_MS),
        (State.RECEIVED_FULFIL, NOW_MS),
        (State.COMMITTED, NOW_MS),
    ] == list(outcome.transfer.history)
    assert (FUNDS_IN, "dfsp", "dfsp") == (outcome.transfer.kind, outcome.transfer.payer, outcome.transfer.payee)


def test_the_dfsp_can_query_its_state() -> None:
    transfer = recorded(record_funds_in(REQUEST, None, settlement(), NOW_MS)).transfer

    assert Found(transfer) == decide_get(transfer, "dfsp", requester_exists=True)
    assert {
        "completedTimestamp": "2023-11-14T22:13:20.000Z",
        "transferState": "COMMITTED",
        "extensionList": {"extension": [{"key": "externalReference", "value": "bank-7"}]},
    } == transfer_body(transfer)


def test_extensions_are_kept_within_their_number() -> None:
    given = [{"key": str(number), "value": "v"} for number in range(EXTENSIONS_MAX)]
    request = replace(REQUEST, extensions={"extension": given}, external_reference="r" * 200)

    kept: Any = recorded(record_funds_in(request, None, settlement(), NOW_MS)).transfer.extensions

    assert [*given[:-1], {"key": "externalReference", "value": "r" * 128}] == kept["extension"]


def test_an_account_has_an_end() -> None:
    outcome = record_funds_in(REQUEST, None, settlement(1 - AMOUNT_LIMIT), NOW_MS)

    assert isinstance(outcome, Rejection)
    assert "3100" == outcome.code


def test_funds_out_leave_the_account_at_once() -> None:
    outcome = recorded(reserve_funds_out(REQUEST, None, settlement(-1_000_000), NOW_MS))

    assert (1_000_000, 0) == (outcome.settlement_change, outcome.reconciliation_change)
    assert (State.RESERVED, FUNDS_OUT, NOW_MS + VALIDITY_MS) == (
        outcome.transfer.state,
        outcome.transfer.kind,
        outcome.transfer.expires_at_ms,
    )


def test_more_than_there_is_is_aborted_at_once() -> None:
    outcome = recorded(reserve_funds_out(REQUEST, None, settlement(-999_999), NOW_MS))

    assert (0, 0, State.ABORTED_REJECTED) == (
        outcome.settlement_change,
        outcome.reconciliation_change,
        outcome.transfer.state,
    )
    assert outcome.transfer.error is not None
    assert "Payer FSP insufficient liquidity - Aborted due to insufficient funds" == outcome.transfer.error.description


def test_a_commit_moves_the_hubs_side_only() -> None:
    outcome = recorded(commit_funds_out(reserved(), ACCOUNT, "dfsp", NOW_MS + 1))

    assert (0, -1_000_000, State.COMMITTED) == (
        outcome.settlement_change,
        outcome.reconciliation_change,
        outcome.transfer.state,
    )


def test_an_abort_returns_the_funds() -> None:
    outcome = recorded(abort_funds_out(reserved(), ACCOUNT, "dfsp", NOW_MS + 1))

    assert (-1_000_000, 0, State.ABORTED_REJECTED) == (
        outcome.settlement_change,
        outcome.reconciliation_change,
        outcome.transfer.state,
    )


def test_too_late_to_commit_and_never_too_late_to_abort() -> None:
    due_ms = NOW_MS + VALIDITY_MS

    assert Unchanged("expired") == commit_funds_out(reserved(), ACCOUNT, "dfsp", due_ms)
    assert isinstance(commit_funds_out(reserved(), ACCOUNT, "dfsp", due_ms - 1), Recorded)
    assert isinstance(abort_funds_out(reserved(), ACCOUNT, "dfsp", due_ms), Recorded)


def test_money_leaves_by_two_operators() -> None:
    by_alice = recorded(reserve_funds_out(REQUEST, None, settlement(-1_000_000), NOW_MS, "alice")).transfer

    refused = commit_funds_out(by_alice, ACCOUNT, "dfsp", NOW_MS, "alice")
    assert isinstance(refused, Rejection)
    assert (403, "3000", "Generic client error - needs another operator") == (
        refused.status,
        refused.code,
        refused.description,
    )
    assert isinstance(commit_funds_out(by_alice, ACCOUNT, "dfsp", NOW_MS, "bob"), Recorded)
    assert isinstance(abort_funds_out(by_alice, ACCOUNT, "dfsp", NOW_MS, "alice"), Recorded), "anybody may close"


def test_without_identities_one_operator_does_both() -> None:
    assert isinstance(commit_funds_out(reserved(), ACCOUNT, "dfsp", NOW_MS, ""), Recorded)
    assert isinstance(commit_funds_out(reserved(), ACCOUNT, "dfsp", NOW_MS, "alice"), Recorded)


def test_who_has_recorded_funds_is_kept() -> None:
    transfer = recorded(record_funds_in(REQUEST, None, settlement(), NOW_MS, "alice")).transfer

    assert "alice" == transfer.by


@pytest.mark.parametrize("complete", [commit_funds_out, abort_funds_out])
def test_nothing_is_completed_twice_or_for_another(complete: Any) -> None:
    committed = recorded(commit_funds_out(reserved(), ACCOUNT, "dfsp", NOW_MS)).transfer
    other_account = replace(ACCOUNT, currency="EUR")
    funds_in = recorded(record_funds_in(REQUEST, None, settlement(), NOW_MS)).transfer

    assert Unchanged("already COMMITTED") == complete(committed, ACCOUNT, "dfsp", NOW_MS)
    assert Unchanged("of another account") == complete(reserved(), ACCOUNT, "other", NOW_MS)
    assert Unchanged("of another account") == complete(reserved(), other_account, "dfsp", NOW_MS)
    assert Unchanged("no such funds out") == complete(funds_in, ACCOUNT, "dfsp", NOW_MS)
    assert Unchanged("no such funds out") == complete(None, ACCOUNT, "dfsp", NOW_MS)


@pytest.mark.parametrize("decide", [record_funds_in, reserve_funds_out])
def test_a_transfer_id_is_used_once(decide: Any) -> None:
    stored = recorded(decide(REQUEST, None, settlement(-1_000_000), NOW_MS)).transfer
    reserved = Unchanged("another request has this transferId")

    assert Unchanged(f"already {stored.state.value}") == decide(REQUEST, stored, settlement(), NOW_MS)
    assert reserved == decide(replace(REQUEST, hash="other"), stored, settlement(), NOW_MS)
    assert reserved == decide(REQUEST, stored, replace(settlement(), participant="other"), NOW_MS)
    assert reserved == decide(REQUEST, replace(stored, kind="transfer"), settlement(), NOW_MS)


@pytest.mark.parametrize(
    ("participant", "account_id", "currency", "expected"),
    [
        (None, 3, "USD", ("3200", "Generic ID not found - Participant does not exist", 400)),
        (
            replace(DFSP, active=False),
            3,
            "USD",
            ("2001", "Internal server error - Participant is currently set inactive", 500),
        ),
        (
            DFSP,
            99,
            "USD",
            ("2001", "Internal server error - The account does not match participant or currency specified", 500),
        ),
        (
            DFSP,
            3,
            "EUR",
            ("2001", "Internal server error - The account does not match participant or currency specified", 500),
        ),
        (DFSP, 5, "EUR", ("2001", "Internal server error - Account is currently set inactive", 500)),
        (DFSP, 2, "USD", ("2001", "Internal server error - Account is not SETTLEMENT type", 500)),
    ],
)
def test_accounts_that_take_no_funds(
    participant: Participant | None, account_id: int, currency: str, expected: tuple[str, str, int]
) -> None:
    fault = settlement_account(participant, account_id, currency)

    assert isinstance(fault, Rejection)
    assert expected == (fault.code, fault.description, fault.status)


@pytest.mark.parametrize("currency", ["USD", None])
def test_the_account_that_is_meant(currency: str | None) -> None:
    assert ACCOUNT == settlement_account(DFSP, 3, currency)
