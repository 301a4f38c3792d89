"""Settlement models, kinds of accounts, and which accounts follow from them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, product

import pytest
from msgspec.structs import replace

from clearinghub.domain.errors import Rejection
from clearinghub.domain.participants.participant import (
    Account,
    LedgerAccountType,
    ModelDefinition,
    Participant,
)
from clearinghub.domain.participants.scheme import (
    DELAYS,
    GRANULARITIES,
    INTERCHANGES,
    account_types_for,
    accounts_missing,
    find_model,
    is_ledger_account_type,
)
from clearinghub.domain.settlement.model import (
    ACCOUNT_TYPES_MAX,
    MODELS_MAX,
    add_account_type,
    add_model,
    set_model_active,
)
from clearinghub.rows import encode_row, make_row_decoder

SUPPORTED = {
    ("IMMEDIATE", "GROSS", "BILATERAL"),
    ("DEFERRED", "GROSS", "BILATERAL"),
    ("DEFERRED", "NET", "BILATERAL"),
    ("DEFERRED", "NET", "MULTILATERAL"),
}
NET = ModelDefinition(
    name="DEFERREDNETUSD",
    granularity="NET",
    interchange="MULTILATERAL",
    delay="DEFERRED",
    currency="USD",
    require_liquidity_check=True,
    ledger_account_type="POSITION",
    settlement_account_type="SETTLEMENT",
    auto_position_reset=True,
)
FEES = replace(
    NET,
    name="INTERCHANGEFEE",
    ledger_account_type="INTERCHANGE_FEE",
    settlement_account_type="INTERCHANGE_FEE_SETTLEMENT",
)
CGS = replace(NET, name="CGS", delay="IMMEDIATE", granularity="GROSS", interchange="BILATERAL")
DEFAULT = replace(NET, name="DEFAULT", currency=None)
FEE_PAIR = ("INTERCHANGE_FEE", "INTERCHANGE_FEE_SETTLEMENT")


def ids() -> Callable[[], int]:
    numbers = count(10)
    return lambda: next(numbers)


def hub(
    *models: ModelDefinition, accounts: tuple[str, ...] = ("HUB_RECONCILIATION", "HUB_MULTILATERAL_SETTLEMENT")
) -> Participant:
    opened = tuple(
        Account(number, "USD", kind, active=True, created_at_ms=0) for number, kind in enumerate(accounts, start=1)
    )
    made = Participant(1, "Hub", active=True, created_at_ms=0, accounts=opened)
    next_id = ids()
    for model in models:
        with_model = add_model(made, model, next_id)
        assert isinstance(with_model, Participant)
        made = with_model
    return made


def dfsp(*accounts: tuple[str, str]) -> Participant:
    opened = tuple(
        Account(number, currency, kind, active=False, created_at_ms=0)
        for number, (currency, kind) in enumerate(accounts, start=1)
    )
    return Participant(2, "dfsp", active=True, created_at_ms=0, accounts=opened)


def refused(outcome: object) -> tuple[str, str, int]:
    assert isinstance(outcome, Rejection)
    return outcome.code, outcome.description, outcome.status


def test_a_model_is_active_and_numbered() -> None:
    model = find_model(hub(NET), "DEFERREDNETUSD")

    assert model is not None
    assert (10, True, "USD", "POSITION", "SETTLEMENT") == (
        model.model_id,
        model.active,
        model.currency,
        model.ledger_account_type,
        model.settlement_account_type,
    )


@pytest.mark.parametrize("combination", list(product(DELAYS, GRANULARITIES, INTERCHANGES)))
def test_combinations(combination: tuple[str, str, str]) -> None:
    delay, granularity, interchange = combination
    outcome = add_model(hub(), replace(NET, delay=delay, granularity=granularity, interchange=interchange), ids())

    if combination in SUPPORTED:
        assert isinstance(outcome, Participant)
    else:
        assert (
            "3000",
            (
                "Generic client error - Invalid settlement model definition - delay-granularity-interchange combination"
                " is not supported"
            ),
            400,
        ) == refused(outcome)


@pytest.mark.parametrize(
    ("requested", "expected"),
    [
        (NET, ("3000", "Generic client error - Settlement Model already exists", 400)),
        (
            replace(NET, name="X", ledger_account_type="NONE"),
            ("3003", "Add Party information error - Ledger account type was not found", 400),
        ),
        (
            replace(NET, name="X", settlement_account_type="NONE"),
            ("3003", "Add Party information error - Settlement account type was not found", 400),
        ),
        (
            replace(CGS, settlement_account_type="INTERCHANGE_FEE_SETTLEMENT"),
            (
                "3100",
                (
                    "Generic validation error - An IMMEDIATE GROSS model of POSITION must have settlementAccountType"
                    " SETTLEMENT"
                ),
                400,
            ),
        ),
    ],
)
def test_models_that_are_refused(requested: ModelDefinition, expected: tuple[str, str, int]) -> None:
    assert expected == refused(add_model(hub(NET), requested, ids()))


def test_fees_may_be_gross_wherever_they_settle() -> None:
    for requested in (CGS, replace(CGS, name="X", ledger_account_type="INTERCHANGE_FEE")):
        assert isinstance(add_model(hub(NET), requested, ids()), Participant)


def test_models_are_bounded() -> None:
    full = hub(NET)
    full = replace(full, models=full.models * MODELS_MAX)

    assert "3000" == refused(add_model(full, replace(NET, name="X"), ids()))[0]


def test_a_model_is_switched_off_and_on() -> None:
    off = set_model_active(hub(NET, FEES), "DEFERREDNETUSD", active=False)
    assert isinstance(off, Participant)
    on = set_model_active(off, "DEFERREDNETUSD", active=True)
    assert isinstance(on, Participant)

    assert [False, True] == [model.active for model in off.models]
    assert hub(NET, FEES).models == on.models


def test_an_unknown_model_is_not_switched() -> None:
    assert ("2001", "Internal server error - Settlement Model does not exist", 500) == refused(
        set_model_active(hub(), "X", active=True)
    )


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ((NET,), ("POSITION", "SETTLEMENT")),
        ((DEFAULT,), ("POSITION", "SETTLEMENT")),
        ((NET, FEES), ("POSITION", "SETTLEMENT", *FEE_PAIR)),
        ((DEFAULT, FEES), FEE_PAIR),  # a model of the currency's own takes the default's place
        ((NET, replace(NET, name="OTHER")), ("POSITION", "SETTLEMENT")),
    ],
)
def test_the_accounts_that_models_open(models: tuple[ModelDefinition, ...], expected: tuple[str, ...]) -> None:
    assert expected == account_types_for(hub(*models), "USD")


def test_an_inactive_model_opens_no_accounts() -> None:
    off = set_model_active(hub(NET), "DEFERREDNETUSD", active=False)
    assert isinstance(off, Participant)

    assert (
        "6000",
        "Generic Settlement Error - Unable to find a matching or default, Settlement Model",
        400,
    ) == refused(account_types_for(off, "USD"))


@pytest.mark.parametrize(
    ("owner", "missing"),
    [
        (None, "reconciliation"),
        (hub(DEFAULT, accounts=()), "reconciliation"),
        (hub(DEFAULT, accounts=("HUB_MULTILATERAL_SETTLEMENT",)), "reconciliation"),
        (hub(DEFAULT, accounts=("HUB_RECONCILIATION",)), "multilateral net settlement"),
    ],
)
def test_the_hub_needs_its_accounts_first(owner: Participant | None, missing: str) -> None:
    assert (
        "3003",
        f"Add Party information error - Hub {missing} account for the specified currency does not exist",
        400,
    ) == refused(account_types_for(owner, "USD"))


def test_what_a_later_model_would_have_given() -> None:
    participant = dfsp(("USD", "POSITION"), ("USD", "SETTLEMENT"), ("EUR", "POSITION"))

    assert (
        ("USD", "INTERCHANGE_FEE"),
        ("USD", "INTERCHANGE_FEE_SETTLEMENT"),
        ("EUR", "SETTLEMENT"),
    ) == accounts_missing(hub(DEFAULT, NET, FEES), participant)


def test_a_participant_without_a_currency_lacks_nothing() -> None:
    assert () == accounts_missing(hub(DEFAULT, NET, FEES), dfsp())


def test_the_schemes_own_kinds_of_accounts() -> None:
    kind = LedgerAccountType("SAVINGS", "Savings", active=True, settleable=False)
    owner = add_account_type(hub(), kind)
    assert isinstance(owner, Participant)
    dormant = add_account_type(owner, LedgerAccountType("DORMANT", "Not yet", active=False, settleable=False))
    assert isinstance(dormant, Participant)

    assert is_ledger_account_type(dormant, "SAVINGS")
    assert not is_ledger_account_type(dormant, "DORMANT")
    assert dormant == make_row_decoder(Participant)(encode_row(dormant))


@pytest.mark.parametrize("name", ["POSITION", "SAVINGS"])
def test_a_kind_of_account_is_defined_once(name: str) -> None:
    kind = LedgerAccountType("SAVINGS", "Savings", active=True, settleable=False)
    owner = add_account_type(hub(), kind)
    assert isinstance(owner, Participant)

    assert ("3000", "Generic client error - This Ledger Account Type already exists", 400) == refused(
        add_account_type(owner, replace(kind, name=name))
    )


def test_kinds_of_accounts_are_bounded() -> None:
    kind = LedgerAccountType("SAVINGS", "Savings", active=True, settleable=False)
    full = replace(hub(), account_types=(kind,) * ACCOUNT_TYPES_MAX)

    assert "3000" == refused(add_account_type(full, replace(kind, name="ANOTHER")))[0]
