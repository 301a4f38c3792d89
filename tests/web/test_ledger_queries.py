"""The queries that a ledger worker answers: rows as they are stored, or 421 for a partition of another worker."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer

from clearinghub.messages.recoveries import PartitionReport, ReportedState, Stopped, decode_reports
from clearinghub.ports import StoppedPart
from web.ledger.app import PARTIES_AT_ONCE, SETTLEMENT_ROWS_AT_ONCE, PartitionElsewhereError, build_ledger_app

OWN = 3
STOP = Stopped("input-lost", "prepare/3 lacks the offsets 5 to 7", "see the page", 7, "0f")
REPORTS = [PartitionReport(OWN, ReportedState.STOPPED, 7, None, "", 0, (STOP,))]


class Rows:
    """The rows of partition 3; this worker has no other."""

    def _check(self, partition: int) -> None:
        if partition != OWN:
            raise PartitionElsewhereError

    def partitions(self) -> list[PartitionReport]:
        return REPORTS

    async def positions(self, partition: int, participant: str) -> list[bytes]:
        self._check(partition)
        return [b'["%b",1]' % participant.encode(), b'["%b",2]' % participant.encode()]

    async def transfer(self, partition: int, transfer_id: str) -> bytes | None:
        self._check(partition)
        return b'["t/1"]' if transfer_id == "t/1" else None

    async def parties(self, partition: int, after: str, count_max: int) -> list[tuple[bytes, bytes]]:
        self._check(partition)
        assert PARTIES_AT_ONCE == count_max
        return [(after.encode() + b"0", b"[]"), (after.encode() + b"1", b"[7]")]

    async def settlement_rows(self, partition: int, keys: list[str]) -> list[bytes]:
        self._check(partition)
        return [key.encode() for key in keys]

    async def settlement_page(
        self, partition: int, prefix: str, after: str, count_max: int
    ) -> list[tuple[bytes, bytes]]:
        self._check(partition)
        assert SETTLEMENT_ROWS_AT_ONCE == count_max
        return [(f"{prefix}{after}1".encode(), b"[7]")]

    async def last_settlement_rows(self, partition: int, kind: str) -> list[bytes]:
        self._check(partition)
        return [kind.encode()]


class Health:
    async def services(self) -> dict[str, bool]:
        return {"datastore": True, "broker": True}

    def stopped(self) -> list[StoppedPart]:
        return [StoppedPart(OWN, "input-lost"), StoppedPart(OWN, "input-stopped", "credit")]


@pytest.fixture
async def worker() -> AsyncIterator[TestClient]:  # type: ignore[type-arg]
    client = TestClient(TestServer(build_ledger_app(Rows(), Health())))
    await client.start_server()
    yield client
    await client.close()


PATHS = {
    "positions/payerfsp": b'["payerfsp",1]\n["payerfsp",2]',
    "transfers/t%2F1": b'["t/1"]',
    "transfers/unknown": b"",
    "parties?after=MSISDN/1": b'["MSISDN/10",[]]\n["MSISDN/11",[7]]',
    "parties": b'["0",[]]\n["1",[7]]',
    "settlement?key=window/1&key=window/2": b"window/1\nwindow/2",
    "settlement": b"",
    "settlement/page?prefix=leg/1/&after=b": b'["leg/1/b1",[7]]',
    "settlement/last/window": b"window",
}


@pytest.mark.parametrize("path", PATHS)
async def test_rows_are_returned_as_they_are_stored(worker: TestClient, path: str) -> None:  # type: ignore[type-arg]
    answer = await worker.get(f"/partitions/{OWN}/{path}")

    assert (200, PATHS[path]) == (answer.status, await answer.read())


@pytest.mark.parametrize("path", PATHS)
async def test_another_workers_partition(worker: TestClient, path: str) -> None:  # type: ignore[type-arg]
    answer = await worker.get(f"/partitions/{OWN + 1}/{path}")

    assert 421 == answer.status


async def test_it_reports_its_health_and_names_what_is_stopped(worker: TestClient) -> None:  # type: ignore[type-arg]
    answer = await worker.get("/health")

    report = await answer.json()
    assert (200, "OK") == (answer.status, report["status"]), "what is not stopped works"
    assert [
        {"partition": OWN, "code": "input-lost"},
        {"partition": OWN, "code": "input-stopped", "topic": "credit"},
    ] == report["stopped"]


async def test_it_reports_how_its_partitions_are(worker: TestClient) -> None:  # type: ignore[type-arg]
    answer = await worker.get("/partitions")

    assert REPORTS == decode_reports(await answer.read())
