"""Participants and their endpoints (protocol 5.1)."""

from __future__ import annotations

from typing import Final

from aiohttp.web import Request, Response

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.endpoints import check_endpoint, is_url_type
from clearinghub.domain.participants.scheme import account_types_for
from clearinghub.messages.commands import RegisterParticipant, SetActive, SetEndpoint
from web.admin.context import AdminContext, json_response
from web.admin.responses import participant_body
from web.admin.schemas import (
    ACTIVITY,
    ENDPOINT,
    NEW_PARTICIPANT,
    PARTICIPANTS_QUERY,
    name_in_path,
    read_body,
    read_query,
)
from web.http.errors import ApiError

RESOURCE_NOT_FOUND: Final = Rejection(ErrorCode.ID_NOT_FOUND, "The requested resource could not be found.")
_HUB_IS_NO_DFSP: Final = Rejection(ErrorCode.CLIENT_ERROR, "The name is the hub's own")
_SAME_NAME: Final = Rejection(ErrorCode.CLIENT_ERROR, "The name differs from a participant's only in case")


class ParticipantsResource:
    """Handlers of /participants, /participants/{name} and /participants/{name}/endpoints."""

    def __init__(self, context: AdminContext) -> None:
        self._context = context

    async def get_participants(self, request: Request) -> Response:
        """Answer with all participants, or only with those that are proxies, or are none."""
        is_proxy = read_query(request, PARTICIPANTS_QUERY).get("isProxy")
        found = [one for one in self._context.participants.all() if is_proxy in (None, one.is_proxy)]
        return json_response([participant_body(one, request) for one in found])

    async def get_participant(self, request: Request) -> Response:
        participant = self._context.participants.get(name_in_path(request))
        if participant is None:
            raise ApiError(RESOURCE_NOT_FOUND)
        return json_response(participant_body(participant, request))

    async def post_participants(self, request: Request) -> Response:
        """Register a participant, or a further currency of one that exists."""
        body = (await read_body(request, NEW_PARTICIPANT, self._context.currencies)).fields
        self._check_name(body["name"])
        account_types = account_types_for(self._context.hub, body["currency"])
        if isinstance(account_types, Rejection):
            raise ApiError(account_types)
        command = RegisterParticipant(
            currency=body["currency"], account_types=account_types, is_proxy=body.get("isProxy", False)
        )
        participant = await self._context.change(body["name"], command)
        return json_response(participant_body(participant, request), status=201)

    async def put_participant(self, request: Request) -> Response:
        """Activate or deactivate a participant."""
        name = name_in_path(request)
        body = (await read_body(request, ACTIVITY)).fields
        participant = await self._context.change(name, SetActive(active=body["isActive"]))
        return json_response(participant_body(participant, request))

    async def get_endpoints(self, request: Request) -> Response:
        """Answer with all endpoints; with a type in the query, with that endpoint or an empty object."""
        endpoints = self._context.find(name_in_path(request)).endpoints
        endpoint_type = request.query.get("type")
        if endpoint_type:
            value = endpoints.get(endpoint_type)
            return json_response({} if value is None else {"type": endpoint_type, "value": value})
        return json_response([{"type": kind, "value": value} for kind, value in endpoints.items()])

    async def post_endpoints(self, request: Request) -> Response:
        """Set or replace the endpoint of one type."""
        name = name_in_path(request)
        body = (await read_body(request, ENDPOINT)).fields
        fault = check_endpoint(body["type"], body["value"])
        if fault is not None:
            raise ApiError(fault)
        if is_url_type(body["type"]):
            self._context.check_destination(body["value"])
        await self._context.change(name, SetEndpoint(endpoint_type=body["type"], value=body["value"]))
        return Response(status=201)

    def _check_name(self, name: str) -> None:
        """Refuse a name that differs from another only in case: fulfils are compared without case (protocol 3.4)."""
        if name.lower() == self._context.hub_name.lower():
            raise ApiError(_HUB_IS_NO_DFSP)
        if any(one.name != name and one.name.lower() == name.lower() for one in self._context.participants.all()):
            raise ApiError(_SAME_NAME)
