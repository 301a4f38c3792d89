"""Every field of every topic's schema has its column in the archive, with its exact value."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from clearinghub.tools.archive import LostRecordsError, UnreadableRecordError
from clearinghub.tools.archive.batch import Batch
from clearinghub.tools.archive.datasets import MONEY, TIME, TOPICS, rows_of
from clearinghub.tools.archive.folder import opened
from tests.analysts import schema_of
from tests.archived import NOON_MS, final, record, rows_in

INT64_MAX = 2**63 - 1


def archived(folder: Path, topic: str, *values: bytes) -> dict[str, list[dict[str, Any]]]:
    """The rows that the archive has of these records, by data set."""
    with opened(folder, "c", "") as archive:
        batch = Batch(topic, 3, 0, None)
        for offset, value in enumerate(values):
            batch.add(offset, value)
        archive.commit(batch)
    return {path.name: rows_in(folder, path.name) for path in folder.iterdir() if path.is_dir() and path.name[0] != "."}


@pytest.mark.parametrize("topic", TOPICS)
def test_nothing_that_a_record_says_is_left_out(topic: str) -> None:
    """Whatever field is changed, the rows change."""
    for example in schema_of(topic)["examples"]:
        rows = list(rows_of(topic, example))
        for path, value in leaves(example):
            if value is None or path == ("v",) or (path == ("kind",) and topic != "transfers"):
                continue  # what says how the others are to be read
            if (topic, path[0], path[-1]) == ("settlements", "contents", "ledgerAccountType"):
                continue  # the settlement's own
            assert rows != list(rows_of(topic, changed(example, path, other(value)))), path


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    """All plain values in a record, with their paths."""
    if not isinstance(value, dict | list):
        return [(path, value)]
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    return [leaf for key, one in inner for leaf in leaves(one, (*path, key))]


def changed(record: Any, path: tuple[Any, ...], value: Any) -> Any:
    whole = copy.deepcopy(record)
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return whole


def other(value: bool | int | str) -> bool | int | str:
    """Another valid value for the same field."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return value.replace("2026", "2027") if value.endswith("Z") else value + "x"


def test_a_transfer(tmp_path: Path) -> None:
    (row,) = archived(tmp_path, "transfers", record("transfers"))["transfers"]

    assert Decimal("100.2500") == row["amount"]
    assert (Decimal("0.0300"), 12, 4711) == (row["interchange_fee"], row["settlement_window_id"], row["sequence"])
    assert datetime(2026, 3, 3, 9, 15, 0, 310_000, UTC) == row["finished_at"]
    assert ("2026-03-03", "USD", 3, 0) == (row["day"], row["currency"], row["kafka_partition"], row["kafka_offset"])
    assert (None, None) == (row["error_code"], row["error_description"])
    assert "transfers-0003-0000000000000000000-0000000000000000001-1of1.parquet" == row["file"]


def test_amounts_are_exact_to_the_last_unit_and_of_any_size(tmp_path: Path) -> None:
    units = (INT64_MAX, -INT64_MAX - 1, 1, -1, 0)
    rows = archived(tmp_path, "positions", *(record("positions", value=one) for one in units))["positions"]

    assert [Decimal(one).scaleb(-4) for one in units] == [row["value"] for row in rows]
    assert pa.types.is_decimal128(MONEY)
    assert "UTC" == TIME.tz


def test_a_day_is_one_of_utc(tmp_path: Path) -> None:
    midnight = NOON_MS + 43_200_000
    rows = archived(tmp_path, "positions", *(record("positions", atMs=ms) for ms in (midnight - 1, midnight)))

    assert ["2026-03-03", "2026-03-04"] == [row["day"] for row in rows["positions"]]
    assert 999_000 == rows["positions"][0]["changed_at"].microsecond


def test_a_window_and_its_nets(tmp_path: Path) -> None:
    opened_window = record("settlement-windows", state="OPEN", reason=None, contents=[])
    sets = archived(tmp_path, "settlement-windows", opened_window, *(record("settlement-windows", n) for n in (0, 1)))
    window = {row["state"]: row for row in sets["settlement-windows"]}

    assert (None, None, None) == tuple(window["OPEN"][name] for name in ("currency", "content_id", "reason"))
    assert ("USD", 29, 48_210, "CLOSED") == tuple(
        window["CLOSED"][name] for name in ("currency", "content_id", "transfers", "content_state")
    )
    nets = {
        row["participant"]: (row["net"], row["debits"], row["credit_count"]) for row in sets["settlement-window-nets"]
    }
    assert {
        "alphabank": (Decimal(100), Decimal("100.25"), 1),
        "betawallet": (Decimal(-100), Decimal("0.25"), 1),
    } == nets


def test_a_settlement_its_accounts_and_their_legs(tmp_path: Path) -> None:
    contents = [
        {"settlementWindowId": number, "currency": currency, "ledgerAccountType": "POSITION"}
        for number, currency in ((12, "USD"), (11, "USD"), (11, "EUR"))
    ]
    leg = {"counterparty": "betawallet", "net": -5, "transferId": "t", "entryType": "SETTLEMENT_NET_RECIPIENT"}
    sets = archived(
        tmp_path,
        "settlements",
        record("settlements", contents=contents),
        record("settlements", 1, net=-5),
        record("settlements", 2, legs=[leg, {**leg, "counterparty": "gamma"}]),
    )

    windows = {row["currency"]: (row["settlement_window_ids"], row["accounts"]) for row in sets["settlements"]}
    assert {"USD": ([11, 12], 2), "EUR": ([11], 2)} == windows
    (account,) = sets["settlement-accounts"]
    assert ("alphabank", 7, Decimal("-0.0005"), "USD") == tuple(
        account[name] for name in ("participant", "account_id", "net", "currency")
    )
    assert [("betawallet", 7, "t"), ("gamma", 7, "t")] == [
        (row["counterparty"], row["account_id"], row["transfer_id"]) for row in sets["settlement-legs"]
    ]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"v":1}',
        b'{"v":2}',
        record("transfers").replace(b'"v":1', b'"v":2'),
        record("transfers").replace(b"1002500", b"100.25"),
        record("transfers").replace(b"1002500", b"true"),
        record("transfers").replace(b"1002500", b'"1002500"'),
        record("transfers").replace(b'"2026-03-03T09:15:00.310Z"', b"1e400"),
        record("transfers").replace(b"09:15:00.310Z", b"09:15:00.310+02:00"),
        record("transfers").replace(b"2026-03-03T09:15:00.310Z", b"99999-01-01T00:00:00.000Z"),
        record("transfers").replace(b'"USD"', b'""'),
        record("transfers").replace(b'"USD"', b"[]"),
        record("transfers").replace(b'"alphabank"', b'{"a":1}'),
        record("transfers").replace(b'"alphabank"', b'"\\ud800"'),
        record("transfers").replace(b"4711", b"null"),
    ],
)
def test_what_is_not_as_the_page_says_is_never_left_out_in_silence(tmp_path: Path, value: bytes) -> None:
    with pytest.raises(UnreadableRecordError, match=r"transfers-3 at offset 0|transfers-3 from offset 0"):
        archived(tmp_path, "transfers", value)

    assert [] == list(tmp_path.glob("*/**/*.parquet"))


def test_a_time_beyond_all_calendars(tmp_path: Path) -> None:
    with pytest.raises(UnreadableRecordError):
        archived(tmp_path, "positions", record("positions", atMs=10**18))


@pytest.mark.parametrize("currency", ["../../x", "..", "a/b", "a=b", "\x00", "Ü", "%2e"])
def test_a_currency_cannot_lead_out_of_the_folder(tmp_path: Path, currency: str) -> None:
    (row,) = archived(tmp_path / "archive", "transfers", record("transfers", currency=currency))["transfers"]

    assert "transfers-0003-" == row["file"][:15]
    assert ["archive"] == [path.name for path in tmp_path.iterdir()]


def test_final_states_must_follow_one_another() -> None:
    batch = Batch("transfers", 3, 10, 7)
    batch.add(10, final(8))
    with pytest.raises(LostRecordsError, match="final state 10, and 9 is next"):
        batch.add(11, final(10))

    assert (1, 8, 11) == (batch.records, batch.last_sequence, batch.span().end)
