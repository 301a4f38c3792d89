"""Every resource and method of the FSPIOP API answers as the table says (protocol 1.6): the callbacks that follow.

The operations come from the OpenAPI description, what must come of them from the table in matrix_rows.py. What is
refused at once, whatever the table says, is in test_matrix_refusals.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from clearinghub.domain.quotes.agreement import ENDPOINTS
from tests.web.exchange import PAYEE, PAYER, Callback, Exchange, an_exchange
from tests.web.matrix import OPERATIONS, Expected, Operation, Refusal, Row, Sent, refused_stranger, send
from tests.web.matrix_rows import COMPLETED, ROWS

SYNC = {"GET": 202, "POST": 202, "DELETE": 202, "PUT": 200}
CASES: dict[str, tuple[Callable[[Row], Expected | None], Callable[[Sent], Sent]]] = {
    "good": (lambda row: row.good, lambda sent: sent),
    "of a stranger": (lambda _row: refused_stranger, Sent.of_a_stranger),
    "for a stranger": (lambda row: row.for_stranger, Sent.for_a_stranger),
    "about an unknown id": (lambda row: row.id_unknown, Sent.about_something_unknown),
    "about an unknown type": (lambda row: row.type_unknown, Sent.of_an_unknown_type),
}
"""What must come of it by the row, and how the row's request becomes it."""


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    """A payer and a payee that can be reached for everything, and nobody else."""
    async with an_exchange() as one:
        for name in (PAYER, PAYEE):
            for kind in sorted(set(ENDPOINTS.values())):
                answer = await one.operator.post(
                    f"/participants/{name}/endpoints", {"type": kind, "value": f"http://{name}"}
                )
                assert 201 == answer.status
        yield one


def callbacks_of(exchange: Exchange) -> list[Callback]:
    """The callbacks since the last time, with the ledger's own times as one word."""
    callbacks = exchange.callbacks()
    for one in callbacks:
        if one.body is not None and "completedTimestamp" in one.body:
            one.body["completedTimestamp"] = COMPLETED
    return callbacks


def test_each_operation_has_its_row_and_each_row_its_operation() -> None:
    assert sorted(ROWS) == sorted(map(str, OPERATIONS))


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_a_row_says_something_about_all_that_a_path_names(operation: Operation) -> None:
    row = ROWS[str(operation)]

    assert ("{" in operation.path) == (row.id_unknown is not None)
    assert ("{Type}" in operation.path) == (row.type_unknown is not None)
    assert (operation.body is not None or operation.method == "PATCH") == (row.sent.body is not None)


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_what_is_accepted_is_answered_as_the_table_says(operation: Operation) -> None:
    accepted = {status for status in operation.statuses if status < 300}

    assert ({SYNC[operation.method]} if operation.method != "PATCH" else set()) == accepted


@pytest.mark.parametrize(
    ("operation", "case"),
    [
        pytest.param(operation, case, id=f"{operation}, {case}")
        for operation in OPERATIONS
        if str(operation) in ROWS
        for case, (expected, _) in CASES.items()
        if expected(ROWS[str(operation)]) is not None
    ],
)
async def test_what_comes_of_it(exchange: Exchange, operation: Operation, case: str) -> None:
    row = ROWS[str(operation)]
    expected, change = CASES[case]
    outcome = expected(row)
    assert outcome is not None
    await must_lead_to(exchange, operation, row, change(row.sent), outcome)


@pytest.mark.parametrize(
    "operation",
    [one for one in OPERATIONS if one.body is not None and one.body.get("additionalProperties") is not False],
    ids=str,
)
async def test_what_the_api_does_not_know_is_accepted(exchange: Exchange, operation: Operation) -> None:
    """And forwarded with the rest, where the sender's own bytes are (protocol 1.6)."""
    row = ROWS[str(operation)]
    await must_lead_to(exchange, operation, row, row.sent.with_more(), row.good)


async def must_lead_to(exchange: Exchange, operation: Operation, row: Row, sent: Sent, expected: Expected) -> None:
    for one in row.before:
        assert (await send(exchange.dfsp, one)).status == SYNC[one.method]
    exchange.callbacks()
    written = len(exchange.hub.records)

    answer = await send(exchange.dfsp, sent)

    outcome = expected(sent)
    if isinstance(outcome, Refusal):
        assert outcome == answer.error
        assert answer.status in operation.statuses
        assert written == len(exchange.hub.records)
        assert [] == callbacks_of(exchange)
    else:
        assert (SYNC[sent.method], b"") == (answer.status, answer.body)
        assert outcome == callbacks_of(exchange)
