"""Queries that a ledger worker answers from its tables, between two rounds (design 8)."""

from __future__ import annotations

from typing import Final, Protocol

import orjson
from aiohttp.web import Application, Request, Response, get

from clearinghub import __version__
from clearinghub.ports import Health
from web.http.operations import add_operations_routes

PARTIES_AT_ONCE: Final = 2_000  # a page of an export, which delays the partition's rounds by some milliseconds


class PartitionElsewhereError(Exception):
    """The worker does not own the partition; the client must look up the current owner."""


class LedgerRows(Protocol):
    """The stored rows that queries need. All methods raise PartitionElsewhereError."""

    async def positions(self, partition: int, participant: str) -> list[bytes]:
        """Return the rows of a participant's accounts, as stored."""

    async def transfer(self, partition: int, transfer_id: str) -> bytes | None:
        """Return the row of a transfer, as stored, or None."""

    async def parties(self, partition: int, after: str, count_max: int) -> list[tuple[bytes, bytes]]:
        """Return the next keys and rows of the built-in oracle after a key."""

    async def settlement_rows(self, partition: int, keys: list[str]) -> list[bytes]:
        """Return the rows of table `settlement` under these keys, without those that do not exist."""

    async def last_settlement_rows(self, partition: int, kind: str) -> list[bytes]:
        """Return the rows of a kind in table `settlement`, newest first, as many as fit into one answer."""


def build_ledger_app(rows: LedgerRows, health: Health) -> Application:
    """Return the worker's HTTP application."""

    async def get_positions(request: Request) -> Response:
        try:
            found = await rows.positions(int(request.match_info["partition"]), request.match_info["participant"])
        except PartitionElsewhereError:
            return _elsewhere()
        return Response(body=b"\n".join(found), content_type="application/x-ndjson")

    async def get_transfer(request: Request) -> Response:
        """Answer with the row, or with an empty body if there is none."""
        try:
            row = await rows.transfer(int(request.match_info["partition"]), request.match_info["id"])
        except PartitionElsewhereError:
            return _elsewhere()
        return Response(body=row or b"", content_type="application/json")

    async def get_parties(request: Request) -> Response:
        """Answer with a line for each party: its key and its row. Fewer than PARTIES_AT_ONCE lines mean the end."""
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
