"""Queries that a ledger worker answers from its tables, between two rounds (design 8)."""

from __future__ import annotations

from typing import Protocol

from aiohttp.web import Application, Request, Response, get

from clearinghub import __version__
from clearinghub.ports import Health
from web.operations import add_operations_routes


class PartitionElsewhereError(Exception):
    """The worker does not have the partition (any more); the asker should look again who has."""


class PositionRows(Protocol):
    """Where the answers come from."""

    async def __call__(self, partition: int, participant: str) -> list[bytes]:
        """The rows of a participant's accounts, as stored. Raises PartitionElsewhereError."""


def build_ledger_app(position_rows: PositionRows, health: Health) -> Application:
    """The worker's HTTP surface."""

    async def get_positions(request: Request) -> Response:
        try:
            partition = int(request.match_info["partition"])
            rows = await position_rows(partition, request.match_info["participant"])
        except PartitionElsewhereError:
            return Response(status=421, text="this worker does not have the partition")
        return Response(body=b"\n".join(rows), content_type="application/x-ndjson")

    app = Application()
    app.add_routes([get(r"/partitions/{partition:\d+}/positions/{participant}", get_positions)])
    add_operations_routes(app, health, __version__)
    return app
