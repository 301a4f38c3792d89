"""One ordinary transfer and the people in it, to be varied by the tests."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from typing import Any

from msgspec.structs import replace

from clearinghub.domain.participants.position import Position
from clearinghub.domain.transfers.transfer import State, Step, Transfer


def lock(secret: bytes) -> tuple[str, str]:
    """A condition and its fulfilment, made from 32 bytes."""
    condition = hashlib.sha256(secret).digest()
    return tuple(urlsafe_b64encode(part).decode().rstrip("=") for part in (condition, secret))  # type: ignore[return-value]


CONDITION, FULFILMENT = lock(b"a secret of exactly 32 bytes ok!")
_, OTHER_FULFILMENT = lock(b"another secret, also of 32 bytes")

RECEIVED_AT_MS = 1_700_000_000_000
NOW_MS = RECEIVED_AT_MS + 1_000
EXPIRES_AT_MS = RECEIVED_AT_MS + 30_000

PATHS: dict[State, tuple[Step, ...]] = {
    State.RECEIVED_PREPARE: (),
    State.RESERVED: (Step.RESERVE,),
    State.RECEIVED_FULFIL: (Step.RESERVE, Step.ACCEPT_FULFIL),
    State.RECEIVED_ERROR: (Step.RESERVE, Step.ACCEPT_ERROR),
    State.RECEIVED_REJECT: (Step.RESERVE, Step.ACCEPT_REJECT),
    State.RESERVED_TIMEOUT: (Step.RESERVE, Step.EXPIRE),
    State.COMMITTED: (Step.RESERVE, Step.ACCEPT_FULFIL, Step.COMMIT),
    State.SETTLED: (Step.RESERVE, Step.ACCEPT_FULFIL, Step.COMMIT, Step.SETTLE),
    State.ABORTED_REJECTED: (Step.REFUSE,),
    State.ABORTED_ERROR: (Step.RESERVE, Step.ACCEPT_ERROR, Step.ABORT),
    State.EXPIRED_PREPARED: (Step.EXPIRE,),
    State.EXPIRED_RESERVED: (Step.RESERVE, Step.EXPIRE, Step.UNWIND),
}


def transfer(state: State = State.RESERVED, **changes: Any) -> Transfer:
    """A transfer of 100 units that came to `state` by the table's steps, a millisecond each."""
    start = State.INVALID if state is State.INVALID else State.RECEIVED_PREPARE
    row = Transfer(
        transfer_id="b51ec534-ee48-4575-b6a9-ead2955b8069",
        payer="payerfsp",
        payee="payeefsp",
        amount=1_000_000,
        currency="USD",
        condition=CONDITION,
        expires_at_ms=EXPIRES_AT_MS,
        history=((start, RECEIVED_AT_MS),),
        prepare_hash="prepare-hash",
    )
    for count, step in enumerate(PATHS.get(state, ()), start=1):
        row = row.step(step, RECEIVED_AT_MS + count)
    assert row.state is state
    return replace(row, **changes)


def position(value: int = 0, **changes: Any) -> Position:
    """The payer's active POSITION account, with a net debit cap of 1,000 units."""
    row = Position("payerfsp", "USD", "POSITION", 1, value, net_debit_cap=10_000_000, active=True, change_number=4)
    return replace(row, **changes)


def settlement(funds: int = 20_000_000) -> Position:
    """The payer's SETTLEMENT account: funds held by the scheme are negative."""
    return Position("payerfsp", "USD", "SETTLEMENT", 2, -funds)
