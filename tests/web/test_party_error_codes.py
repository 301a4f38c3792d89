"""The codes that only parties and oracles have: each by a callback, code and text as they go over the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from clearinghub.callbacks.oracles.http_client import NO_ANSWER
from tests.web.party_world import ID, PAYEE, PartyDfsps, error_of, party_dfsps


@pytest.fixture
async def dfsps() -> AsyncIterator[PartyDfsps]:
    async with party_dfsps() as one:
        yield one


async def test_1001_destination_communication_error(dfsps: PartyDfsps) -> None:
    await dfsps.oracle()
    dfsps.exchange.hub.oracle_answers = [NO_ANSWER]

    description = "Destination communication error - The oracle did not answer"
    assert error_of(f"/parties{ID}", "1001", description) == await dfsps.callbacks_of("GET", f"/parties{ID}")


async def test_3040_delete_party_information_error(dfsps: PartyDfsps) -> None:
    received = await dfsps.callbacks_of("DELETE", f"/participants{ID}", PAYEE)

    description = "Delete Party information error - Party not found"
    assert error_of(f"/participants{ID}", "3040", description, PAYEE) == received


async def test_3201_destination_fsp_error(dfsps: PartyDfsps) -> None:
    received = await dfsps.callbacks_of("GET", f"/parties{ID}", FSPIOP_Destination="nobody")

    assert error_of(f"/parties{ID}", "3201", "Destination FSP Error - Destination FSP not found") == received


async def test_3204_party_not_found(dfsps: PartyDfsps) -> None:
    received = await dfsps.callbacks_of("GET", f"/participants{ID}")

    assert error_of(f"/participants{ID}", "3204", "Party not found") == received
