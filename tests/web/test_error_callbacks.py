"""Every error that the ledger tells by callback (protocol 2.2): the whole body that a DFSP gets, by code."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.web.exchange import PAYEE, PAYER, STRANGER, Exchange, an_exchange, error_callback, fund
from tests.web.fspiop_client import PREPARE

EXTENSIONS = PREPARE["extensionList"]
OTHER_ID = "b51ec534-ee48-4575-b6a9-ead2955b8099"


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    async with an_exchange() as one:
        yield one


async def test_2001_internal_server_error_of_the_ledger(exchange: Exchange) -> None:
    await exchange.post()
    exchange.callbacks()

    exchange.hub.dead_letter(*exchange.hub.records[-1])

    assert [error_callback(PAYER, "2001", "Internal server error")] == exchange.callbacks()


async def test_2001_internal_server_error_for_a_fulfil_without_transfer(exchange: Exchange) -> None:
    await exchange.put()

    assert [error_callback(PAYEE, "2001", "Internal server error - transfer not found")] == exchange.callbacks()


async def test_3000_generic_client_error_for_a_stranger(exchange: Exchange) -> None:
    await exchange.post()
    exchange.callbacks()

    await exchange.get(STRANGER)

    assert [error_callback(STRANGER, "3000", "Generic client error")] == exchange.callbacks()


async def test_3100_generic_validation_error_of_a_prepare(exchange: Exchange) -> None:
    await exchange.post(payeeFsp="nobody")

    description = "Generic validation error - Participant nobody not found"
    assert [error_callback(PAYER, "3100", description, EXTENSIONS)] == exchange.callbacks()


async def test_3100_generic_validation_error_of_a_fulfil(exchange: Exchange) -> None:
    await exchange.post()
    exchange.callbacks()

    await exchange.put(fulfilment=None)

    description = "Generic validation error - invalid fulfilment"
    assert [error_callback(one, "3100", description) for one in (PAYER, PAYEE)] == exchange.callbacks()
    assert (0, 0) == await exchange.positions()


async def test_3100_generic_validation_error_for_an_undefined_code(exchange: Exchange) -> None:
    await exchange.post()
    exchange.callbacks()

    await exchange.put_error("9999", "whatever that is")

    description = "Generic validation error - API specification undefined errorCode"
    assert [error_callback(one, "3100", description) for one in (PAYER, PAYEE)] == exchange.callbacks()


async def test_3106_modified_request_of_a_prepare(exchange: Exchange) -> None:
    await exchange.post()
    exchange.callbacks()

    await exchange.post(amount={"currency": "USD", "amount": "123.46"})

    assert [error_callback(PAYER, "3106", "Modified request")] == exchange.callbacks()


async def test_3106_modified_request_of_a_fulfil(exchange: Exchange) -> None:
    await exchange.post()
    await exchange.put()
    exchange.callbacks()

    await exchange.put(transferState="RESERVED")

    assert [error_callback(PAYEE, "3106", "Modified request")] == exchange.callbacks()


async def test_3106_modified_request_of_an_error(exchange: Exchange) -> None:
    await exchange.post()
    await exchange.put_error("5100")
    exchange.callbacks()

    await exchange.put_error("5200")

    assert [error_callback(PAYEE, "3106", "Modified request")] == exchange.callbacks()


async def test_3208_transfer_id_not_found(exchange: Exchange) -> None:
    await exchange.get(transfer_id=OTHER_ID)

    description = "Transfer ID not found - Provided Transfer ID was not found on the server."
    expected = error_callback(PAYER, "3208", description)
    assert [expected._replace(path=f"/transfers/{OTHER_ID}/error")] == exchange.callbacks()


async def test_3303_transfer_expired_for_both(exchange: Exchange) -> None:
    await exchange.post()
    exchange.callbacks()
    exchange.expire()

    exchange.hub.punctuate()

    assert [error_callback(one, "3303", "Transfer expired") for one in (PAYER, PAYEE)] == exchange.callbacks()
    assert (0, 0) == await exchange.positions()


async def test_3303_transfer_expired_for_a_late_fulfil(exchange: Exchange) -> None:
    await exchange.post()
    exchange.callbacks()
    exchange.expire()

    await exchange.put()

    assert [error_callback(PAYEE, "3303", "Transfer expired")] == exchange.callbacks()


async def test_4001_payer_fsp_insufficient_liquidity(exchange: Exchange) -> None:
    await fund(exchange.operator, PAYER, 900, OTHER_ID, "recordFundsOutPrepareReserve")

    await exchange.post()

    description = "Payer FSP insufficient liquidity"
    assert [error_callback(PAYER, "4001", description, EXTENSIONS)] == exchange.callbacks()
    assert (0, 0) == await exchange.positions()


async def test_4200_payer_limit_error(exchange: Exchange) -> None:
    limit = {"type": "NET_DEBIT_CAP", "value": 123.44, "alarmPercentage": 10}
    await exchange.operator.put(f"/participants/{PAYER}/limits", {"currency": "USD", "limit": limit})

    await exchange.post()

    assert [error_callback(PAYER, "4200", "Payer limit error", EXTENSIONS)] == exchange.callbacks()
