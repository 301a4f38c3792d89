"""Prepare, a case per path: what is refused, in which order, and what is kept of it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from clearinghub.domain.errors import ErrorInformation
from clearinghub.domain.transfers.prepare import (
    Ignored,
    Modified,
    PayeeEligibility,
    PayerEligibility,
    PreparePolicy,
    PrepareRequest,
    Refused,
    Resent,
    Reserved,
    decide_prepare,
)
from clearinghub.domain.transfers.transfer import State, Transfer
from tests.unit.domain.samples import CONDITION, EXPIRES_AT_MS, NOW_MS, position, settlement, transfer

EXTENSIONS = {"extension": [{"key": "channel", "value": "app"}]}
REQUEST = PrepareRequest(
    transfer_id="b51ec534-ee48-4575-b6a9-ead2955b8069",
    source="payerfsp",
    payer="payerfsp",
    payee="payeefsp",
    amount=1_000_000,
    currency="USD",
    condition=CONDITION,
    expires_at_ms=EXPIRES_AT_MS,
    hash="prepare-hash",
    extensions=EXTENSIONS,
)
PAYER = PayerEligibility(exists=True, active=True, position=position(), settlement=settlement())
PAYEE = PayeeEligibility(exists=True, active=True, account_exists=True, account_active=True)
POLICY = PreparePolicy(on_us_transfers=False)

# One fault each, in the order in which they are looked for.
FAULTS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]] = [
    ({"source": "PayerFsp"}, {}, {}, "FSPIOP-Source header should match Payer"),
    ({"amount": 10**18}, {}, {}, "Amount 100000000000000 exceeds allowed precision of 18"),
    ({}, {"exists": False}, {}, "Participant payerfsp not found"),
    ({}, {"active": False}, {}, "Participant payerfsp is inactive"),
    ({}, {}, {"exists": False}, "Participant payeefsp not found"),
    ({}, {}, {"active": False}, "Participant payeefsp is inactive"),
    ({"condition": ""}, {}, {}, "Condition is required for a conditional transfer"),
    ({"condition": "A" * 42}, {}, {}, "Condition validation failed"),
    ({"expires_at_ms": NOW_MS - 1}, {}, {}, "Expiration date 2023-11-14T22:13:20.999Z is already in the past"),
    (
        {"payee": "PAYERFSP"},
        {},
        {},
        "Payer FSP and Payee FSP should be different, unless on-us tranfers are allowed by the Scheme",
    ),
    ({}, {"position": None}, {}, "Participant payerfsp USD account not found"),
    ({}, {"position": position(active=False)}, {}, "Participant payerfsp USD account is inactive"),
    ({}, {}, {"account_exists": False}, "Participant payeefsp USD account not found"),
    ({}, {}, {"account_active": False}, "Participant payeefsp USD account is inactive"),
]


def decide(
    request: PrepareRequest = REQUEST,
    payer: PayerEligibility = PAYER,
    payee: PayeeEligibility = PAYEE,
    policy: PreparePolicy = POLICY,
    stored: Transfer | None = None,
) -> object:
    return decide_prepare(request, stored, payer, payee, policy, NOW_MS)


def test_good_prepare_reserves() -> None:
    outcome = decide()

    expected = transfer(State.RECEIVED_PREPARE, extensions=EXTENSIONS, history=((State.RECEIVED_PREPARE, NOW_MS),))
    assert isinstance(outcome, Reserved)
    history = (*expected.history, (State.RESERVED, NOW_MS))
    assert replace(expected, history=history) == outcome.transfer
    assert position(1_000_000, change_number=5, changed_at_ms=NOW_MS) == outcome.position


@pytest.mark.parametrize(("request_change", "payer_change", "payee_change", "text"), FAULTS)
def test_faulty_prepare_is_invalid_and_kept(
    request_change: dict[str, Any], payer_change: dict[str, Any], payee_change: dict[str, Any], text: str
) -> None:
    request = REQUEST._replace(**request_change)

    outcome = decide(request, PAYER._replace(**payer_change), PAYEE._replace(**payee_change))

    assert isinstance(outcome, Refused)
    assert (outcome.rejection.code, outcome.rejection.detail) == ("3100", text)
    assert outcome.transfer.error == ErrorInformation("3100", f"Generic validation error - {text}"[:128])
    assert outcome.transfer.state is State.INVALID
    assert outcome.transfer.history == ((State.INVALID, NOW_MS),)
    assert outcome.transfer.prepare_hash == REQUEST.hash


@pytest.mark.parametrize("first", range(len(FAULTS) - 1))
def test_only_the_first_fault_is_reported(first: int) -> None:
    changes: list[dict[str, Any]] = [{}, {}, {}]
    for index in range(len(FAULTS) - 1, first - 1, -1):  # the earliest last, so that it wins where two touch one field
        for change, addition in zip(changes, FAULTS[index][:3], strict=True):
            change.update(addition)

    outcome = decide(REQUEST._replace(**changes[0]), PAYER._replace(**changes[1]), PAYEE._replace(**changes[2]))

    assert isinstance(outcome, Refused)
    assert FAULTS[first][3].replace("payeefsp", changes[0].get("payee", "payeefsp")) == outcome.rejection.detail


def test_expiration_at_this_moment_is_in_time() -> None:
    assert isinstance(decide(REQUEST._replace(expires_at_ms=NOW_MS)), Reserved)


def test_largest_amount_of_the_ledger_is_judged_by_the_limits() -> None:
    outcome = decide(REQUEST._replace(amount=10**18 - 1))

    assert isinstance(outcome, Refused)
    assert outcome.rejection.code == "4001"


def test_on_us_transfer_passes_where_the_scheme_allows_it() -> None:
    outcome = decide(REQUEST._replace(payee="payerfsp"), policy=PreparePolicy(on_us_transfers=True))

    assert isinstance(outcome, Reserved)


@pytest.mark.parametrize(
    ("payer_change", "code", "description"),
    [
        ({"settlement": settlement(999_999)}, "4001", "Payer FSP insufficient liquidity"),
        ({"position": position(9_000_001)}, "4200", "Payer limit error"),
        ({"settlement": settlement(0), "position": position(9_000_001)}, "4001", "Payer FSP insufficient liquidity"),
        (
            {"settlement": None},
            "6000",
            "Generic Settlement Error - Unable to find a matching or default, Settlement Model",
        ),
    ],
)
def test_prepare_without_room_is_refused_and_kept(payer_change: dict[str, Any], code: str, description: str) -> None:
    outcome = decide(payer=PAYER._replace(**payer_change))

    assert isinstance(outcome, Refused)
    assert code == outcome.rejection.code
    assert outcome.transfer.error == ErrorInformation(code, description, EXTENSIONS)
    assert outcome.transfer.history == ((State.RECEIVED_PREPARE, NOW_MS), (State.ABORTED_REJECTED, NOW_MS))


@pytest.mark.parametrize("state", State)
def test_same_message_again_tells_the_state(state: State) -> None:
    stored = transfer(state)

    outcome = decide(stored=stored)

    assert (Ignored() if state is State.RECEIVED_PREPARE else Resent(stored)) == outcome


@pytest.mark.parametrize("state", State)
def test_other_message_under_the_same_id_is_modified(state: State) -> None:
    outcome = decide(REQUEST._replace(hash="other-hash", source="stranger"), stored=transfer(state))

    assert Modified() == outcome
    assert Modified().rejection.description == "Modified request"
    assert Modified().rejection.code == "3106"
