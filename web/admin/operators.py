"""/operators: who steers the hub, in which roles, known by which key. Not in the reference."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

from aiohttp.web import Request, Response
from pydantic import Field, TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic takes typing's only from Python 3.12 on

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.participant import Operator, Participant
from clearinghub.domain.time import timestamp_text
from clearinghub.messages.commands import RemoveOperator, SetOperator
from clearinghub.security.operators import CERTIFICATE_CHARACTERS_MAX, OperatorCertificateError, operator_key
from clearinghub.security.roles import Role, roles_fault
from web.admin.context import AdminContext, json_response
from web.admin.schema_types import NO_OTHER_KEYS
from web.admin.schemas import name_in_path, read_body
from web.http.errors import ApiError

RoleName: TypeAlias = Annotated[str, Field(min_length=1, max_length=32)]


@with_config(NO_OTHER_KEYS)
class NewOperator(TypedDict):
    """The body of PUT /operators/{name}: the roles, and the certificate in PEM by whose key the operator is known."""

    roles: Annotated[list[RoleName], Field(min_length=1, max_length=len(Role))]
    certificate: Annotated[str, Field(min_length=1, max_length=CERTIFICATE_CHARACTERS_MAX)]


NEW_OPERATOR: Final[TypeAdapter[NewOperator]] = TypeAdapter(NewOperator)


class OperatorsResource:
    """Handlers of /operators and of what is below it."""

    def __init__(self, context: AdminContext) -> None:
        self._context = context

    async def get_operators(self, _request: Request) -> Response:
        """Answer with all operators that have been appointed, in the order of their names."""
        hub = self._context.hub
        return json_response(
            [_body(one) for one in sorted(() if hub is None else hub.operators, key=lambda one: one.name)]
        )

    async def put_operator(self, request: Request) -> Response:
        """Appoint an operator, or replace its roles and key."""
        name = name_in_path(request)
        body = (await read_body(request, NEW_OPERATOR)).fields
        fault = roles_fault(body["roles"])
        if fault is not None:
            raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, fault))
        try:
            key = operator_key(body["certificate"], name)
        except OperatorCertificateError as error:
            raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, f"certificate: {error}")) from error
        roles = tuple(sorted(set(body["roles"])))
        hub = await self._context.change(self._context.hub_name, SetOperator(operator=name, roles=roles, key=key))
        return json_response(_body(_of_name(hub, name)))

    async def delete_operator(self, request: Request) -> Response:
        """Remove an operator, whose next request is refused."""
        await self._context.change(self._context.hub_name, RemoveOperator(operator=name_in_path(request)))
        return Response(status=204)


def _of_name(hub: Participant, name: str) -> Operator:
    return next(one for one in hub.operators if one.name == name)


def _body(operator: Operator) -> dict[str, Any]:
    return {
        "name": operator.name,
        "roles": list(operator.roles),
        "key": operator.key,
        "changedDate": timestamp_text(operator.changed_at_ms),
        "changedBy": operator.changed_by,
    }
