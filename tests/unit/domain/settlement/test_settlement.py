from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from clearinghub.domain.participants.participant import Participant
from clearinghub.domain.settlement.creation import AccountIds, ContentNets, choose_contents, create
from clearinghub.domain.settlement.fields import settlement_fields, settlement_of, window_fields, window_of
from clearinghub.domain.settlement.netting import NET, Net, NettingGroup, Party
from clearinghub.domain.settlement.progress import moved
from clearinghub.domain.settlement.settlement import (
    NET_RECIPIENT,
    NET_SENDER,
    NET_ZERO,
    entry_type_of,
    transfer_id_of,
    with_lines,
)
from clearinghub.domain.settlement.window import Content, Window, WindowState
from tests.unit.domain.settlement.test_netting import model

FLOW = NettingGroup("USD", "POSITION", NET)
NOW_MS = 1_700_000_000_000
NETS = ContentNets(
    {Party("a"): Net(5, 0, 1, 0), Party("b"): Net(0, 5, 0, 1)}, {"a": AccountIds(1, 11), "b": AccountIds(2, 22)}
)
WINDOW = Window(
    3,
    WindowState.CLOSED,
    "r",
    NOW_MS,
    NOW_MS,
    used=True,
    reported=(0, 1),
    contents=(Content(9, FLOW, WindowState.CLOSED, NOW_MS, NOW_MS, 1),),
)


def a_settlement() -> Any:
    return create(1, model("m"), "r", {(3, FLOW): NETS}, NOW_MS)


def test_entries() -> None:
    assert [NET_RECIPIENT, NET_ZERO, NET_SENDER] == [entry_type_of(net) for net in (-1, 0, 1)]


def test_ids_are_derived_and_of_each_leg() -> None:
    assert transfer_id_of(1, 2, "") == transfer_id_of(1, 2, "")
    assert 3 == len({transfer_id_of(1, 2, ""), transfer_id_of(1, 2, "b"), transfer_id_of(2, 2, "")})


def test_nothing_touched_is_no_change() -> None:
    settlement = a_settlement()

    assert with_lines(settlement, {}, NOW_MS + 1) is settlement


def test_an_answer_that_was_given_already_is_a_bug() -> None:
    settlement = a_settlement()
    line = replace(settlement.lines[0], moves_asked=1)
    after = moved(replace(settlement, lines=(line, *settlement.lines[1:])), 11, 1, 5, NOW_MS)

    assert (5, 1) == (after.lines[0].moved, after.lines[0].moves_done)
    with pytest.raises(AssertionError, match="answer 1 follows 1"):
        moved(after, 11, 1, 5, NOW_MS)


def test_without_the_hubs_account_there_is_no_settlement() -> None:
    hub = Participant(1, "Hub", active=True, created_at_ms=1)

    refused: Any = choose_contents(hub, model("m"), [3], {3: WINDOW}, lambda _window_id, _netting_group: NETS)
    assert "Hub multilateral net settlement account" in refused.detail


def test_fields_are_what_they_were() -> None:
    settlement = a_settlement()

    assert settlement == settlement_of(settlement_fields(settlement))
    assert WINDOW == window_of(window_fields(WINDOW))
    with pytest.raises(ValueError, match="of version 2"):
        window_of({**window_fields(WINDOW), "v": 2})
