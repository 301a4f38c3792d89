"""Joining, accounts, endpoints and limits."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest
from msgspec.structs import replace

from clearinghub.domain.errors import Rejection
from clearinghub.domain.participants.participant import Account, Participant
from clearinghub.domain.participants.position import Position
from clearinghub.domain.participants.registration import (
    ENDPOINTS_MAX,
    Change,
    adjust_limit,
    join,
    open_accounts,
    open_hub_account,
    register,
    set_account_active,
    set_active,
    set_endpoint,
    set_initial_limit,
)
from clearinghub.rows import encode_row, make_row_decoder

NOW_MS = 1_700_000_000_000
PAIR = ("POSITION", "SETTLEMENT")


def ids() -> Callable[[], int]:
    numbers = count(1)
    return lambda: next(numbers)


def changed(outcome: Change | Rejection) -> Change:
    assert isinstance(outcome, Change)
    return outcome


def refused(outcome: object) -> tuple[str, str, int]:
    assert isinstance(outcome, Rejection)
    return outcome.code, outcome.description, outcome.status


def registered() -> Change:
    next_id = ids()
    participant = join("payerfsp", is_proxy=False, next_id=next_id, now_ms=NOW_MS)
    return changed(register(participant, "USD", PAIR, next_id, NOW_MS))


def finder(change: Change) -> Callable[[str, str], Position | None]:
    found = {(one.currency, one.account_type): one for one in change.positions}
    return lambda currency, account_type: found.get((currency, account_type))


def with_limit() -> Change:
    change = registered()
    return changed(set_initial_limit(change.participant, "USD", finder(change), 10_000_000, 0, NOW_MS + 1))


def test_a_new_participant_is_active_and_its_accounts_are_not() -> None:
    change = registered()

    assert (
        Participant(
            1,
            "payerfsp",
            active=True,
            created_at_ms=NOW_MS,
            accounts=(
                Account(2, "USD", "POSITION", active=False, created_at_ms=NOW_MS),
                Account(3, "USD", "SETTLEMENT", active=False, created_at_ms=NOW_MS),
            ),
            version=1,
        )
        == change.participant
    )
    assert [("POSITION", 2, 0, None, False), ("SETTLEMENT", 3, 0, None, False)] == [
        (one.account_type, one.account_id, one.value, one.net_debit_cap, one.active) for one in change.positions
    ]


def test_a_currency_is_registered_once() -> None:
    change = registered()

    again = register(change.participant, "USD", PAIR, ids(), NOW_MS)

    assert ("3000", "Generic client error - Participant currency has already been registered", 400) == refused(again)


def test_a_second_currency_is_added() -> None:
    change = changed(register(registered().participant, "EUR", PAIR, ids(), NOW_MS))

    assert ["USD", "USD", "EUR", "EUR"] == [one.currency for one in change.participant.accounts]
    assert 2 == change.participant.version


def test_registering_again_opens_the_accounts_of_a_later_model() -> None:
    participant = registered().participant

    change = changed(register(participant, "USD", (*PAIR, "INTERCHANGE_FEE"), ids(), NOW_MS))

    assert ["INTERCHANGE_FEE"] == [one.account_type for one in change.positions]
    assert participant.accounts == change.participant.accounts[:2]


def test_opening_nothing_changes_nothing() -> None:
    participant = registered().participant

    change = open_accounts(participant, [("USD", "POSITION")], active=False, next_id=ids(), now_ms=NOW_MS)

    assert Change(participant) == change


def test_the_hubs_accounts_are_active_and_opened_once() -> None:
    hub = join("Hub", is_proxy=False, next_id=ids(), now_ms=NOW_MS)
    change = changed(open_hub_account(hub, "USD", "HUB_RECONCILIATION", ids(), NOW_MS))

    assert change.participant.accounts[0].active
    assert change.positions[0].active
    assert (
        "3003",
        "Add Party information error - Hub account has already been registered.",
        400,
    ) == refused(open_hub_account(change.participant, "USD", "HUB_RECONCILIATION", ids(), NOW_MS))


def test_a_participant_is_switched_off() -> None:
    participant = registered().participant

    assert replace(participant, active=False, version=2) == set_active(participant, active=False).participant


def test_an_endpoint_replaces_the_one_of_its_type() -> None:
    once = changed(set_endpoint(registered().participant, "FSPIOP_CALLBACK_URL_QUOTES", "http://a")).participant
    twice = changed(set_endpoint(once, "FSPIOP_CALLBACK_URL_QUOTES", "http://b")).participant

    assert {"FSPIOP_CALLBACK_URL_QUOTES": "http://b"} == twice.endpoints
    assert 3 == twice.version


def test_endpoints_are_bounded() -> None:
    many = {f"TP_CB_URL_{number}": "http://a" for number in range(ENDPOINTS_MAX)}
    participant = replace(registered().participant, endpoints=many)

    assert "3100" == refused(set_endpoint(participant, "FSPIOP_CALLBACK_URL_QUOTES", "http://a"))[0]
    assert ENDPOINTS_MAX == len(changed(set_endpoint(participant, "TP_CB_URL_7", "http://b")).participant.endpoints)


def test_the_first_limit_opens_both_accounts() -> None:
    change = with_limit()
    position, settlement = change.positions

    assert (True, True) == tuple(one.active for one in change.participant.accounts)
    assert (True, True) == (position.active, settlement.active)
    assert (10_000_000, 10, 0, 0) == (
        position.net_debit_cap,
        position.alarm_percent,
        position.value,
        position.change_number,
    )


def test_an_initial_position_is_a_movement() -> None:
    change = registered()
    position = changed(
        set_initial_limit(change.participant, "USD", finder(change), 10_000_000, -5_000, NOW_MS + 1)
    ).positions[0]

    assert (-5_000, 1, NOW_MS + 1) == (position.value, position.change_number, position.changed_at_ms)


def test_the_first_limit_is_set_once() -> None:
    change = with_limit()
    again = set_initial_limit(change.participant, "USD", finder(change), 1, 0, NOW_MS)

    assert (
        "2001",
        "Internal server error - Participant Limit or Initial Position already set",
        500,
    ) == refused(again)


def test_a_limit_needs_the_account() -> None:
    change = registered()

    assert ("2001", "Internal server error - Account not found", 500) == refused(
        set_initial_limit(change.participant, "EUR", finder(change), 1, 0, NOW_MS)
    )


@pytest.mark.parametrize("cap", [0, 7, -5_000])
def test_a_limit_is_replaced_whatever_the_position_is(cap: int) -> None:
    change = with_limit()
    position = replace(change.positions[0], value=9_000)

    adjusted = changed(adjust_limit(change.participant, "USD", lambda *_: position, cap, 25))

    assert (replace(position, net_debit_cap=cap, alarm_percent=25),) == adjusted.positions
    assert change.participant is adjusted.participant


@pytest.mark.parametrize("currency", ["USD", "EUR"])
def test_no_limit_to_adjust(currency: str) -> None:
    change = registered()

    assert ("2001", "Internal server error - Participant Limit does not exist", 500) == refused(
        adjust_limit(change.participant, currency, finder(change), 1, 10)
    )


def test_an_account_is_switched_in_both_its_places() -> None:
    change = with_limit()
    off = changed(set_account_active(change.participant, 2, finder(change), active=False))

    assert [False, True] == [one.active for one in off.participant.accounts]
    assert [("POSITION", False)] == [(one.account_type, one.active) for one in off.positions]


@pytest.mark.parametrize(
    ("account_id", "fault"), [(99, "Account not found"), (3, "Only position account update is permitted")]
)
def test_accounts_that_cannot_be_switched(account_id: int, fault: str) -> None:
    change = with_limit()

    assert ("2001", f"Internal server error - {fault}", 500) == refused(
        set_account_active(change.participant, account_id, finder(change), active=False)
    )


def test_a_participant_is_decoded_as_it_was_encoded() -> None:
    participant = changed(set_endpoint(with_limit().participant, "FSPIOP_CALLBACK_URL_QUOTES", "http://a")).participant

    assert participant == make_row_decoder(Participant)(encode_row(participant))


def test_bytes_of_another_form_are_refused() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        make_row_decoder(Participant)(b'{"v":2}')
