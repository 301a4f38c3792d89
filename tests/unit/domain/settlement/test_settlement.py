from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from clearinghub.domain.participants.participant import Participant
from clearinghub.domain.settlement.creation import begin, choose_contents, new_account, take_in
from clearinghub.domain.settlement.netting import NET, AccountIds, ContentSums, Net, NettingGroup
from clearinghub.domain.settlement.progress import confirm_moves
from clearinghub.domain.settlement.settlement import (
    COMMITTED,
    NET_RECIPIENT,
    NET_SENDER,
    NET_ZERO,
    PENDING,
    RECORDED,
    RESERVED,
    SETTLED,
    SETTLING,
    WHOLE,
    Settlement,
    SettlementAccount,
    entry_type_of,
    transfer_id_of,
)
from clearinghub.domain.settlement.window import Content, Window, WindowState
from clearinghub.rows import encode_row, make_row_decoder
from tests.unit.domain.settlement.test_netting import model

GROUP = NettingGroup("USD", "POSITION", NET)
NOW_MS = 1_700_000_000_000
SUMS = ContentSums(Net(5, 5, 1, 1), entries=2, without_pairs=2)
WINDOW = Window(
    3,
    WindowState.CLOSED,
    "r",
    NOW_MS,
    NOW_MS,
    used=True,
    reported=(0, 1),
    contents=(Content(9, GROUP, WindowState.CLOSED, NOW_MS, NOW_MS, 1),),
)


def a_settlement() -> Any:
    """Settlement 1 of two accounts: 11 owes 5, 22 is owed 5."""
    return replace(begun(), accounts=2, stage=WHOLE)


def begun() -> Any:
    return begin(1, model("m"), "r", {(3, GROUP): SUMS}, NOW_MS)


def account(number: int, net: int) -> SettlementAccount:
    return take_in(new_account(begun(), "a", AccountIds(number, 11 * number), "USD"), 0, net)


def test_entries() -> None:
    assert [NET_RECIPIENT, NET_ZERO, NET_SENDER] == [entry_type_of(net) for net in (-1, 0, 1)]


def test_ids_are_derived_and_of_each_leg() -> None:
    assert transfer_id_of(1, 2, "") == transfer_id_of(1, 2, "")
    assert 3 == len({transfer_id_of(1, 2, ""), transfer_id_of(1, 2, "b"), transfer_id_of(2, 2, "")})


def test_an_account_keeps_what_it_owes_and_what_it_is_owed() -> None:
    one = take_in(take_in(account(1, 5), 0, -7), -7, 2)
    assert (7, 0, 7) == (one.owing, one.owed, one.net)
    one = take_in(one, 2, -2)
    assert (5, 2, 3) == (one.owing, one.owed, one.net)


def test_a_second_confirmation_of_the_same_moves_is_a_bug() -> None:
    moving = replace(account(1, -5), moves_requested=1, moving=RESERVED)
    after = confirm_moves(moving, 1, 5, NOW_MS)

    assert (5, 1, RESERVED) == (after.moved, after.moves_done, after.state)
    with pytest.raises(AssertionError, match="confirmation 1 follows 1"):
        confirm_moves(after, 1, 5, NOW_MS)


def test_an_account_that_is_moved_in_parts_takes_its_state_with_the_last() -> None:
    moving = replace(account(1, -5), moves_requested=2, moving=RESERVED)
    after = confirm_moves(moving, 1, 3, NOW_MS)

    assert (PENDING, RESERVED) == (after.state, after.moving)
    after = confirm_moves(after, 2, 2, NOW_MS)
    assert (RESERVED, None) == (after.state, after.moving)


def test_the_settlement_takes_a_state_with_its_last_account() -> None:
    settlement, one, two = a_settlement(), account(1, 5), account(2, -5)
    for state in (RECORDED, RESERVED, COMMITTED):
        settlement = settlement.after(one, replace(one, state=state), NOW_MS)
        assert state is not settlement.state
        settlement = settlement.after(two, replace(two, state=state), NOW_MS)
        assert (state, 0, 0) == (settlement.state, settlement.ahead, settlement.heading)
        one, two = replace(one, state=state), replace(two, state=state)
    settlement = settlement.after(one, replace(one, state=SETTLED), NOW_MS)
    assert SETTLING is settlement.state
    assert SETTLED is settlement.after(two, replace(two, state=SETTLED), NOW_MS).state


def test_without_the_hubs_account_there_is_no_settlement() -> None:
    hub = Participant(1, "Hub", active=True, created_at_ms=1)

    refused: Any = choose_contents(hub, model("m"), [3], {3: WINDOW}, lambda _window_id, _netting_group: SUMS)
    assert "Hub multilateral net settlement account" in refused.detail


def test_rows_are_decoded_as_they_were_encoded() -> None:
    settlement = a_settlement()

    assert settlement == make_row_decoder(Settlement)(encode_row(settlement))
    assert WINDOW == make_row_decoder(Window)(encode_row(WINDOW))
    assert SUMS == make_row_decoder(ContentSums)(encode_row(SUMS))
    assert account(1, 5) == make_row_decoder(SettlementAccount)(encode_row(account(1, 5)))
