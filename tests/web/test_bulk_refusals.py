"""What the hub does not accept of bulks, and whom it tells: wrong bulks, wrong answers, strangers (protocol 8)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.in_memory_hub import PARTITIONS
from tests.web.bulk_exchange import (
    BULK_ID,
    PATH,
    accepted,
    bulk_callback,
    bulk_error_callback,
    callbacks_of,
    fulfilled,
    get,
    item,
    item_id,
    post,
    put,
    put_error,
    states,
    tally,
)
from tests.web.exchange import PAYEE, PAYER, STRANGER, Callback, Exchange, an_exchange

UNKNOWN = "Bulk transfer ID not found - Provided Bulk Transfer ID was not found on the server."


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    async with an_exchange() as one:
        yield one


REFUSED = [
    ({}, {"payerFsp": STRANGER}, "3100", "Generic validation error - FSPIOP-Source header should match Payer FSP"),
    (
        {},
        {"expiration": "2023-11-14T22:13:19.999Z"},
        "3100",
        "Generic validation error - Expiration date 2023-11-14T22:13:19.999Z is already in the past",
    ),
    ({}, {"payeeFsp": PAYER}, "3100", "Generic validation error - Payer and Payee FSPs should be different"),
    ({}, {"payeeFsp": "nobody"}, "3203", "Payee FSP ID not found - Participant nobody not found"),
    ({"FSPIOP-Destination": "noone"}, {}, "3203", "Payee FSP ID not found - Participant noone not found"),
    (
        {"FSPIOP-Destination": "noone"},
        {"payeeFsp": "nobody"},
        "3203",
        "Payee FSP ID not found - Participant noone not found",
    ),
]


@pytest.mark.parametrize(("headers", "changes", "code", "description"), REFUSED)
async def test_a_bulk_that_is_wrong_as_a_whole_holds_nothing(
    exchange: Exchange, headers: dict[str, str], changes: dict[str, Any], code: str, description: str
) -> None:
    assert 202 == (await post(exchange, item(1), headers=headers, **changes)).status

    sender = headers.get("FSPIOP-Source", PAYER)
    assert [bulk_error_callback(sender, code, description)] == callbacks_of(exchange)
    assert {} == states(exchange)
    assert ("INVALID", 0, 0, 0, 0, 0) == tally(exchange)


async def test_the_same_wrong_bulk_again_is_rejected_and_its_id_is_consumed(exchange: Exchange) -> None:
    await post(exchange, item(1), payeeFsp="nobody")
    callbacks_of(exchange)

    await post(exchange, item(1), payeeFsp="nobody")
    body = {"bulkTransferState": "REJECTED", "completedTimestamp": "any"}
    assert [Callback(PAYER, "Hub", "PUT", PATH, body)] == callbacks_of(exchange)
    await post(exchange, item(1))
    assert [bulk_error_callback(PAYER, "3106", "Modified request")] == callbacks_of(exchange)
    await put(exchange, fulfilled(1), {"FSPIOP-Source": STRANGER})
    assert [bulk_error_callback(STRANGER, "3210", UNKNOWN)] == callbacks_of(exchange)


async def test_3202_payer_fsp_id_not_found_as_it_is_inactive(exchange: Exchange) -> None:
    await exchange.operator.put(f"/participants/{PAYER}", {"isActive": False})

    await post(exchange, item(1))

    description = f"Payer FSP ID not found - Participant {PAYER} is inactive"
    assert [bulk_error_callback(PAYER, "3202", description)] == callbacks_of(exchange)


async def test_3203_payee_fsp_id_not_found_as_it_is_inactive(exchange: Exchange) -> None:
    await exchange.operator.put(f"/participants/{PAYEE}", {"isActive": False})

    await post(exchange, item(1))

    description = f"Payee FSP ID not found - Participant {PAYEE} is inactive"
    assert [bulk_error_callback(PAYER, "3203", description)] == callbacks_of(exchange)


async def test_a_stranger_s_answer_changes_nothing(exchange: Exchange) -> None:
    await accepted(exchange, 1)

    await put(exchange, fulfilled(1), {"FSPIOP-Source": STRANGER})
    await put_error(exchange, headers={"FSPIOP-Source": STRANGER})

    description = "Generic validation error - FSPIOP-Source header should match Payee FSP"
    assert [bulk_error_callback(STRANGER, "3100", description)] * 2 == callbacks_of(exchange)
    assert ("ACCEPTED", 0, 1, 0, 0, 0) == tally(exchange)


WRONG_DESTINATION = "Generic validation error - FSPIOP-Destination header should match Payer FSP"
TOO_OLD = "completedTimestamp fails because provided timestamp exceeded the maximum timeout duration"
FUTURE = "Generic validation error - completedTimestamp fails because future timestamp was provided"


@pytest.mark.parametrize(
    ("headers", "completed", "description"),
    [
        ({"FSPIOP-Destination": STRANGER}, None, WRONG_DESTINATION),
        ({}, "2023-11-14T22:23:20.000Z", FUTURE),
        ({}, "2023-11-14T22:03:20.000Z", f"Generic validation error - {TOO_OLD}"),
    ],
)
async def test_a_wrong_answer_of_the_payee_aborts_the_bulk(
    exchange: Exchange, headers: dict[str, str], completed: str | None, description: str
) -> None:
    await accepted(exchange, 1, 2)

    await put(exchange, fulfilled(1, 2), headers, **({} if completed is None else {"completedTimestamp": completed}))

    assert [bulk_error_callback(side, "3100", description) for side in (PAYER, PAYEE)] == callbacks_of(exchange)
    assert (0, 0) == await exchange.positions()
    assert ("REJECTED", 0, 0, 0, 2, 0) == tally(exchange)


async def test_all_that_is_wrong_is_sent(exchange: Exchange) -> None:
    await accepted(exchange, 1)

    await put(exchange, [], {"FSPIOP-Destination": STRANGER}, completedTimestamp="2023-11-14T22:23:20.000Z")

    information = callbacks_of(exchange)[0].body["errorInformation"]
    assert WRONG_DESTINATION == information["errorDescription"]
    assert [{"key": "additionalErrors0", "value": FUTURE}] == information["extensionList"]["extension"]


async def test_a_timestamp_within_bounds_is_accepted(exchange: Exchange) -> None:
    await accepted(exchange, 1)

    await put(exchange, fulfilled(1), completedTimestamp="2023-11-14T22:13:20.010Z")

    assert ("COMPLETED", 0, 0, 1, 0, 0) == tally(exchange)


async def test_a_timestamp_sent_through_a_proxy_is_not_judged(exchange: Exchange) -> None:
    await accepted(exchange, 1)

    exchange.hub.participants.add("proxy1", is_proxy=True)
    headers = {"FSPIOP-Proxy": "proxy1"}
    await put(exchange, fulfilled(1), headers, completedTimestamp="2023-11-14T22:03:20.000Z")

    assert ("COMPLETED", 0, 0, 1, 0, 0) == tally(exchange)


@pytest.mark.parametrize("destination", [PAYER, PAYEE, STRANGER, "Hub", None])
async def test_an_answer_finds_its_bulk_wherever_it_is(exchange: Exchange, destination: str | None) -> None:
    await accepted(exchange, 1)

    await put(exchange, fulfilled(1), {"FSPIOP-Destination": destination})

    aborts = destination in (PAYEE, STRANGER)
    assert ("REJECTED" if aborts else "COMPLETED") == tally(exchange)[0]


@pytest.mark.parametrize("destination", [PAYER, "Hub", None])
async def test_an_answer_passes_by_where_its_bulk_was_refused(exchange: Exchange, destination: str | None) -> None:
    """The payer has named others as the payer before: on their partitions the id is consumed."""
    names = [f"other{number}" for number in range(8 * PARTITIONS)]
    others = {exchange.hub.view_of(name).partition: name for name in names}
    del others[exchange.hub.view_of(PAYER).partition]
    for name in others.values():
        await post(exchange, item(1), payerFsp=name)
    callbacks_of(exchange)
    await accepted(exchange, 1)

    await put(exchange, fulfilled(1), {"FSPIOP-Destination": destination})

    assert {item_id(1): "COMMITTED"} == states(exchange)


async def test_3210_bulk_transfer_id_not_found(exchange: Exchange) -> None:
    for source in (PAYER, PAYEE, STRANGER):
        await get(exchange, source)
        assert [bulk_error_callback(source, "3210", UNKNOWN)] == callbacks_of(exchange)
    await put(exchange, fulfilled(1))
    await put_error(exchange)
    assert [bulk_error_callback(PAYEE, "3210", UNKNOWN)] * 2 == callbacks_of(exchange)


async def test_who_may_ask(exchange: Exchange) -> None:
    await accepted(exchange, 1)
    for source in (PAYER, PAYEE):
        await get(exchange, source)
        assert [bulk_callback(source, "ACCEPTED", {"transferId": item_id(1)}, completed=None)] == callbacks_of(exchange)
    await get(exchange, STRANGER)
    assert [bulk_error_callback(STRANGER, "3000", "Generic client error")] == callbacks_of(exchange)
    await get(exchange, "nobody")
    assert [] == callbacks_of(exchange)


async def test_paths_with_the_receiver_s_name_where_the_scheme_wants_them() -> None:
    async with an_exchange(fsp_in_bulk_paths=True) as exchange:
        await post(exchange, item(1))
        await put(exchange, fulfilled(1))
        await post(exchange, item(2))

        paths = ["/bulkTransfers", f"/{PAYER}{PATH}", f"/{PAYEE}{PATH}", f"/{PAYER}{PATH}/error"]
        assert paths == [one.path for one in exchange.callbacks()]


async def test_who_has_sent_what_the_code_fails_at_is_sent_2001(exchange: Exchange) -> None:
    await accepted(exchange, 1)
    topic, key, value = exchange.hub.records[-1]
    assert "bulk-prepare" == topic

    exchange.hub.dead_letter(topic, key, value)

    assert [bulk_error_callback(PAYER, "2001", "Internal server error")] == callbacks_of(exchange)


async def test_callbacks_name_the_bulk_s_own_endpoints(exchange: Exchange) -> None:
    await post(exchange, item(1))
    await put_error(exchange)
    await get(exchange, PAYER)

    items = exchange.notifications()
    assert ["POST", "ERROR", "ERROR", "PUT"] == [
        one["endpoint"].removeprefix("FSPIOP_CALLBACK_URL_BULK_TRANSFER_") for one in items
    ]
    assert {"bulkTransfers"} == {one["resource"] for one in items}
    assert [{"id": BULK_ID}] * 4 == [one["variables"] for one in items]
