"""Settlement windows: list, show and close them (protocol 9.1, 9.2)."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import Annotated, Final, NotRequired

from aiohttp.web import Request, Response
from pydantic import Field, TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic takes typing's only from Python 3.12 on

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.settlement.netting import NettingGroup, PartyNet
from clearinghub.domain.settlement.report import ContentNets
from clearinghub.domain.settlement.window import Window, WindowState
from clearinghub.messages.commands import CloseWindow, WindowResult
from clearinghub.ports import SettlementReader
from clearinghub.rows import make_row_decoder
from web.admin.context import AdminContext, json_response
from web.admin.schema_types import NO_OTHER_KEYS
from web.admin.schemas import read_body, read_query
from web.http.errors import ApiError
from web.settlement.responses import nets_body, whole_window_body, window_body
from web.settlement.schemas import (
    WINDOW_CLOSING,
    WINDOW_FILTERS,
    WINDOWS_QUERY,
    WindowsQuery,
    number_in_path,
    refuse_unknown,
)

ParticipantText = Annotated[str, Field(min_length=2, max_length=30)]
NETS_SHOWN_MAX: Final = 50_000  # some 15 MB; one participant's are at most as many as there are participants


@with_config(NO_OTHER_KEYS)
class NetsQuery(TypedDict):
    """The query of GET .../nets."""

    participant: NotRequired[ParticipantText]


NETS_QUERY: Final = TypeAdapter(NetsQuery)
_decode_window: Final = make_row_decoder(Window)
_HOLDS_NOTHING: Final = frozenset({WindowState.OPEN, WindowState.PROCESSING, WindowState.FAILED})


class WindowsResource:
    """Handlers of /settlementWindows and of what is below it."""

    def __init__(self, context: AdminContext, reader: SettlementReader) -> None:
        self._context = context
        self._reader = reader

    async def get_windows(self, request: Request) -> Response:
        """Answer with the windows that match all filters, newest first."""
        refuse_unknown(request, WINDOW_FILTERS)
        query = read_query(request, WINDOWS_QUERY, self._context.currencies)
        if not query:
            names = ", ".join(WINDOW_FILTERS)
            raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, f"Use at least one parameter: {names}"))
        found = [window for window in await self._reader.last_windows() if _matches(window, query)]
        if "participantId" in query:
            found = [window for window in found if await self._has(window, query["participantId"])]
        if not found:
            filters = json.dumps(dict(request.query), separators=(",", ":"))
            detail = f"settlementWindow by filters: {filters} not found"
            raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, detail))
        return json_response([whole_window_body(window) for window in found])

    async def get_window(self, request: Request) -> Response:
        return json_response(whole_window_body(await self._window(number_in_path(request, "id"))))

    async def get_nets(self, request: Request) -> Response:
        """Answer with what each party, or one participant, owes or is owed in a closed window. Not in the reference."""
        refuse_unknown(request, NetsQuery.__annotations__)
        query = read_query(request, NETS_QUERY)
        window = await self._window(number_in_path(request, "id"))
        nets = await find_nets(self._reader, window, query.get("participant"))
        return json_response({**window_body(window), "content": nets_body(window, nets)})

    async def post_window(self, request: Request) -> Response:
        """Close a window; the answer is the window that is open now."""
        window_id = number_in_path(request, "id")
        body = (await read_body(request, WINDOW_CLOSING)).fields
        command = CloseWindow(window=window_id, reason=body["reason"])
        result = await self._context.execute(self._context.hub_name, command, WindowResult)
        return json_response(window_body(_decode_window(bytes(result.window))))

    async def _window(self, window_id: int) -> Window:
        return await find_window(self._reader, window_id)

    async def _has(self, window: Window, participant_id: int) -> bool:
        """Return whether the participant has a transfer in the window; False while that is not known yet."""
        if window.state in _HOLDS_NOTHING:
            return False
        names = [one.name for one in self._context.participants.all() if one.participant_id == participant_id]
        if await self._reader.sums(window) is None:
            return False  # retention is about to remove it
        for content in window.contents if names else ():
            async with aclosing(self._reader.nets(window, content.netting_group, names[0])) as pages:
                async for _page in pages:
                    return True
        return False


async def find_window(reader: SettlementReader, window_id: int) -> Window:
    """Return the window of that number.

    Raises:
        ApiError: there is none.
    """
    found = await reader.windows([window_id])
    if not found:
        raise _unknown(window_id)
    return found[0]


async def find_nets(reader: SettlementReader, window: Window, participant: str | None = None) -> ContentNets:
    """Return the nets of a closed window, or those of one participant, in the order of the parties.

    Raises:
        ApiError: it has left the hub's table since it was found, or it has more nets than one answer is to hold.
    """
    sums = await reader.sums(window)
    if sums is None:
        raise _unknown(window.window_id)
    count = sum(one.entries for one in sums.values())
    if participant is None and count > NETS_SHOWN_MAX:
        detail = (
            f"Window {window.window_id} has {count} nets, and an answer at most {NETS_SHOWN_MAX}; "
            "name one participant (?participant=...), or read topic settlement-windows or the archive"
        )
        raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, detail))
    found: dict[NettingGroup, list[PartyNet]] = {}
    for netting_group in sums:
        async with aclosing(reader.nets(window, netting_group, participant)) as pages:
            found[netting_group] = [one async for page in pages for one in page]
    return found


def _unknown(window_id: int) -> ApiError:
    detail = f"No record for settlementWindowId: {window_id} found"
    return ApiError(Rejection(ErrorCode.INTERNAL_SERVER_ERROR, detail, http_status=400))


def _matches(window: Window, query: WindowsQuery) -> bool:
    return (
        query.get("state") in (None, window.state.value)
        and query.get("fromDateTime", 0) <= window.created_at_ms <= query.get("toDateTime", window.created_at_ms)
        and ("currency" not in query or any(one.netting_group.currency == query["currency"] for one in window.contents))
    )
