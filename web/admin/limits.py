"""Limits and positions of participants (protocol 4.3, 5.1)."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp.web import Request, Response

from clearinghub.domain.participants.position import Position
from clearinghub.domain.participants.scheme import POSITION
from clearinghub.messages.commands import AdjustLimit, SetInitialLimit
from web.admin.context import AdminContext, json_response
from web.admin.responses import limit_body, number, position_body
from web.admin.schemas import (
    INITIAL_LIMIT,
    LIMIT,
    LIMITS_QUERY,
    NET_DEBIT_CAP,
    POSITIONS_QUERY,
    LimitsQuery,
    name_in_path,
    read_body,
    read_query,
)


class LimitsResource:
    """Handlers of /participants/limits and of limits and positions below /participants/{name}."""

    def __init__(self, context: AdminContext) -> None:
        self._context = context

    async def post_initial_limit(self, request: Request) -> Response:
        """Set a cap and a position for the first time, which activates the currency's accounts."""
        name = name_in_path(request)
        body = (await read_body(request, INITIAL_LIMIT, self._context.currencies)).fields
        command = SetInitialLimit(
            currency=body["currency"],
            net_debit_cap=body["limit"]["value"],
            initial_position=body.get("initialPosition", 0),
        )
        await self._context.change(name, command)
        return Response(status=201)

    async def put_limits(self, request: Request) -> Response:
        name = name_in_path(request)
        body = (await read_body(request, LIMIT, self._context.currencies)).fields
        limit = body["limit"]
        command = AdjustLimit(
            currency=body["currency"], net_debit_cap=limit["value"], alarm_percent=limit["alarmPercentage"]
        )
        await self._context.change(name, command)
        return json_response({"currency": body["currency"], "limit": {**limit, "value": number(limit["value"])}})

    async def get_limits(self, request: Request) -> Response:
        name = name_in_path(request)
        query = read_query(request, LIMITS_QUERY, self._context.currencies)
        self._context.find(name)
        return json_response([limit_body(one) for one in _capped(await self._context.positions(name), query)])

    async def get_limits_of_all(self, request: Request) -> Response:
        query = read_query(request, LIMITS_QUERY, self._context.currencies)
        limits = [
            {"name": participant.name, **limit_body(one)}
            for participant, positions in await self._context.positions_of_all()
            for one in _capped(positions, query)
        ]
        return json_response(limits)

    async def get_positions(self, request: Request) -> Response:
        """Answer with the positions of a participant, without inactive accounts.

        With a currency in the query, the answer is that position alone, or an empty object.
        """
        name = name_in_path(request)
        currency = read_query(request, POSITIONS_QUERY, self._context.currencies).get("currency")
        participant = self._context.find(name)
        positions = await self._context.positions(name) if participant.active else []
        shown = [
            position_body(one)
            for one in positions
            if one.account_type == POSITION and one.active and currency in (None, one.currency)
        ]
        if currency is None:
            return json_response(shown)
        return json_response(shown[0] if shown else {})


def _capped(positions: Iterable[Position], query: LimitsQuery) -> list[Position]:
    """Return the POSITION accounts that have a cap, of the currency and limit type in the query."""
    if query.get("type", NET_DEBIT_CAP) != NET_DEBIT_CAP:
        return []
    return [
        one
        for one in positions
        if one.account_type == POSITION
        and one.net_debit_cap is not None
        and query.get("currency", one.currency) == one.currency
    ]
