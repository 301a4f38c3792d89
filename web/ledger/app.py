"""Queries that a ledger worker answers from its tables, between two rounds (design 8)."""

from __future__ import annotations

from typing import Final, Protocol

import orjson
from aiohttp.web import Application, Request, Response, get

from clearinghub import __version__
from clearinghub.ports import Health
from web.http.operations import add_operations_routes

PARTIES_AT_ONCE: Final = 2_000  # a page of an export; the partition's rounds wait for it some milliseconds


class PartitionElsewhereError(Exception):
    """The worker does not have the partition (any more); the asker should look again who has."""


class LedgerRows(Protocol):
    """Where the answers come from. All raise PartitionElsewhereError."""

    async def positions(self, partition: int, participant: str) -> list[bytes]:
        """The rows of a participant's accounts, as stored."""

    async def transfer(self, partition: int, transfer_id: str) -> bytes | None:
        """The row of a transfer, as stored."""

    async def parties(self, partition: int, after: str, count_max: int) -> list[tuple[bytes, bytes]]:
        """The next rows of the built-in oracle behind a key, with their keys."""

    async def settlement_rows(self, partition: int, keys: list[str]) -> list[bytes]:
        """Those of these rows of table `settlement` that there are, as stored."""

    async def last_settlement_rows(self, partition: int, kind: str) -> list[bytes]:
        """The last rows of a kind in table `settlement`, last first, as many as one answer takes."""


def build_ledger_app(rows: LedgerRows, health: Health) -> Application:
    """The worker's HTTP surface."""

    async def get_positions(request: Request) -> Response:
        try:
            found = await rows.positions(int(request.match_info["partition"]), request.match_info["participant"])
        except PartitionElsewhereError:
            return _elsewhere()
        return Response(body=b"\n".join(found), content_type="application/x-ndjson")

    async def get_transfer(request: Request) -> Response:
        """The row, or nothing at all: that there is none is an answer too."""
        try:
            row = await rows.transfer(int(request.match_info["partition"]), request.match_info["id"])
        except PartitionElsewhereError:
            return _elsewhere()
        return Response(body=row or b"", content_type="application/json")

    async def get_parties(request: Request) -> Response:
        """A line with key and row for each; fewer than asked for when there are no more."""
        try:
            found = await rows.parties(
                int(request.match_info["partition"]), request.query.get("after", ""), PARTIES_AT_ONCE
            )
        except PartitionElsewhereError:
            return _elsewhere()
        lines = (b"[%b,%b]" % (orjson.dumps(key.decode()), row) for key, row in found)
        return Response(body=b"\n".join(lines), content_type="application/x-ndjson")

    async def get_settlement_rows(request: Request) -> Response:
        try:
            found = await rows.settlement_rows(int(request.match_info["partition"]), request.query.getall("key", []))
        except PartitionElsewhereError:
            return _elsewhere()
        return Response(body=b"\n".join(found), content_type="application/x-ndjson")

    async def get_last_settlement_rows(request: Request) -> Response:
        try:
            kind = request.match_info["kind"]
            found = await rows.last_settlement_rows(int(request.match_info["partition"]), kind)
        except PartitionElsewhereError:
            return _elsewhere()
        return Response(body=b"\n".join(found), content_type="application/x-ndjson")

    app = Application()
    app.add_routes(
        [
            get(r"/partitions/{partition:\d+}/settlement", get_settlement_rows),
            get(r"/partitions/{partition:\d+}/settlement/last/{kind}", get_last_settlement_rows),
            get(r"/partitions/{partition:\d+}/positions/{participant}", get_positions),
            get(r"/partitions/{partition:\d+}/transfers/{id}", get_transfer),
            get(r"/partitions/{partition:\d+}/parties", get_parties),
        ]
    )
    add_operations_routes(app, health, __version__)
    return app


def _elsewhere() -> Response:
    return Response(status=421, text="this worker does not have the partition")
