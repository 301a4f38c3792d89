"""/approvals: commands that wait for a second operator. Not in the reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import msgspec
from aiohttp.web import Request, Response
from pydantic import TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic takes typing's only from Python 3.12 on

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.participant import Approval
from clearinghub.domain.time import timestamp_text
from clearinghub.messages.commands import DecideApproval, DecisionResult
from clearinghub.security.roles import Permission
from web.admin.access import may, require_permission
from web.admin.context import AdminContext, json_response
from web.admin.schema_types import NO_OTHER_KEYS
from web.admin.schemas import Reason, read_body
from web.http.errors import ApiError

_OF_OPERATORS: Final = frozenset({"set-operator", "remove-operator"})
# Who may approve a command may also ask for it. What is not here is approved by who manages the scheme.
_PERMISSIONS: Final[Mapping[str, Permission]] = {
    "record-funds-in": Permission.MOVE_FUNDS,
    **dict.fromkeys(_OF_OPERATORS, Permission.MANAGE_OPERATORS),
}
_UNKNOWN: Final = Rejection(ErrorCode.ID_NOT_FOUND, "Approval does not exist")


@with_config(NO_OTHER_KEYS)
class Decision(TypedDict):
    """The body of PUT /approvals/{id}."""

    decision: Literal["approve", "reject"]
    reason: Reason


DECISION: Final[TypeAdapter[Decision]] = TypeAdapter(Decision)


class ApprovalsResource:
    """Handlers of /approvals and of what is below it."""

    def __init__(self, context: AdminContext) -> None:
        self._context = context

    async def get_approvals(self, _request: Request) -> Response:
        """Answer with all commands that wait, the oldest first; those about operators for whom they are readable."""
        shown = [
            _body(participant, one)
            for participant, one in self._all()
            if _name_of(one) not in _OF_OPERATORS or may(Permission.READ_OPERATORS)
        ]
        return json_response(sorted(shown, key=lambda one: str(one["createdDate"])))

    async def put_approval(self, request: Request) -> Response:
        """Run a command that waits, or drop it."""
        found = next((one for one in self._all() if one[1].approval_id == request.match_info["id"]), None)
        if found is None:
            raise ApiError(_UNKNOWN)
        participant, approval = found
        require_permission(request, _PERMISSIONS.get(_name_of(approval), Permission.MANAGE_SCHEME))
        body = (await read_body(request, DECISION)).fields
        command = DecideApproval(
            approval=approval.approval_id, approves=body["decision"] == "approve", reason=body["reason"]
        )
        result = await self._context.execute(participant, command, DecisionResult)
        await self._context.participants.reach(participant, result.version)
        return Response(status=200)

    def _all(self) -> Iterator[tuple[str, Approval]]:
        for participant in self._context.participants.all():
            for approval in participant.approvals:
                yield participant.name, approval


def _name_of(approval: Approval) -> str:
    return str(msgspec.json.decode(approval.command)["name"])


def _body(participant: str, approval: Approval) -> dict[str, Any]:
    arguments = msgspec.json.decode(approval.command)
    return {
        "id": approval.approval_id,
        "participant": participant,
        "command": arguments.pop("name"),
        "arguments": arguments,
        "by": approval.by,
        "createdDate": timestamp_text(approval.at_ms),
        "validUntil": timestamp_text(approval.until_ms),
    }
