"""The description of the settlement API where it says more than test_openapi.py compares."""

from __future__ import annotations

from tests.web.test_openapi import ADMIN, generated, schema_of
from web.settlement.schemas import SettlementAbort, SettlementProgress


def test_a_settlement_is_advanced_or_aborted() -> None:
    alternatives = [generated(SettlementProgress), generated(SettlementAbort)]

    assert alternatives == schema_of(ADMIN, "SettlementChange")["oneOf"]
