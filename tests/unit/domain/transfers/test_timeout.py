"""Timeout: which transfers expire, when, and into what."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from clearinghub.domain.errors import ErrorInformation
from clearinghub.domain.transfers.timeout import Expired, NotDue, decide_timeout
from clearinghub.domain.transfers.transfer import State
from tests.unit.domain.samples import EXPIRES_AT_MS, transfer

DUE_MS = EXPIRES_AT_MS + 1


@pytest.mark.parametrize(
    ("state", "path", "was_reserved"),
    [
        (State.RECEIVED_PREPARE, [State.EXPIRED_PREPARED], False),
        (State.RESERVED, [State.RESERVED_TIMEOUT, State.EXPIRED_RESERVED], True),
    ],
)
def test_open_transfer_expires(state: State, path: list[State], was_reserved: bool) -> None:
    stored = transfer(state)

    outcome = decide_timeout(stored, DUE_MS)

    expected = replace(
        stored,
        history=(*stored.history, *((passed, DUE_MS) for passed in path)),
        error=ErrorInformation("3303", "Transfer expired"),
    )
    assert Expired(expected, was_reserved=was_reserved) == outcome


@pytest.mark.parametrize("state", [state for state in State if state not in (State.RECEIVED_PREPARE, State.RESERVED)])
def test_transfer_past_reservation_never_expires(state: State) -> None:
    assert NotDue() == decide_timeout(transfer(state), DUE_MS)


@pytest.mark.parametrize("now_ms", [EXPIRES_AT_MS, EXPIRES_AT_MS - 1, 0])
def test_nothing_expires_before_its_time_has_passed(now_ms: int) -> None:
    assert NotDue() == decide_timeout(transfer(), now_ms)


@pytest.mark.parametrize("kind", ["funds-in", "funds-out"])
def test_movement_of_funds_does_not_expire(kind: str) -> None:
    assert NotDue() == decide_timeout(transfer(kind=kind), DUE_MS)


def test_transfer_that_is_gone_is_not_due() -> None:
    assert NotDue() == decide_timeout(None, DUE_MS)
