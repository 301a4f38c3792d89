from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from clearinghub.domain.participants.participant import Participant
from clearinghub.domain.settlement.creation import choose_contents, create
from clearinghub.domain.settlement.netting import NET, AccountIds, ContentNets, Net, NettingGroup, Party, PartyNet
from clearinghub.domain.settlement.progress import confirm_moves
from clearinghub.domain.settlement.settlement import (
    NET_RECIPIENT,
    NET_SENDER,
    NET_ZERO,
    Settlement,
    entry_type_of,
    transfer_id_of,
    with_accounts,
)
from clearinghub.domain.settlement.window import Content, Window, WindowState
from clearinghub.rows import encode_row, make_row_decoder
from tests.unit.domain.settlement.test_netting import model

GROUP = NettingGroup("USD", "POSITION", NET)
NOW_MS = 1_700_000_000_000
NETS = ContentNets(
    (
        PartyNet(Party("a"), AccountIds(1, 11), Net(5, 0, 1, 0)),
        PartyNet(Party("b"), AccountIds(2, 22), Net(0, 5, 0, 1)),
    )
)
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
    return create(1, model("m"), "r", {(3, GROUP): NETS}, NOW_MS)


def test_entries() -> None:
    assert [NET_RECIPIENT, NET_ZERO, NET_SENDER] == [entry_type_of(net) for net in (-1, 0, 1)]


def test_ids_are_derived_and_of_each_leg() -> None:
    assert transfer_id_of(1, 2, "") == transfer_id_of(1, 2, "")
    assert 3 == len({transfer_id_of(1, 2, ""), transfer_id_of(1, 2, "b"), transfer_id_of(2, 2, "")})


def test_a_request_for_no_account_is_no_change() -> None:
    settlement = a_settlement()

    assert with_accounts(settlement, {}, NOW_MS + 1) is settlement


def test_a_second_confirmation_of_the_same_moves_is_a_bug() -> None:
    settlement = a_settlement()
    account = replace(settlement.accounts[0], moves_requested=1)
    moving = replace(settlement, accounts=(account, *settlement.accounts[1:]))
    after = confirm_moves(moving, 11, 1, 5, NOW_MS)

    assert (5, 1) == (after.accounts[0].moved, after.accounts[0].moves_done)
    with pytest.raises(AssertionError, match="confirmation 1 follows 1"):
        confirm_moves(after, 11, 1, 5, NOW_MS)


def test_without_the_hubs_account_there_is_no_settlement() -> None:
    hub = Participant(1, "Hub", active=True, created_at_ms=1)

    refused: Any = choose_contents(hub, model("m"), [3], {3: WINDOW}, lambda _window_id, _netting_group: NETS)
    assert "Hub multilateral net settlement account" in refused.detail


def test_rows_are_decoded_as_they_were_encoded() -> None:
    settlement = a_settlement()

    assert settlement == make_row_decoder(Settlement)(encode_row(settlement))
    assert WINDOW == make_row_decoder(Window)(encode_row(WINDOW))
    assert NETS == make_row_decoder(ContentNets)(encode_row(NETS))
