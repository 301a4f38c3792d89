"""Who takes part in the demo's whole payments, and how many of each kind are made."""

from __future__ import annotations

import pytest

from sandbox.demo.payments.cast import make_cast
from sandbox.demo.payments.kinds import BULK_LINES, PaymentKind
from sandbox.demo.payments.run import how_often


@pytest.mark.parametrize(("count", "made"), [(0, (0, 0, 0, 0)), (1, (4, 1, 1, 1)), (5, (20, 5, 1, 1))])
def test_how_often_a_kind_is_made(count: int, made: tuple[int, ...]) -> None:
    kinds = (PaymentKind.P2P_SEND, PaymentKind.REFUND, PaymentKind.BULK, PaymentKind.ON_US)

    assert made == tuple(how_often(kind, count) for kind in kinds)


def test_no_two_parties_are_found_by_the_same() -> None:
    cast = make_cast(("ada", "bea", "cyd"), "00c0de")
    paths = [party.path for party in cast.parties]

    assert len(paths) == len(set(paths)) == 7 + BULK_LINES
    assert {"ada", "bea", "cyd"} == {party.fsp for party in cast.parties}
    assert {"MSISDN", "ACCOUNT_ID", "EMAIL", "BUSINESS", "ALIAS"} == {party.id_type for party in cast.parties}
