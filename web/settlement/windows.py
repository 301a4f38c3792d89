"""Settlement windows: list, show and close them (protocol 9.1, 9.2)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from aiohttp.web import Request, Response

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.settlement.netting import ContentNets, NettingGroup
from clearinghub.domain.settlement.window import Window, WindowState
from clearinghub.messages.commands import CloseWindow, WindowResult
from clearinghub.ports import SettlementReader
from clearinghub.rows import make_row_decoder
from web.admin.context import AdminContext, json_response
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
        """Answer with what each party owes or is owed in a closed window. Not in the reference."""
        window = await self._window(number_in_path(request, "id"))
        nets = await find_nets(self._reader, window)
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
        nets = await self._reader.nets(window)
        contents = () if nets is None else nets.values()
        return any(one.account.participant_id == participant_id for content in contents for one in content.parties)


async def find_window(reader: SettlementReader, window_id: int) -> Window:
    """Return the window of that number.

    Raises:
        ApiError: there is none.
    """
    found = await reader.windows([window_id])
    if not found:
        raise _unknown(window_id)
    return found[0]


async def find_nets(reader: SettlementReader, window: Window) -> Mapping[NettingGroup, ContentNets]:
    """Return the nets of a closed window.

    Raises:
        ApiError: it has left the hub's table since it was found.
    """
    nets = await reader.nets(window)
    if nets is None:
        raise _unknown(window.window_id)
    return nets


def _unknown(window_id: int) -> ApiError:
    detail = f"No record for settlementWindowId: {window_id} found"
    return ApiError(Rejection(ErrorCode.INTERNAL_SERVER_ERROR, detail, http_status=400))


def _matches(window: Window, query: WindowsQuery) -> bool:
    return (
        query.get("state") in (None, window.state.value)
        and query.get("fromDateTime", 0) <= window.created_at_ms <= query.get("toDateTime", window.created_at_ms)
        and ("currency" not in query or any(one.netting_group.currency == query["currency"] for one in window.contents))
    )
