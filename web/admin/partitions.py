"""/partitions: how each partition of the ledger is, why it is stopped, and what the operator can do (ADR 28)."""

from __future__ import annotations

from typing import Any

from aiohttp.web import Request, Response

from clearinghub.domain.time import timestamp_text
from clearinghub.messages.recoveries import PartitionReport, Stopped
from clearinghub.ports import Partitions
from web.admin.context import json_response


class PartitionsResource:
    """Answers GET of /partitions with what the ledger's workers report."""

    def __init__(self, partitions: Partitions) -> None:
        self._partitions = partitions

    async def get_partitions(self, _request: Request) -> Response:
        """Answer with a report of every partition, also of those that no worker has."""
        return json_response([_body(one) for one in await self._partitions.partitions()])


def _body(report: PartitionReport) -> dict[str, Any]:
    return {
        "partition": report.partition,
        "worker": report.worker or None,
        "state": report.state.value,
        "since": _time(report.since_ms),
        "oldestWaiting": _time(report.waiting_since_ms),
        "reopenings": report.reopenings,
        "lastFailure": report.last_failure or None,
        "stops": [_stop(one) for one in report.stops],
    }


def _stop(stop: Stopped) -> dict[str, Any]:
    return {
        "code": stop.code,
        "topic": stop.topic or None,
        "sentence": stop.sentence,
        "remedy": stop.remedy,
        "since": _time(stop.since_ms),
        "id": stop.stop_id,
    }


def _time(ms: int | None) -> str | None:
    return None if ms is None else timestamp_text(ms)
