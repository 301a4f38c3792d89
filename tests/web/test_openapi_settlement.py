"""The description of the settlement API where it says more than test_openapi.py compares."""

from __future__ import annotations

from tests.web.test_openapi import ADMIN, resolved, schema_of
from web.admin.schema import described
from web.settlement.schemas import SETTLEMENT_ALTERNATIVES


def test_a_settlement_is_moved_on_or_aborted() -> None:
    alternatives = [resolved(described(keys), {}) for keys in SETTLEMENT_ALTERNATIVES]

    assert alternatives == schema_of(ADMIN, "SettlementChange")["oneOf"]
