"""An id that two payers use is seen while the hub runs, on whichever partitions they are, and for every kind of id."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from prometheus_client import REGISTRY

from agents.claims import ALARM
from tables.claims import CLAIMS, claim_key, home_of
from tables.counters import COUNTERS, REPORTED
from tests.web.bulk_exchange import BULK_ID, CONTENT_TYPE, bulk, item
from tests.web.bulk_exchange import send as send_bulk
from tests.web.exchange import PAYEE, PAYER, Exchange
from tests.web.fspiop_client import TRANSFER_ID
from tests.web.matrix import media
from tests.web.test_same_id import OTHER, exchange  # noqa: F401 - the fixture

DAY_MS = 86_400_000


def alarms(exchange: Exchange) -> list[tuple[str, str, str, str]]:  # noqa: F811
    """Return who used which id second, and who before, since the last call; the reports are due."""
    exchange.hub.punctuate()
    events = [orjson.loads(one.value) for one in exchange.hub.new_records("events")]
    return [
        (one["kind"], one["id"], one["participant"], one["usedBefore"]["participant"])
        for one in events
        if one["event"] == ALARM
    ]


async def post_bulk(exchange: Exchange, payer: str, *items: dict[str, Any]) -> None:  # noqa: F811
    headers = {
        "FSPIOP-Source": payer,
        "FSPIOP-Destination": PAYEE,
        "Content-Type": CONTENT_TYPE,
        "Accept": media("bulkTransfers", "1"),
    }
    answer = await send_bulk(exchange.dfsp, "POST", "/bulkTransfers", headers, bulk(items, payerFsp=payer))
    assert 202 == answer.status


@pytest.mark.parametrize("reports_between", [True, False])
async def test_a_second_payer_with_the_same_id_is_an_alarm(
    exchange: Exchange,  # noqa: F811
    reports_between: bool,
) -> None:
    before = REGISTRY.get_sample_value("clearinghub_alarms_total", {"event": ALARM}) or 0
    await exchange.post()
    if reports_between:
        assert [] == alarms(exchange)
    await exchange.post(OTHER, payerFsp=OTHER)

    [(kind, transfer_id, second, first)] = alarms(exchange)
    assert ("transfer", TRANSFER_ID, {PAYER, OTHER}) == (kind, transfer_id, {second, first})
    assert not reports_between or (second, first) == (OTHER, PAYER)
    assert [] == alarms(exchange), "once"
    assert before + 1 == REGISTRY.get_sample_value("clearinghub_alarms_total", {"event": ALARM})


async def test_one_payer_with_many_ids_and_repetitions_is_none(exchange: Exchange) -> None:  # noqa: F811
    for number in range(20):
        await exchange.post(transferId=f"b51ec534-ee48-4575-b6a9-ead2955b8{number:03}")
        await exchange.post(transferId=f"b51ec534-ee48-4575-b6a9-ead2955b8{number:03}")
        assert [] == alarms(exchange)
    claims = exchange.hub.rows(CLAIMS)
    assert 20 == sum(row.payer == PAYER and row.kind == "transfer" for row in claims.values())
    for view in exchange.hub.views:
        assert all(home_of(key.partition("/")[2], 3) == view.partition for key in view.rows(CLAIMS))


async def test_items_bulks_and_funds_are_ids_too(exchange: Exchange) -> None:  # noqa: F811
    await post_bulk(exchange, PAYER, item(1), item(2))
    await post_bulk(exchange, OTHER, item(3), item(2))
    await exchange.post(OTHER, payerFsp=OTHER, transferId="b51ec534-ee48-4575-b6a9-ead2955b8070")  # of PAYER's funds

    seen = {(kind, client_id, frozenset(who)) for kind, client_id, *who in alarms(exchange)}
    both = frozenset((PAYER, OTHER))
    assert ("bulk", BULK_ID, both) in seen
    assert ("transfer", item(2)["transferId"], both) in seen
    assert "b51ec534-ee48-4575-b6a9-ead2955b8070" in {client_id for _kind, client_id, _who in seen}
    assert 3 == len(seen)


async def test_a_claim_leaves_when_its_transfer_does_but_that_of_funds_stays(exchange: Exchange) -> None:  # noqa: F811
    await exchange.post()
    assert [] == alarms(exchange)
    assert claim_key("transfer", TRANSFER_ID) in exchange.hub.rows(CLAIMS)

    exchange.hub.now_ms += 8 * DAY_MS
    exchange.hub.punctuate()

    claims = exchange.hub.rows(CLAIMS)
    assert claims
    assert {"funds-in"} == {row.kind for row in claims.values()}


async def test_what_was_reported_is_not_reported_again(exchange: Exchange) -> None:  # noqa: F811
    await exchange.post()
    exchange.hub.punctuate()
    reported = [view.get(COUNTERS, REPORTED) for view in exchange.hub.views]
    exchange.hub.hold_back("lookup")
    exchange.hub.punctuate()

    assert reported == [view.get(COUNTERS, REPORTED) for view in exchange.hub.views]
    assert [] == exchange.hub.waiting_on("lookup")
