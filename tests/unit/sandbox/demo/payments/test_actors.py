"""The actors of the demo's whole payments, and how many payments of each kind are made."""

from __future__ import annotations

import pytest

from sandbox.demo.payments.actors import make_actors
from sandbox.demo.payments.deals import BULK_ITEMS, PaymentKind
from sandbox.demo.payments.payment_series import how_often


@pytest.mark.parametrize(("count", "made"), [(0, (0, 0, 0, 0)), (1, (4, 1, 1, 1)), (5, (20, 5, 1, 1))])
def test_how_often_a_kind_is_made(count: int, made: tuple[int, ...]) -> None:
    kinds = (PaymentKind.P2P_SEND, PaymentKind.REFUND, PaymentKind.BULK, PaymentKind.ON_US)

    assert made == tuple(how_often(kind, count) for kind in kinds)


def test_no_two_parties_have_the_same_identifier() -> None:
    actors = make_actors(("ada", "bea", "cyd"), "00c0de")
    paths = [party.path for party in actors.parties]

    assert len(paths) == len(set(paths)) == 7 + BULK_ITEMS
    assert {"ada", "bea", "cyd"} == {party.fsp for party in actors.parties}
    assert {"MSISDN", "ACCOUNT_ID", "EMAIL", "BUSINESS", "ALIAS"} == {party.id_type for party in actors.parties}
