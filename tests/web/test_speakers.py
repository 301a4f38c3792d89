"""Who may speak for a participant: itself or a proxy of the scheme, and only while it is active (protocol 1.2, 4.4)."""

from __future__ import annotations

import pytest

from tests.web.exchange import PAYEE, PAYER, Exchange, an_exchange, error_callback
from tests.web.fspiop_client import FULFIL, TRANSFER_ID, Dfsp
from tests.web.matrix import OPERATIONS, Operation, send
from tests.web.matrix_rows import ROWS

SOURCE_REFUSED = (400, "3100", "Generic validation error - Invalid fspiop-source header")
PROXY_REFUSED = (400, "3100", "Generic validation error - Invalid fspiop-proxy header")
EVERY = pytest.mark.parametrize("operation", OPERATIONS, ids=str)
# What an inactive participant may send: the ends of what is reserved; and what the ledger refuses by callback.
ENDS = {"PUT /transfers/{ID}", "PUT /transfers/{ID}/error", "PUT /bulkTransfers/{ID}", "PUT /bulkTransfers/{ID}/error"}
BEGINNINGS = {"POST /transfers", "POST /bulkTransfers"}


@pytest.fixture
def scheme(dfsp: Dfsp) -> Dfsp:
    """A scheme with a proxy, one that is inactive, and a DFSP that is none."""
    dfsp.participants.add("asleep", is_proxy=True, active=False)
    dfsp.participants.add("evil")
    return dfsp


@pytest.mark.parametrize("client", [None, "proxy1", "evil", PAYER], ids="x-client-id={}".format)
@pytest.mark.parametrize(
    "proxy", [None, "proxy1", "PROXY1", "asleep", "evil", "nobody", "Hub", PAYER, "proxy1, proxy1"]
)
async def test_only_a_proxy_of_the_scheme_speaks_for_another(
    scheme: Dfsp, proxy: str | None, client: str | None
) -> None:
    answer = await scheme.post({"FSPIOP-Proxy": proxy, "x-client-id": client})

    speaker = proxy or PAYER
    if client not in (None, speaker) or speaker not in (PAYER, "proxy1") or proxy == PAYER:
        assert (PROXY_REFUSED if proxy else SOURCE_REFUSED) == answer.error
        assert [] == scheme.recorder.records
    else:
        assert 202 == answer.status


@EVERY
async def test_no_route_believes_whoever_says_that_it_is_a_proxy(scheme: Dfsp, operation: Operation) -> None:
    answer = await send(scheme, ROWS[str(operation)].sent, {"FSPIOP-Proxy": "evil"})

    assert PROXY_REFUSED == answer.error
    assert [] == scheme.recorder.records


@EVERY
async def test_an_inactive_participant_only_ends_what_is_reserved(dfsp: Dfsp, operation: Operation) -> None:
    sent = ROWS[str(operation)].sent
    dfsp.participants.add(sent.source, active=False)

    answer = await send(dfsp, sent)

    if str(operation) in ENDS | BEGINNINGS:
        assert answer.status in (200, 202)
        return
    assert (403, "3000", f"Generic client error - Participant {sent.source} is inactive") == answer.error
    assert answer.status in operation.statuses
    assert [] == dfsp.recorder.records


@pytest.mark.parametrize("name", [PAYER.upper(), PAYER])
async def test_another_spelling_does_not_make_it_active(dfsp: Dfsp, name: str) -> None:
    dfsp.participants.add(PAYER, active=False)

    answer = await dfsp.send("GET", f"/transfers/{TRANSFER_ID}", {"FSPIOP-Source": name})

    assert (403, "3000", f"Generic client error - Participant {PAYER} is inactive") == answer.error


async def test_a_proxy_does_not_make_it_active(dfsp: Dfsp) -> None:
    dfsp.participants.add(PAYER, active=False)

    answer = await dfsp.send("GET", f"/transfers/{TRANSFER_ID}", {"FSPIOP-Proxy": "proxy1"})

    assert 403 == answer.status


async def suspend(exchange: Exchange, name: str) -> None:
    assert 200 == (await exchange.operator.put(f"/participants/{name}", {"isActive": False})).status


async def test_a_payee_that_is_suspended_meanwhile_ends_the_transfer() -> None:
    async with an_exchange() as exchange:
        await exchange.post()
        await suspend(exchange, PAYEE)
        exchange.callbacks()

        assert 200 == (await exchange.put()).status

        (forwarded,) = [one for one in exchange.callbacks() if one.receiver == PAYER]
        assert FULFIL == forwarded.body
        assert (123.45, -123.45) == tuple(map(float, await exchange.positions()))


async def test_a_suspended_payer_is_refused_by_callback_and_holds_nothing() -> None:
    """As in the reference, whose order of checks has the payer's activity in the ledger (protocol 3.2)."""
    async with an_exchange() as exchange:
        await suspend(exchange, PAYER)

        assert 202 == (await exchange.post()).status

        description = f"Generic validation error - Participant {PAYER} is inactive"
        (refused,) = exchange.callbacks()
        assert error_callback(PAYER, "3100", description) == refused._replace(
            body={"errorInformation": _without_extensions(refused.body)}
        )
        assert (0, 0) == tuple(map(float, await exchange.positions()))


def _without_extensions(body: dict[str, dict[str, object]]) -> dict[str, object]:
    return {name: value for name, value in body["errorInformation"].items() if name != "extensionList"}


async def test_who_is_active_again_speaks_again() -> None:
    async with an_exchange() as exchange:
        await suspend(exchange, PAYER)
        assert 403 == (await exchange.get()).status

        await exchange.operator.put(f"/participants/{PAYER}", {"isActive": True})

        assert 202 == (await exchange.get()).status
