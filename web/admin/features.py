"""/features: the scheme's feature level, which processes run in which release, and raising the level (ADR 26)."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

from aiohttp.web import Request, Response
from pydantic import PlainValidator, TypeAdapter, WithJsonSchema, with_config
from typing_extensions import TypedDict  # pydantic takes typing's only from Python 3.12 on

from clearinghub import __version__
from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.participant import Participant
from clearinghub.domain.time import timestamp_text
from clearinghub.features import FEATURE_LEVELS, FIRST_LEVEL
from clearinghub.messages.commands import RaiseFeatureLevel
from clearinghub.ports import Processes
from web.admin.context import AdminContext, json_response
from web.admin.schema_errors import refused
from web.admin.schema_types import NO_OTHER_KEYS
from web.admin.schemas import Reason, read_body
from web.http.errors import ApiError


def _level(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not FIRST_LEVEL <= value <= LEVEL_MAX:
        raise refused(ErrorCode.VALIDATION_ERROR, f"must be a number from {FIRST_LEVEL} to {LEVEL_MAX}")
    return value


LEVEL_MAX: Final = 1_000
Level: TypeAlias = Annotated[
    int,
    PlainValidator(_level),
    WithJsonSchema({"type": "integer", "minimum": FIRST_LEVEL, "maximum": LEVEL_MAX}),
]


@with_config(NO_OTHER_KEYS)
class NewLevel(TypedDict):
    """The body of PUT /features."""

    level: Level
    reason: Reason


NEW_LEVEL: Final[TypeAdapter[NewLevel]] = TypeAdapter(NewLevel)


class FeaturesResource:
    """Answers GET and PUT of /features."""

    def __init__(self, context: AdminContext, processes: Processes) -> None:
        self._context = context
        self._processes = processes

    async def get_features(self, _request: Request) -> Response:
        """Answer with the scheme's level, the levels that this release knows, and the processes that run."""
        return json_response(self._body(self._context.hub))

    async def put_features(self, request: Request) -> Response:
        """Raise the level, unless a process that runs does not know it."""
        body = (await read_body(request, NEW_LEVEL)).fields
        level = body["level"]
        older = [
            f"{one.role} {one.instance} in release {one.release}"
            for one in self._processes.running()
            if one.highest_level < level
        ]
        if older:
            fault = f"level {level} is not known to {len(older)} process(es), such as {older[0]}"
            raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, fault))
        command = RaiseFeatureLevel(level=level, reason=body["reason"])
        return json_response(self._body(await self._context.change(self._context.hub_name, command)))

    def _body(self, hub: Participant | None) -> dict[str, Any]:
        return {
            "level": FIRST_LEVEL if hub is None else hub.feature_level,
            "release": __version__,
            "levels": [{"level": one.level, "release": one.release, "adds": one.adds} for one in FEATURE_LEVELS],
            "raised": [
                {"level": one.level, "at": timestamp_text(one.at_ms), "reason": one.reason}
                for one in (() if hub is None else hub.feature_raises)
            ],
            "processes": [
                {
                    "role": one.role,
                    "instance": one.instance,
                    "release": one.release,
                    "highestLevel": one.highest_level,
                }
                for one in self._processes.running()
            ],
        }
