"""Two days of a small scheme as records of the topics, made by hand: three DFSPs, two windows, a settlement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from clearinghub.tools.archive.batch import Batch
from clearinghub.tools.archive.datasets import TOPICS
from clearinghub.tools.archive.folder import opened
from tests.archived import record

ALPHA, BETA, GAMMA = "alphabank", "betawallet", "gammabank"
PARTITION_OF = {ALPHA: 0, BETA: 1, GAMMA: 2}
ACCOUNT_OF = {(ALPHA, "USD"): 1, (ALPHA, "EUR"): 2, (BETA, "USD"): 3, (GAMMA, "USD"): 4, (GAMMA, "EUR"): 5}
FIRST, SECOND = "2026-03-03", "2026-03-04"


class Payment(NamedTuple):
    """A final state: amounts in 1/10,000, `took_ms` from the request, at `at`, to its end."""

    transfer_id: str
    at: str
    payer: str
    payee: str
    units: int
    currency: str
    state: str
    window: int | None
    took_ms: int
    fee: int = 0
    error: str | None = None
    kind: str = "transfer"


PAYMENTS = (
    Payment("t1", f"{FIRST}T09:00:00", ALPHA, BETA, 1_000_000, "USD", "COMMITTED", 1, 200, 5_000),
    Payment("t2", f"{FIRST}T09:01:00", ALPHA, BETA, 502_500, "USD", "COMMITTED", 1, 400, -2_500),
    Payment("t3", f"{FIRST}T09:02:00", ALPHA, GAMMA, 200_000, "USD", "EXPIRED_RESERVED", None, 30_000, 0, "3303"),
    Payment("t4", f"{FIRST}T09:03:00", ALPHA, GAMMA, 100_000, "EUR", "SETTLED", 1, 100),
    Payment("t5", f"{FIRST}T09:04:00", BETA, ALPHA, 300_001, "USD", "COMMITTED", 1, 150, -1_000),
    Payment("t6", f"{FIRST}T09:05:00", BETA, GAMMA, 5_000_000, "USD", "ABORTED_REJECTED", None, 1, 0, "4001"),
    Payment("t7", f"{SECOND}T10:00:00", ALPHA, GAMMA, 700_000, "USD", "COMMITTED", 2, 300),
    Payment("f1", f"{SECOND}T10:01:00", ALPHA, ALPHA, 10_000_000, "USD", "COMMITTED", None, 0, kind="funds-in"),
    Payment("t8", f"{SECOND}T10:02:00", GAMMA, BETA, 150_000, "USD", "COMMITTED", 3, 250),
)
NETS = {  # by window and currency: granularity, and of each DFSP debits, credits and their counts
    (1, "USD"): ("NET", {ALPHA: (1_502_500, 300_001, 2, 1), BETA: (300_001, 1_502_500, 1, 2)}),
    (1, "EUR"): ("GROSS", {ALPHA: (100_000, 0, 1, 0), GAMMA: (0, 100_000, 0, 1)}),
    (2, "USD"): ("NET", {ALPHA: (700_000, 0, 1, 0), GAMMA: (0, 700_000, 0, 1)}),
}
CLOSED_AT = {1: f"{FIRST}T17:00:00.000Z", 2: f"{SECOND}T17:00:00.000Z"}
STATES = (
    "PENDING_SETTLEMENT",
    "PS_TRANSFERS_RECORDED",
    "PS_TRANSFERS_RESERVED",
    "PS_TRANSFERS_COMMITTED",
    "SETTLED",
)

Placed = tuple[str, int, bytes]
"""Topic, partition and value."""


def make_archive(root: Path) -> None:
    """Write both days as the archive does."""
    records = [*_finals(), *_changes(), *_windows(), *_settlements()]
    with opened(root, "cluster", "") as folder:
        for topic in TOPICS:
            for partition in range(3):
                batch = Batch(topic, partition, 0, None)
                values = [value for place in records if place[:2] == (topic, partition) for value in place[2:]]
                for offset, value in enumerate(values):
                    batch.add(offset, value)
                if values:
                    folder.commit(batch)


def _later(at: str, more_ms: int) -> datetime:
    return datetime.fromisoformat(f"{at}+00:00") + timedelta(milliseconds=more_ms)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _finals() -> Iterator[Placed]:
    sequences: Counter[int] = Counter()
    for one in PAYMENTS:
        partition = PARTITION_OF[one.payer]
        sequences[partition] += 1
        value = record(
            "transfers",
            sequence=sequences[partition],
            transferId=one.transfer_id,
            kind=one.kind,
            payer=one.payer,
            payee=one.payee,
            amount=one.units,
            currency=one.currency,
            state=one.state,
            window=one.window,
            interchangeFee=one.fee,
            errorCode=one.error,
            errorDescription=None if one.error is None else "failed",
            preparedAt=_text(_later(one.at, 0)),
            finishedAt=_text(_later(one.at, one.took_ms)),
        )
        yield "transfers", partition, value


def _changes() -> Iterator[Placed]:
    """The changes of the POSITION accounts: reservations, their return or payment, credits, immediate settlement."""
    values: Counter[tuple[str, str]] = Counter()
    numbers: Counter[tuple[str, str]] = Counter()
    for one in PAYMENTS:
        if one.kind != "transfer" or one.state == "ABORTED_REJECTED":
            continue
        moves = [(one.payer, one.units, 1)]
        if one.state == "EXPIRED_RESERVED":
            moves.append((one.payer, -one.units, one.took_ms))
        else:
            moves.append((one.payee, -one.units, one.took_ms + 5))
        if one.state == "SETTLED":
            moves += [(one.payer, -one.units, one.took_ms), (one.payee, one.units, one.took_ms + 6)]
        for name, change, more_ms in moves:
            account = (name, one.currency)
            values[account] += change
            numbers[account] += 1
            at_ms = round(_later(one.at, more_ms).timestamp() * 1_000)
            yield (
                "positions",
                PARTITION_OF[name],
                record(
                    "positions",
                    participant=name,
                    accountId=ACCOUNT_OF[account],
                    currency=one.currency,
                    change=change,
                    value=values[account],
                    changeNumber=numbers[account],
                    transferId=one.transfer_id,
                    atMs=at_ms,
                ),
            )


def _windows() -> Iterator[Placed]:
    for number, closed_at in CLOSED_AT.items():
        contents = [
            {
                "id": 10 * number + place,
                "currency": currency,
                "ledgerAccountType": "POSITION",
                "granularity": granularity,
                "state": "SETTLED" if granularity == "GROSS" else "CLOSED",
                "transfers": sum(sums[2] for sums in nets.values()),
                "settlementId": None,
            }
            for place, ((window, currency), (granularity, nets)) in enumerate(NETS.items())
            if window == number
        ]
        about: dict[str, Any] = {"settlementWindowId": number, "changedAt": closed_at}
        yield "settlement-windows", 0, record("settlement-windows", **about, state="PROCESSING", contents=[])
        yield "settlement-windows", 0, record("settlement-windows", **about, state="CLOSED", contents=contents)
        for (window, currency), (granularity, nets) in NETS.items():
            if window == number:
                rows = [_net(name, *sums) for name, sums in nets.items()]
                netting_group = {"currency": currency, "granularity": granularity, "closedAt": closed_at}
                yield (
                    "settlement-windows",
                    0,
                    record("settlement-windows", 1, settlementWindowId=number, nets=rows, **netting_group),
                )


def _net(name: str, debits: int, credits_: int, debit_count: int, credit_count: int) -> dict[str, Any]:
    return {
        "participant": name,
        "counterparty": "",
        "debits": debits,
        "credits": credits_,
        "debitCount": debit_count,
        "creditCount": credit_count,
        "net": debits - credits_,
    }


def _settlements() -> Iterator[Placed]:
    """A settlement of window 1 in USD, from 17:10 to 17:50; another one of window 2 has only begun."""
    for settlement, window, (first, second), states in (
        (1, 1, (ALPHA, BETA), STATES),
        (2, 2, (ALPHA, GAMMA), STATES[:1]),
    ):
        net = NETS[window, "USD"][1][ALPHA][0] - NETS[window, "USD"][1][ALPHA][1]
        day = CLOSED_AT[window][:10]
        about: dict[str, Any] = {"settlementId": settlement}
        for change, state in enumerate(states, start=1):
            changed_at = f"{day}T17:{10 * change}:00.000Z"
            for number, (name, sign) in enumerate(((first, 1), (second, -1)), start=1):
                account: dict[str, Any] = {"participant": name, "accountId": number, "net": sign * net, "state": state}
                yield "settlements", 0, record("settlements", 1, **about, **account, changedAt=changed_at)
            contents = [{"settlementWindowId": window, "currency": "USD", "ledgerAccountType": "POSITION"}]
            whole: dict[str, Any] = {"change": change, "state": state, "contents": contents, "changedAt": changed_at}
            yield "settlements", 0, record("settlements", **about, **whole, createdAt=f"{day}T17:10:00.000Z")
