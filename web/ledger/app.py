"""Queries that a ledger worker answers from its tables, between two rounds (design 8)."""

from __future__ import annotations

from typing import Final, Protocol

import orjson
from aiohttp.typedefs import Handler
from aiohttp.web import Application, Request, Response, StreamResponse, get, middleware

from clearinghub import __version__
from clearinghub.messages.recoveries import PartitionReport, encode_reports
from clearinghub.ports import Health
from web.http.operations import add_operations_routes

PARTIES_AT_ONCE: Final = 2_000  # a page of an export, which delays the partition's rounds by some milliseconds
SETTLEMENT_ROWS_AT_ONCE: Final = 2_000  # likewise: of a window's nets, or a settlement's accounts or legs


class PartitionElsewhereError(Exception):
    """The worker does not own the partition; the client must look up the current owner."""


class LedgerRows(Protocol):
    """The stored rows that queries need. All methods of one partition raise PartitionElsewhereError."""

    def partitions(self) -> list[PartitionReport]:
        """Return how each partition of this worker is, also those that do not work."""

    async def positions(self, partition: int, participant: str) -> list[bytes]:
        """Return the rows of a participant's accounts, as stored."""

    async def transfer(self, partition: int, transfer_id: str) -> bytes | None:
        """Return the row of a transfer, as stored, or None."""

    async def parties(self, partition: int, after: str, count_max: int) -> list[tuple[bytes, bytes]]:
        """Return the next keys and rows of the built-in oracle after a key."""

    async def settlement_rows(self, partition: int, keys: list[str]) -> list[bytes]:
        """Return the rows of table `settlement` under these keys, without those that do not exist."""

    async def settlement_page(
        self, partition: int, prefix: str, after: str, count_max: int
    ) -> list[tuple[bytes, bytes]]:
        """Return the next keys and rows of table `settlement` whose keys begin with `prefix`, after the key `after`."""

    async def last_settlement_rows(self, partition: int, kind: str) -> list[bytes]:
        """Return the rows of a kind in table `settlement`, newest first, as many as fit into one answer."""


class _Queries:
    """The handlers of queries. Each answers with rows, a line for each, from one partition."""

    def __init__(self, rows: LedgerRows) -> None:
        self._rows = rows

    async def partitions(self, _request: Request) -> Response:
        """Answer with how this worker's partitions are."""
        return Response(body=encode_reports(self._rows.partitions()), content_type="application/json")

    async def positions(self, request: Request) -> Response:
        """Answer with the rows of a participant's accounts."""
        return _lines(await self._rows.positions(_partition(request), request.match_info["participant"]))

    async def transfer(self, request: Request) -> Response:
        """Answer with the row of a transfer, or with an empty body if there is none."""
        row = await self._rows.transfer(_partition(request), request.match_info["id"])
        return Response(body=row or b"", content_type="application/json")

    async def parties(self, request: Request) -> Response:
        """Answer with a line for each party: its key and its row. Fewer than PARTIES_AT_ONCE lines mean the end."""
        after = request.query.get("after", "")
        found = await self._rows.parties(_partition(request), after, PARTIES_AT_ONCE)
        return _lines([b"[%b,%b]" % (orjson.dumps(key.decode()), row) for key, row in found])

    async def settlement(self, request: Request) -> Response:
        """Answer with the rows of table `settlement` whose keys the query names."""
        return _lines(await self._rows.settlement_rows(_partition(request), request.query.getall("key", [])))

    async def settlement_page(self, request: Request) -> Response:
        """Answer with a line for each of the next rows with a prefix: its key and the row. No line means the end."""
        prefix, after = request.query.get("prefix", ""), request.query.get("after", "")
        found = await self._rows.settlement_page(_partition(request), prefix, after, SETTLEMENT_ROWS_AT_ONCE)
        return _lines([b"[%b,%b]" % (orjson.dumps(key.decode()), row) for key, row in found])

    async def last_settlement(self, request: Request) -> Response:
        """Answer with the newest rows of a kind in table `settlement`."""
        return _lines(await self._rows.last_settlement_rows(_partition(request), request.match_info["kind"]))


def build_ledger_app(rows: LedgerRows, health: Health) -> Application:
    """Return the worker's HTTP application."""
    queries = _Queries(rows)
    app = Application(middlewares=[_answer_elsewhere])
    app.add_routes(
        [
            get("/partitions", queries.partitions),
            get(r"/partitions/{partition:\d+}/settlement", queries.settlement),
            get(r"/partitions/{partition:\d+}/settlement/page", queries.settlement_page),
            get(r"/partitions/{partition:\d+}/settlement/last/{kind}", queries.last_settlement),
            get(r"/partitions/{partition:\d+}/positions/{participant}", queries.positions),
            get(r"/partitions/{partition:\d+}/transfers/{id}", queries.transfer),
            get(r"/partitions/{partition:\d+}/parties", queries.parties),
        ]
    )
    add_operations_routes(app, health, __version__)
    return app


@middleware
async def _answer_elsewhere(request: Request, handler: Handler) -> StreamResponse:
    """Answer 421 if the worker does not own the partition."""
    try:
        return await handler(request)
    except PartitionElsewhereError:
        return Response(status=421, text="this worker does not have the partition")


def _partition(request: Request) -> int:
    return int(request.match_info["partition"])


def _lines(rows: list[bytes]) -> Response:
    return Response(body=b"\n".join(rows), content_type="application/x-ndjson")
