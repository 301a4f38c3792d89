"""Reserving against funds and cap, as a table of amounts in currency units."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from clearinghub.domain.errors import Rejection
from clearinghub.domain.participants.position import Position, reserve
from tests.unit.domain.samples import NOW_MS, position, settlement

UNITS = 10_000

# value  reserved  cap   funds   amount   outcome: the new value, or the code
TABLE = """
  0      0         100   1000    99       99
  0      0         100   1000    100      100
  0      0         100   1000    101      4200
  60     0         100   1000    40       100
  60     0         100   1000    41       4200
  60     10        100   1000    30       90
  60     10        100   1000    31       4200
  0      0         1000  100     100      100
  0      0         1000  100     101      4001
  60     10        1000  100     30       90
  60     10        1000  100     31       4001
  0      0         100   100     101      4001
  -50    0         100   1000    150      100
  -50    0         100   1000    151      4200
  -50    0         1000  10      60       10
  -50    0         1000  10      61       4001
  0      0         -     1000    1        4200
  0      0         -     0       1        4001
  0      0         0     0       0        0
  150    0         100   1000    0        4200
  150    0         1000  100     0        4001
  0      0         100   -5      0        4001
"""


@pytest.mark.parametrize("line", TABLE.strip().splitlines())
def test_room_decides(line: str) -> None:
    value, reserved, cap, funds, amount, outcome = line.split()
    net_debit_cap = None if cap == "-" else int(cap) * UNITS
    account = position(int(value) * UNITS, reserved=int(reserved) * UNITS, net_debit_cap=net_debit_cap)

    held = reserve(account, settlement(int(funds) * UNITS), int(amount) * UNITS, NOW_MS)

    if isinstance(held, Rejection):
        assert outcome == held.code
        return
    assert int(outcome) * UNITS == held.value
    assert replace(account, value=held.value, change_number=5, changed_at_ms=NOW_MS) == held


def test_one_unit_of_the_ledger_is_one_too_many() -> None:
    account = position(0, net_debit_cap=UNITS)

    assert isinstance(reserve(account, settlement(), UNITS, NOW_MS), Position)
    assert isinstance(reserve(account, settlement(), UNITS + 1, NOW_MS), Rejection)


@pytest.mark.parametrize("change", [5, -5, 0])
def test_movement_is_counted_and_dated(change: int) -> None:
    account = position(7)

    moved = account.changed_by(change, NOW_MS)

    assert replace(account, value=7 + change, change_number=5, changed_at_ms=NOW_MS) == moved
