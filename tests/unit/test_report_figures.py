"""What a report says beside what the audit has counted: `clearinghub report ... --verify` without hub and broker."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest

from clearinghub.domain.time import timestamp_text
from clearinghub.tools.audit.records import Entry
from clearinghub.tools.client.reports import REPORT
from clearinghub.tools.report.figures import Figures, ReportFigures, StatementFigures, TransfersFigures
from tests.unit.tools.audit.topics import AMOUNT, PAYEE, PAYER, START_MS, Topics

NETS = {PAYER: (AMOUNT, 0, 1, 0), PAYEE: (0, AMOUNT, 0, 1)}
TRANSFERS = (
    "settlementWindowId,transferId,payer,payee,currency,amount,interchangeFee,state,preparedAt,finishedAt\r\n"
    "1,t-1,payer,payee,XTS,100,0,COMMITTED,x,y\r\n"
)


def traded() -> Topics:
    """One transfer of 100 in window 1, which is closed and settled."""
    topics = Topics()
    topics.funded()
    topics.committed()
    topics.window(nets=NETS)
    topics.settlement("PENDING_SETTLEMENT")
    for entry in topics.entries:
        if entry.topic == "settlements":
            row = orjson.loads(entry.value)
            contents = [{"settlementWindowId": 1, "currency": "XTS", "ledgerAccountType": "POSITION"}]
            value = orjson.dumps({**row, "contents": contents})
            topics.entries[topics.entries.index(entry)] = entry._replace(value=value)
    return topics


def line(participant: str, debits: str, debit_count: int, credits_: str, credit_count: int) -> dict[str, Any]:
    return {
        "participant": participant,
        "counterparty": None,
        "debits": debits,
        "debitCount": debit_count,
        "credits": credits_,
        "creditCount": credit_count,
        "netAmount": "0",
    }


def report(*lines: dict[str, Any]) -> Any:
    netting_group = {
        "currency": "XTS",
        "ledgerAccountType": "POSITION",
        "granularity": "NET",
        "total": line("all", "0", 0, "0", 0),
    }
    sections = [{**netting_group, "participants": list(lines)}]
    return REPORT.validate_python({"state": "CLOSED", "reason": None, "faults": [], "sections": sections})


RIGHT = (line(PAYER, "100", 1, "0", 0), line(PAYEE, "0", 0, "100", 1))


async def body(text: str, at_once: int = 7) -> AsyncGenerator[bytes, None]:
    data = text.encode()
    for start in range(0, len(data), at_once):
        yield data[start : start + at_once]


def faults(figures: Figures, topics: Topics) -> list[str]:
    for entry in topics.entries:
        figures.watch(entry)
    return figures.faults(topics.audit().books)


@pytest.mark.parametrize("kind", ["window", "settlement"])
def test_a_report_that_is_right(kind: str) -> None:
    assert [] == faults(ReportFigures(kind, 1, report(*RIGHT)), traded())


@pytest.mark.parametrize("kind", ["window", "settlement"])
def test_a_forged_record_makes_a_report_disagree(kind: str) -> None:
    topics = traded()
    topics.end("COMMITTED", "forged")

    payee = "reported 0 in 0 debits and 100 in 1 credits, counted 0 in 0 debits and 200 in 2 credits"
    payer = "reported 100 in 1 debits and 0 in 0 credits, counted 200 in 2 debits and 0 in 0 credits"
    assert [f"XTS POSITION NET of payee: {payee}", f"XTS POSITION NET of payer: {payer}"] == faults(
        ReportFigures(kind, 1, report(*RIGHT)), topics
    )


@pytest.mark.parametrize(
    "lines",
    [
        RIGHT[:1],
        (*RIGHT, line("other", "1", 1, "0", 0)),
        (line(PAYER, "100.0001", 1, "0", 0), RIGHT[1]),
        (line(PAYER, "100", 2, "0", 0), RIGHT[1]),
    ],
)
def test_a_wrong_report_disagrees(lines: Any) -> None:
    assert 1 == len(faults(ReportFigures("window", 1, report(*lines)), traded()))


def test_what_there_is_no_record_of() -> None:
    assert 2 == len(faults(ReportFigures("settlement", 7, report(*RIGHT)), traded()))
    assert 2 == len(faults(ReportFigures("window", 7, report(*RIGHT)), traded()))
    many = (line(f"dfsp-{number}", "1", 1, "0", 0) for number in range(12))
    found = faults(ReportFigures("window", 1, report(*RIGHT, *many)), traded())
    assert (11, "and 2 more") == (len(found), found[-1])


async def transfers(text: str) -> TransfersFigures:
    figures = TransfersFigures(1)
    await figures.read(body(text))
    return figures


async def test_the_transfers_of_a_window() -> None:
    assert [] == faults(await transfers(TRANSFERS), traded())

    forged = traded()
    forged.end("COMMITTED", "forged", interchangeFee=5)
    assert 4 == len(faults(await transfers(TRANSFERS), forged))
    row = "1,forged,payer,payee,XTS,100,{},COMMITTED,x,y\r\n"
    assert [] == faults(await transfers(TRANSFERS + row.format("0.0005")), forged)
    assert 2 == len(faults(await transfers(TRANSFERS + row.format("-0.0005")), forged))
    assert 4 == len(faults(await transfers(TRANSFERS.replace("COMMITTED", "SETTLED")), traded()))


class History:
    """Changes of account 7 among those of others."""

    def __init__(self) -> None:
        self.topics = Topics()
        self.value = 0

    def book(self, at_ms: int, change: int, account_id: int = 7) -> None:
        self.value += change if account_id == 7 else 0
        row = {
            "v": 1,
            "participant": PAYER,
            "accountId": account_id,
            "accountType": "POSITION",
            "currency": "XTS",
            "change": change,
            "value": self.value,
            "reserved": 0,
            "changeNumber": 1,
            "transferId": "t",
            "entryType": "PRINCIPLE_VALUE",
        }
        self.topics.entries.append(Entry("positions", 0, 0, START_MS + at_ms, orjson.dumps(row)))


async def statement(from_ms: int, to_ms: int, opening: str, changes: list[str], closing: str) -> StatementFigures:
    lines = ["participant,accountId,currency,changeNumber,at,transferId,entryType,change,value"]
    lines.append(f"payer,7,XTS,,{timestamp_text(START_MS + from_ms)},,OPENING_BALANCE,,{opening}")
    lines += [f"payer,7,XTS,{number},x,t,e,{change},0" for number, change in enumerate(changes, start=1)]
    lines.append(f"payer,7,XTS,,{timestamp_text(START_MS + to_ms)},,CLOSING_BALANCE,,{closing}")
    figures = StatementFigures("payer XTS POSITION", 7)
    await figures.read(body("".join(f"{each}\r\n" for each in lines)))
    return figures


@pytest.mark.parametrize(
    ("from_ms", "to_ms", "opening", "changes", "closing"),
    [
        (0, 9_000, "0", ["0.001", "0.002", "-0.0005", "0.0001"], "0.0026"),
        (1_000, 3_000, "0.001", ["0.002", "-0.0005"], "0.0025"),
        (-9_000, 0, "0", [], "0"),
        (1_500, 1_600, "0.003", [], "0.003"),
        (4_000, 9_000, "0.0026", [], "0.0026"),
    ],
)
async def test_a_statement(from_ms: int, to_ms: int, opening: str, changes: list[str], closing: str) -> None:
    history = History()
    for at_ms, change in ((0, 10), (1_000, 20), (2_000, -5), (3_000, 1)):
        history.book(at_ms, 99, account_id=8)
        history.book(at_ms, change)
    assert [] == faults(await statement(from_ms, to_ms, opening, changes, closing), history.topics)

    wrong = await statement(from_ms, to_ms, opening, [*changes, "0"], closing)
    assert ["number of changes", "changes, by their digest,"] == [
        fault.removeprefix("payer XTS POSITION: ").rsplit(" ", 3)[0] for fault in faults(wrong, history.topics)
    ]
    other = await statement(from_ms, to_ms, opening, changes, "7")
    assert ["payer XTS POSITION: closing balance 7, counted " + closing] == faults(other, history.topics)


async def test_clocks_that_differ() -> None:
    """As in the statement itself: a period is a run without a gap."""
    history = History()
    for at_ms in (1_000, 3_000, 2_000, 4_000, 2_500):
        history.book(at_ms, 1)

    first = await statement(0, 3_000, "0", ["0.0001"], "0.0001")
    second = await statement(3_000, 4_000, "0.0001", ["0.0001", "0.0001"], "0.0003")
    assert [] == faults(first, history.topics) + faults(second, history.topics)
