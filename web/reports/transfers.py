"""GET /settlementWindows/{id}/transfers: the committed transfers of a window, whole as a stream or page by page."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import (
    Annotated,
    Final,
    NotRequired,
    TypeAlias,
)
from urllib.parse import urlencode

import orjson
from aiohttp.web import Request, StreamResponse
from pydantic import Field, TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic takes typing's only from Python 3.12 on

from clearinghub.domain.money import format_amount
from clearinghub.domain.settlement.report import CLOSED
from clearinghub.domain.settlement.window import Window
from clearinghub.domain.settlement.window_transfer import Place, TransferSums, WindowTransfer
from clearinghub.domain.time import timestamp_text
from clearinghub.ports import SettlementReader, WindowTransfersReader
from web.admin.schema_types import NO_OTHER_KEYS
from web.admin.schemas import read_query
from web.reports.formats import Format, FormatText, chosen_format, report_response, streamed_response
from web.reports.page import page_begin, page_end, page_faults, page_link, page_note, page_table
from web.reports.table import Cell, Column, Kind, csv_header, csv_lines
from web.settlement.responses import window_body
from web.settlement.schemas import number_in_path, refuse_unknown
from web.settlement.windows import find_window

HTML_LIMIT: Final = 1_000  # some twenty sheets of paper

Limit: TypeAlias = Annotated[str, Field(min_length=1, pattern="^([1-9][0-9]{0,3}|10000)$")]
"""Of a page; without a limit all transfers are sent as they are read."""
PlaceText: TypeAlias = Annotated[str, Field(min_length=1, pattern="^(0|[1-9][0-9]{0,3})-(0|[1-9][0-9]{0,17})$")]


@with_config(NO_OTHER_KEYS)
class TransfersQuery(TypedDict):
    """The query of GET /settlementWindows/{id}/transfers."""

    format: NotRequired[FormatText]
    limit: NotRequired[Limit]
    after: NotRequired[PlaceText]


QUERY: Final = TypeAdapter(TransfersQuery)
_COLUMNS: Final = (
    Column("settlementWindowId", "window", Kind.COUNT),
    Column("transferId", "transfer", Kind.ID),
    Column("payer", "payer"),
    Column("payee", "payee"),
    Column("currency", "currency"),
    Column("amount", "amount", Kind.AMOUNT),
    Column("interchangeFee", "fee", Kind.AMOUNT),
    Column("state", "state"),
    Column("preparedAt", "prepared, UTC", Kind.TIME),
    Column("finishedAt", "finished, UTC", Kind.TIME),
)
_TOTALS: Final = (
    Column("currency", "currency"),
    Column("count", "transfers", Kind.COUNT),
    Column("amount", "amount", Kind.AMOUNT),
)


@dataclass
class _Listed:
    """A page of transfers, and the path of the next page."""

    transfers: list[WindowTransfer] = field(default_factory=list)
    sums: TransferSums = field(default_factory=TransferSums)
    faults: Sequence[str] = ()
    rest: str | None = None


class WindowTransfersResource:
    """Handler of one window's transfers."""

    def __init__(
        self,
        hub_name: str,
        base_path: str,
        reader: SettlementReader,
        transfers: WindowTransfersReader,
        clock: Callable[[], int],
    ) -> None:
        """`base_path` is the settlement API's, for links; `clock` returns milliseconds since the epoch."""
        self._hub_name = hub_name
        self._base_path = base_path
        self._reader = reader
        self._transfers = transfers
        self._clock = clock

    async def get_transfers(self, request: Request) -> StreamResponse:
        """Answer with the transfers by partition, and on each partition in the order of their commits."""
        refuse_unknown(request, TransfersQuery.__annotations__)
        query = read_query(request, QUERY)
        form = chosen_format(request, query)
        window = await find_window(self._reader, number_in_path(request, "id"))
        after = Place(*map(int, query["after"].split("-"))) if "after" in query else None
        limit = int(query["limit"]) if "limit" in query else HTML_LIMIT if form is Format.HTML else None
        name = f"window-{window.window_id}-transfers"
        if limit is None:
            parts = self._json(window, after) if form is Format.JSON else self._csv(window, after)
            async with aclosing(parts):
                return await streamed_response(request, form, name, parts)
        listed = await self._page_of(window, after, limit, query)
        headers = {} if listed.rest is None else {"Link": f'<{listed.rest}>; rel="next"'}
        if form is Format.JSON:
            tail = _json_tail(listed.sums, listed.faults, listed.rest)
            body = _json_head(window) + _json_of(listed.transfers) + tail
        elif form is Format.CSV:
            body = csv_header(_COLUMNS) + _csv_of(window, listed.transfers)
        else:
            body = self._html(window, listed, is_whole=after is None and listed.rest is None)
        return report_response(form, name, body, headers)

    async def _page_of(self, window: Window, after: Place | None, limit: int, query: TransfersQuery) -> _Listed:
        listed = _Listed()
        async with aclosing(self._transfers.read(window, after)) as batches:
            async for batch in batches:
                listed.transfers += batch
                if len(listed.transfers) > limit:
                    break
        more = len(listed.transfers) > limit
        del listed.transfers[limit:]
        listed.sums.add(listed.transfers)
        if more:
            listed.rest = self._rest(window, listed.transfers[-1].place, limit, query)
        else:
            listed.faults = await self._faults(window, after, listed.sums)
        return listed

    async def _faults(self, window: Window, after: Place | None, sums: TransferSums) -> list[str]:
        """Return what a complete list lacks or has too much; nothing for a part of the list or an open window."""
        if after is not None or window.state not in CLOSED:
            return []
        contents = await self._reader.sums(window)
        if contents is None:
            return [f"window {window.window_id} is no longer kept: what is missing here cannot be told"]
        for netting_group in contents:
            async with aclosing(self._reader.nets(window, netting_group)) as pages:
                async for page in pages:
                    sums.hold(netting_group, page)
        return sums.faults()

    def _rest(self, window: Window, place: Place, limit: int, query: TransfersQuery) -> str:
        parameters = {"format": query["format"]} if "format" in query else {}
        rest = urlencode({**parameters, "limit": limit, "after": f"{place.partition}-{place.offset}"})
        return f"{self._base_path}/settlementWindows/{window.window_id}/transfers?{rest}"

    async def _csv(self, window: Window, after: Place | None) -> AsyncGenerator[bytes, None]:
        lines = csv_header(_COLUMNS)
        async with aclosing(self._transfers.read(window, after)) as batches:
            async for batch in batches:
                yield lines + _csv_of(window, batch)
                lines = b""
        if lines:
            yield lines

    async def _json(self, window: Window, after: Place | None) -> AsyncGenerator[bytes, None]:
        """Yield the answer in batches; the totals follow the transfers, for they are not known before."""
        sums = TransferSums()
        is_first = True
        async with aclosing(self._transfers.read(window, after)) as batches:
            async for batch in batches:
                sums.add(batch)
                lead = _json_head(window) if is_first else b","
                yield lead + _json_of(batch)
                is_first = False
        faults = await self._faults(window, after, sums)
        yield (_json_head(window) if is_first else b"") + _json_tail(sums, faults, None)

    def _html(self, window: Window, listed: _Listed, *, is_whole: bool) -> bytes:
        facts = [("Window state", window.state.value), ("Opened", timestamp_text(window.created_at_ms))]
        has_fees = any(one.interchange_fee for one in listed.transfers)
        names = ("transferId", "payer", "payee", "currency", "amount", *(["interchangeFee"] if has_fees else []))
        kept = [index for index, column in enumerate(_COLUMNS) if column.name in (*names, "finishedAt")]
        rows = [[row[index] for index in kept] for row in (_cells(window, one) for one in listed.transfers)]
        parts = [
            page_begin(
                self._hub_name,
                f"Transfers of settlement window {window.window_id}",
                facts,
                f"report made {timestamp_text(self._clock())}",
            ),
            page_faults(listed.faults),
            page_table("Totals" if is_whole else "Totals of this page", _TOTALS, listed.sums.totals()),
            page_table("Transfers", [_COLUMNS[index] for index in kept], rows),
            "" if is_whole else page_note("The list goes on or begins on another page."),
            "" if listed.rest is None else page_link("The next transfers", listed.rest),
            page_end(),
        ]
        return "".join(parts).encode()


def _cells(window: Window, one: WindowTransfer) -> tuple[Cell, ...]:
    return (
        window.window_id,
        one.transfer_id,
        one.payer,
        one.payee,
        one.currency,
        one.amount,
        one.interchange_fee,
        one.state,
        one.prepared_at,
        one.finished_at,
    )


def _csv_of(window: Window, transfers: Sequence[WindowTransfer]) -> bytes:
    return csv_lines(_COLUMNS, (_cells(window, one) for one in transfers))


def _json_head(window: Window) -> bytes:
    return orjson.dumps(window_body(window))[:-1] + b',"transfers":['


def _json_of(transfers: Sequence[WindowTransfer]) -> bytes:
    return b",".join(
        orjson.dumps(
            {
                "transferId": one.transfer_id,
                "payer": one.payer,
                "payee": one.payee,
                "currency": one.currency,
                "amount": format_amount(one.amount),
                "interchangeFee": format_amount(one.interchange_fee),
                "state": one.state,
                "preparedAt": one.prepared_at,
                "finishedAt": one.finished_at,
            }
        )
        for one in transfers
    )


def _json_tail(sums: TransferSums, faults: Sequence[str], rest: str | None) -> bytes:
    totals = [
        {"currency": currency, "count": count, "amount": format_amount(amount)}
        for currency, count, amount in sums.totals()
    ]
    tail = {"totals": totals, "faults": list(faults), **({} if rest is None else {"next": rest})}
    return b"]," + orjson.dumps(tail)[1:]
