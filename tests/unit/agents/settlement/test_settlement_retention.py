"""What is settled leaves the table after its time, and nothing else does."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from agents.settlement.retention import DELETED_AT_ONCE, ROWS_AT_ONCE, make_settlement_retention_punctuator
from agents.settlement.settlements import LATEST as LATEST_SETTLEMENT
from agents.settlement.windows import LATEST as LATEST_WINDOW
from clearinghub.domain.settlement.netting import AccountIds, ContentSums, Net, NettingGroup, Party
from clearinghub.domain.settlement.settlement import WHOLE, Settlement, SettlementAccount, SettlementState, Terms
from clearinghub.domain.settlement.window import Content, Window, WindowState
from tables.counters import COUNTERS
from tables.settlements import (
    ACCOUNTS,
    ENTRIES,
    LEGS,
    SETTLEMENT_WINDOWS,
    SETTLEMENTS,
    SUMS,
    StoredEntry,
    StoredLeg,
    account_key,
    entry_key,
    leg_key,
    settlement_key,
    sums_key,
    window_key,
)
from tests.fakes import MemoryView
from tests.nets import entries_of

RETENTION_MS = 1_000
CHANGED_MS = 1_700_000_000_000
GROUP = NettingGroup("USD", "POSITION", "NET")
ACCOUNT = SettlementAccount("alpha", 1, 2, "USD", SettlementState.SETTLED, "r", None, CHANGED_MS, CHANGED_MS)
SETTLEMENT = Settlement(
    1,
    Terms("M", "POSITION", False, True, True),
    SettlementState.SETTLED,
    "r",
    None,
    CHANGED_MS,
    CHANGED_MS,
    ((1, GROUP),),
    stage=WHOLE,
    accounts=1,
    legs=1,
)
GONE_MS = CHANGED_MS + RETENTION_MS + 1


class Coordinator:
    """The hub's partition, and what was counted there."""

    def __init__(self) -> None:
        self.view = MemoryView(1, 2)
        self.counted: list[tuple[str, Mapping[str, int]]] = []
        self._punctuate = make_settlement_retention_punctuator(
            1, RETENTION_MS, lambda kind, states: self.counted.append((kind, dict(states)))
        )

    def window(self, number: int, state: WindowState) -> None:
        content = Content(number * 10, GROUP, state, CHANGED_MS, CHANGED_MS, 1)
        row = Window(number, state, "r", CHANGED_MS, CHANGED_MS, True, (0, 1), (content,))
        self.view.put(SETTLEMENT_WINDOWS, window_key(number), row)
        self.view.put(SUMS, sums_key(number, GROUP), ContentSums(Net(5, 5, 1, 1), 1))
        self.view.put(ENTRIES, entry_key(number, GROUP, Party("alpha")), StoredEntry(AccountIds(1, 2), Net(5, 5, 1, 1)))
        self.view.put(COUNTERS, LATEST_WINDOW, max(number, self.view.get(COUNTERS, LATEST_WINDOW) or 0))

    def settlement(self, row: Settlement) -> None:
        self.view.put(SETTLEMENTS, settlement_key(row.settlement_id), row)
        self.view.put(ACCOUNTS, account_key(row.settlement_id, ACCOUNT.account_id), ACCOUNT)
        for number in range(row.legs):
            self.view.put(LEGS, leg_key(row.settlement_id, ACCOUNT.account_id, f"dfsp{number:06d}"), StoredLeg(0))
        self.view.put(COUNTERS, LATEST_SETTLEMENT, row.settlement_id)

    def punctuate(self, now_ms: int = GONE_MS) -> None:
        self._punctuate(self.view, now_ms)

    def has_window(self, number: int) -> bool:
        nets = entries_of(self.view, number)
        row = self.view.get(SETTLEMENT_WINDOWS, window_key(number))
        assert bool(nets) == (row is not None), "a window goes with its nets"
        return row is not None

    def has_settlement(self) -> bool:
        return self.view.get(SETTLEMENTS, settlement_key(1)) is not None


@pytest.fixture
def coordinator() -> Coordinator:
    return Coordinator()


@pytest.mark.parametrize("state", WindowState)
def test_only_a_settled_window_goes(coordinator: Coordinator, state: WindowState) -> None:
    coordinator.window(1, state)

    coordinator.punctuate()
    assert (state is not WindowState.SETTLED) == coordinator.has_window(1)


def test_not_before_its_time(coordinator: Coordinator) -> None:
    coordinator.window(1, WindowState.SETTLED)
    coordinator.settlement(SETTLEMENT)

    coordinator.punctuate(GONE_MS - 1)
    assert (True, True) == (coordinator.has_window(1), coordinator.has_settlement())
    coordinator.punctuate(GONE_MS)
    assert (False, False) == (coordinator.has_window(1), coordinator.has_settlement())


@pytest.mark.parametrize("state", SettlementState)
def test_only_a_settlement_that_is_over_goes(coordinator: Coordinator, state: SettlementState) -> None:
    coordinator.settlement(replace(SETTLEMENT, state=state))

    coordinator.punctuate()
    assert (state.value not in ("SETTLED", "ABORTED")) == coordinator.has_settlement()


def test_one_whose_accounts_are_still_being_moved_back_stays(coordinator: Coordinator) -> None:
    coordinator.settlement(replace(SETTLEMENT, state=SettlementState.ABORTED, moving=1))

    coordinator.punctuate()
    assert coordinator.has_settlement()


def test_one_with_many_legs_goes_in_parts_and_takes_all_with_it(coordinator: Coordinator) -> None:
    coordinator.settlement(replace(SETTLEMENT, legs=DELETED_AT_ONCE + 1))

    coordinator.punctuate()
    row = coordinator.view.get(SETTLEMENTS, settlement_key(1))
    assert row is not None
    assert not row.is_whole
    assert 2 + 1 == len(coordinator.view.tables["settlement"])
    coordinator.punctuate()
    assert {} == coordinator.view.tables["settlement"]


def test_all_are_looked_at_in_turns_and_counted(coordinator: Coordinator) -> None:
    for number in range(1, 2 * ROWS_AT_ONCE + 1):
        coordinator.window(number, WindowState.SETTLED if number % 2 else WindowState.CLOSED)
    coordinator.window(2 * ROWS_AT_ONCE + 1, WindowState.OPEN)

    for _ in range(3):
        coordinator.punctuate()
    left = [number for number in range(1, 2 * ROWS_AT_ONCE + 2) if coordinator.has_window(number)]
    assert [*range(2, 2 * ROWS_AT_ONCE + 1, 2), 2 * ROWS_AT_ONCE + 1] == left
    windows = [states for kind, states in coordinator.counted if kind == "window"]
    assert [{"CLOSED": ROWS_AT_ONCE, "OPEN": 1}] == windows

    coordinator.window(2, WindowState.SETTLED)
    coordinator.punctuate()
    assert not coordinator.has_window(2)


def test_other_partitions_have_nothing_to_do() -> None:
    view = MemoryView(0, 2)
    make_settlement_retention_punctuator(1, RETENTION_MS)(view, GONE_MS)

    assert {} == view.tables
