"""What the admin API's handlers share: the ports, commands and their effects, and lookups of participants."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

import orjson
import structlog
from aiohttp.web import Response

from clearinghub.config import Settings
from clearinghub.domain.currencies import currencies_with
from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.participant import Participant
from clearinghub.domain.participants.position import Position
from clearinghub.messages.commands import Command, ParticipantResult, Result, name_of
from clearinghub.ports import CommandClient, LedgerReader, Participants
from clearinghub.rows import make_row_decoder
from clearinghub.security.egress import Egress, egress_of
from web.admin.access import current_subject
from web.http.errors import CONTENT_TYPE, ApiError

QUERIES_MAX: Final = 16  # a listing of all participants asks the ledger for one after the other, so many at a time

_NOT_FOUND: Final = Rejection(ErrorCode.ID_NOT_FOUND, "Participant does not exist")

_decode_participant: Final = make_row_decoder(Participant)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AdminContext:
    """The ports of the admin API. The ports' errors pass through all methods to the error middleware."""

    settings: Settings
    commands: CommandClient
    participants: Participants
    ledger: LedgerReader
    currencies: frozenset[str] = field(init=False)
    egress: Egress = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "egress", egress_of(self.settings))
        object.__setattr__(self, "currencies", frozenset(currencies_with(self.settings.currencies_extra)))

    @property
    def hub_name(self) -> str:
        return self.settings.hub_name

    @property
    def hub(self) -> Participant | None:
        """The hub's row, or None before its first account."""
        return self.participants.get(self.hub_name)

    async def execute(self, participant: str, command: Command, result_type: type[Result]) -> Result:
        """Run a command, of whose request it is, on the partition of `participant` and return its result."""
        by = current_subject()
        result = await self.commands.execute(participant, command, result_type, by)
        _log.info("command-done", command=name_of(command), participant=participant, by=by)
        return result

    async def change(self, name: str, command: Command) -> Participant:
        """Run a command that changes the participant `name`; the next request to this process sees the change."""
        result = await self.execute(name, command, ParticipantResult)
        changed = _decode_participant(bytes(result.participant))
        await self.participants.reach(changed.name, changed.version)
        return changed

    def find(self, name: str) -> Participant:
        """Return the participant of that name.

        Raises:
            ApiError: there is none (3200).
        """
        participant = self.participants.get(name)
        if participant is None:
            raise ApiError(_NOT_FOUND)
        return participant

    def check_destination(self, url: str) -> None:
        """Refuse a URL to which the hub would never send anything.

        Raises:
            ApiError: with the reason (3100).
        """
        fault = self.egress.url_refusal(url)
        if fault is not None:
            raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, f"value is not accepted: {fault}"))

    async def positions(self, name: str) -> list[Position]:
        """Return a participant's accounts in their current state, in the order in which they were opened."""
        return sorted(await self.ledger.positions(name), key=lambda position: position.account_id)

    async def positions_of_all(self) -> list[tuple[Participant, list[Position]]]:
        """Return every participant with its accounts, in order of creation."""
        turns = asyncio.Semaphore(QUERIES_MAX)

        async def of(participant: Participant) -> tuple[Participant, list[Position]]:
            async with turns:
                return participant, await self.positions(participant.name)

        return await asyncio.gather(*(of(participant) for participant in self.participants.all()))


def json_response(content: object, status: int = 200) -> Response:
    return Response(status=status, body=orjson.dumps(content), headers={"Content-Type": CONTENT_TYPE})
