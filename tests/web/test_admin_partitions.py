"""GET /partitions, `clearinghub admin partitions`, and how the reader puts the workers' reports together."""

from __future__ import annotations

from pathlib import Path

from aiohttp import ClientSession
from aiohttp.test_utils import TestServer

from clearinghub.config import Settings
from clearinghub.messages.recoveries import (
    PartitionReport,
    ReportedState,
    Stopped,
    WorkerAnnouncement,
    encode_worker,
)
from clearinghub.ports import StoppedPart
from clearinghub.queries.reader import HttpLedgerReader
from tests.fakes import FakeHealth
from tests.web.admin_world import Operator
from tests.web.cli import Terminal
from tests.web.test_ledger_queries import Rows
from web.ledger.app import build_ledger_app

STOP = Stopped("input-lost", "prepare/2 lacks the offsets 5 to 7", "decide to go on", 1_000, "0f")
INPUT = Stopped("input-stopped", "credit/1 stops before offset 3", "install a release", 2_000, "1e", "credit")
WORKING = PartitionReport(0, ReportedState.WORKING, 500, 900, "KafkaError()", 2)
HALF = PartitionReport(1, ReportedState.INPUT_STOPPED, 500, stops=(INPUT,))
STOPPED = PartitionReport(2, ReportedState.STOPPED, 1_000, stops=(STOP,))


async def test_what_is_shown_of_partitions(operator: Operator) -> None:
    nobody = PartitionReport(3, ReportedState.NO_WORKER)
    operator.ports.reports = [WORKING, HALF, STOPPED, nobody]

    shown = (await operator.get("/partitions")).json

    assert ["working", "input-stopped", "stopped", "no-worker"] == [one["state"] for one in shown]
    assert {
        "partition": 0,
        "worker": None,
        "state": "working",
        "since": "1970-01-01T00:00:00.500Z",
        "oldestWaiting": "1970-01-01T00:00:00.900Z",
        "reopenings": 2,
        "lastFailure": "KafkaError()",
        "stops": [],
    } == shown[0]
    assert [
        {
            "code": "input-stopped",
            "topic": "credit",
            "sentence": "credit/1 stops before offset 3",
            "remedy": "install a release",
            "since": "1970-01-01T00:00:02.000Z",
            "id": "1e",
        }
    ] == shown[1]["stops"]
    assert (None, "input-lost") == (shown[2]["stops"][0]["topic"], shown[2]["stops"][0]["code"])
    assert (None, None, []) == (shown[3]["since"], shown[3]["worker"], shown[3]["stops"])


async def test_the_command(terminal: Terminal) -> None:
    terminal.operator.ports.reports = [WORKING, HALF, STOPPED]

    shown = await terminal.done("partitions", "list")
    assert ["working", "input-stopped", "stopped"] == [one["state"] for one in shown]
    assert "input-lost" == shown[2]["stops"][0]["code"]
    table = await terminal.admin("partitions", "list")
    assert 0 == table.code
    for stop in (STOP, INPUT):
        assert stop.sentence in table.out
        assert stop.remedy in table.out


class _Worker(Rows):
    """A worker that only reports."""

    def __init__(self, *reports: PartitionReport) -> None:
        self._reports = list(reports)

    def partitions(self) -> list[PartitionReport]:
        return self._reports


async def test_reports_of_all_workers_and_of_partitions_that_none_has(tmp_path: Path) -> None:
    """The second worker reports partition 1 too, from which it is just moving away; a third is gone with 2 and 3."""
    settings = Settings(kafka_bootstrap="none", data_dir=tmp_path, partitions=5)
    opening = PartitionReport(1, ReportedState.OPENING, 400)
    first, second = (
        TestServer(build_ledger_app(worker, FakeHealth())) for worker in (_Worker(opening), _Worker(WORKING, HALF))
    )
    async with first, second:
        urls = [str(one.make_url("")).rstrip("/") for one in (first, second)]
        gone = "http://127.0.0.1:1"
        reader = HttpLedgerReader(settings)
        for key, announced in {
            "0": WorkerAnnouncement(urls[1], 1),
            "1": WorkerAnnouncement(urls[0], 1),
            "2": WorkerAnnouncement(gone, 1, STOP),
            "3": WorkerAnnouncement(gone, 1, inputs=(INPUT,)),
        }.items():
            reader._workers._take(key.encode(), encode_worker(announced))
        async with ClientSession() as reader._session:
            found = await reader.partitions()

    assert [one.state.value for one in found] == ["working", "opening", "no-worker", "no-worker", "no-worker"]
    assert [urls[1], urls[0], gone, gone, ""] == [one.worker for one in found]
    assert [(), (), (STOP,), (INPUT,), ()] == [one.stops for one in found]
    assert [StoppedPart(2, "input-lost"), StoppedPart(3, "input-stopped", "credit")] == reader.stopped()
