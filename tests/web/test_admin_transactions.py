"""GET /transactions/{id}: what the parties agreed on, out of the transfer's packet (protocol 5.3)."""

from __future__ import annotations

import base64
import json

from clearinghub.ports import LedgerUnavailableError
from sandbox.dfsp.ilp import Payment, encode_packet
from tests.web.admin_world import Operator

TRANSACTION = {"transactionId": "b51ec534-ee48-4575-b6a9-ead2955b8069", "note": "lunch"}
KNOWN = "8a3b1a30-9f5c-4c0f-8d0c-5d9c7f7f9d10"


async def test_the_transaction_of_a_transfer(operator: Operator) -> None:
    data = base64.urlsafe_b64encode(json.dumps(TRANSACTION).encode())
    operator.ports.packets[KNOWN] = encode_packet(Payment(1000, "g.payeefsp", data))

    answer = await operator.get(f"/transactions/{KNOWN}")

    assert (200, TRANSACTION) == (answer.status, answer.json)


async def test_3200_for_an_unknown_transfer_and_for_one_without_a_transaction(operator: Operator) -> None:
    operator.ports.packets[KNOWN] = "AQ"

    for transfer_id in (KNOWN, "unknown", "..%2f", "%00"):
        answer = await operator.get(f"/transactions/{transfer_id}")
        expected = (400, "3200", "Generic ID not found - The requested resource could not be found")
        assert expected == answer.error


async def test_2003_while_the_ledger_is_away(operator: Operator) -> None:
    operator.ports.fails_with = LedgerUnavailableError("partition 1")

    answer = await operator.get(f"/transactions/{KNOWN}")

    assert (503, "2003") == answer.error[:2]
