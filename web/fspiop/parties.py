"""Routes of /parties and /participants, and the records that the requests become (protocol 6.3, 6.4).

Each handler checks headers, path and body, records a message, and answers when the broker has the record.
"""

from __future__ import annotations

from typing import Any, Final, Literal, cast

from aiohttp.web import Request, Response
from msgspec.structs import replace

from clearinghub.config import Settings
from clearinghub.domain.currencies import currencies_with
from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.parties.party import BatchItem, PartyId, identifier_rejection
from clearinghub.messages import encode
from clearinghub.messages.headers import trace_of
from clearinghub.messages.parties import PartyBatchMessage, PartyMessage, PartyMethod
from clearinghub.ports import Participants, Recorder
from web.fspiop.headers import SOURCE_UNKNOWN, HeaderRules
from web.fspiop.parties_schemas import (
    PARTICIPANT_ANSWER,
    PARTICIPANT_BATCH,
    PARTICIPANT_BATCH_ANSWER,
    PARTICIPANT_ENTRY,
    PARTY_ANSWER,
    PARTY_ERROR,
    checked_currency,
    checked_segment,
)
from web.fspiop.schemas import check_path_id, checked
from web.fspiop.signatures import SignatureCheck
from web.fspiop.sources import Sources
from web.http.errors import ApiError
from web.http.json_body import read_json_body

_TYPE_LENGTH_MAX: Final = 32
_UNKNOWN_REQUESTER: Final = Rejection(ErrorCode.ID_NOT_FOUND, "Requester FSP not found")


class PartiesResource:
    """The handlers of one of the two resources, which have the same paths for a party."""

    def __init__(
        self,
        resource: Literal["parties", "participants"],
        settings: Settings,
        recorder: Recorder,
        participants: Participants,
        signatures: SignatureCheck,
        sources: Sources,
    ) -> None:
        self._resource = resource
        self._unknown_source = SOURCE_UNKNOWN if resource == "parties" else _UNKNOWN_REQUESTER
        self._rules = HeaderRules(resource, settings, signatures, sources, source_unknown=self._unknown_source)
        self._currencies = currencies_with(settings.currencies_extra)
        self._hub_name = settings.hub_name
        self._reference_shapes = settings.participants_reference_shapes
        self._recorder = recorder
        self._participants = participants

    async def get_party(self, request: Request) -> Response:
        """GET /parties/{Type}/{ID}: look up a party, at whichever DFSP has it."""
        headers = await self._rules.read(request)
        message = self._message(request, headers)
        self._require_dfsp(message.source, SOURCE_UNKNOWN)
        return await self._record(message, 202)

    async def put_party(self, request: Request) -> Response:
        """PUT /parties/{Type}/{ID}: a DFSP describes its party to the DFSP that looks it up."""
        headers = await self._rules.read(request)
        message = self._message(request, headers)
        body = await read_json_body(request)
        checked(PARTY_ANSWER, body.parsed, self._currencies)
        return await self._record(message, 200, body.raw)

    async def put_error(self, request: Request) -> Response:
        """PUT .../error of either resource: forwarded to the DFSP that has sent the request."""
        headers = await self._rules.read(request)
        message = self._message(request, headers, is_error=True)
        body = await read_json_body(request)
        checked(PARTY_ERROR, body.parsed, self._currencies)
        return await self._record(message, 200, body.raw)

    async def get_participant(self, request: Request) -> Response:
        """GET /participants/{Type}/{ID}: look up the FSP that has a party.

        An invalid identifier is refused here: the reference accepts it and sends no callback (protocol 6.2, HUB).
        """
        headers = await self._rules.read(request)
        message = self._message(request, headers)
        currency = checked_currency(request.query.get("currency"), self._currencies)
        rejection = identifier_rejection(message.party)
        if rejection is not None:
            raise ApiError(rejection)
        return await self._record(replace(message, currency=currency), 202)

    async def post_participant(self, request: Request) -> Response:
        """POST /participants/{Type}/{ID}: a DFSP registers its party."""
        try:
            headers = await self._rules.read(request)
        except ApiError as error:
            if error.rejection is self._unknown_source and self._accepts_strangers(request):
                return Response(status=202)
            raise
        message = self._message(request, headers)
        body = await read_json_body(request)
        entry = checked(PARTICIPANT_ENTRY, body.parsed, self._currencies)
        if not self._accepts_strangers(request):
            self._require_dfsp(message.source, _UNKNOWN_REQUESTER)
        return await self._record(replace(message, fsp=entry["fspId"], currency=entry.get("currency")), 202)

    def _accepts_strangers(self, request: Request) -> bool:
        """Return whether a registration by no participant is answered 202 too; nothing is recorded of it.

        The reference checks the source of a request with a sub-id too late to notify anybody (protocol 13.37).
        """
        return self._reference_shapes and bool(request.match_info.get("SubId"))

    async def put_participant(self, request: Request) -> Response:
        """PUT /participants/{Type}/{ID}: an answer for another DFSP, which is forwarded, or an update of an entry."""
        headers = await self._rules.read(request)
        message = self._message(request, headers)
        body = await read_json_body(request)
        answer = checked(PARTICIPANT_ANSWER, body.parsed, self._currencies)
        message = replace(message, fsp=answer.get("fspId"), currency=answer.get("currency"))
        return await self._record(message, 200, body.raw)

    async def delete_participant(self, request: Request) -> Response:
        """DELETE /participants/{Type}/{ID}: a DFSP removes its party, in one currency or in all."""
        headers = await self._rules.read(request)
        message = self._message(request, headers)
        currency = checked_currency(request.query.get("currency"), self._currencies)
        return await self._record(replace(message, currency=currency), 202)

    async def post_batch(self, request: Request) -> Response:
        """POST /participants: a DFSP registers many parties, which are answered in one callback."""
        headers = await self._rules.read(request)
        body = await read_json_body(request)
        batch = checked(PARTICIPANT_BATCH, body.parsed, self._currencies)
        items = tuple(
            BatchItem(
                PartyId(one["partyIdType"], one["partyIdentifier"], one.get("partySubIdOrType")), one.get("fspId")
            )
            for one in batch["partyList"]
        )
        message = PartyBatchMessage(
            id=batch["requestId"],
            source=headers["fspiop-source"],
            currency=batch.get("currency"),
            items=items,
            headers=headers,
            trace=trace_of(headers),
        )
        await self._recorder.record("party", message.id, encode(message))
        return Response(status=200 if self._reference_shapes else 202)

    async def put_batch(self, request: Request) -> Response:
        """PUT /participants/{ID}: an answer to a batch. It is only checked, for the hub sends no batches."""
        await self._read_batch_answer(request, PARTICIPANT_BATCH_ANSWER)
        return Response(status=200)

    async def put_batch_error(self, request: Request) -> Response:
        """PUT /participants/{ID}/error: an error answer to a batch, which is only checked, as in `put_batch`."""
        await self._read_batch_answer(request, PARTY_ERROR)
        return Response(status=200)

    async def _read_batch_answer(self, request: Request, adapter: Any) -> None:
        await self._rules.read(request)
        check_path_id(request.match_info["ID"])
        if self._reference_shapes:
            raise ApiError(Rejection(ErrorCode.NOT_IMPLEMENTED))
        body = await read_json_body(request)
        checked(adapter, body.parsed, self._currencies)

    def _message(self, request: Request, headers: dict[str, str], *, is_error: bool = False) -> PartyMessage:
        """Return the message of a request about one party, without what comes from its query or body."""
        path = request.rel_url.raw_path.removesuffix("/error") if is_error else request.rel_url.raw_path
        sub_id = request.match_info.get("SubId") or None
        party = PartyId(
            checked_segment("Type", request.match_info["Type"], _TYPE_LENGTH_MAX),
            checked_segment("ID", request.match_info["ID"], pattern=True),
            None if sub_id is None else checked_segment("SubId", sub_id),
        )
        return PartyMessage(
            resource=self._resource,
            method=cast("PartyMethod", request.method),
            is_error=is_error,
            path=path.rstrip("/"),
            source=headers["fspiop-source"],
            destination=headers.get("fspiop-destination") or None,
            party=party,
            headers=headers,
            trace=trace_of(headers),
        )

    def _require_dfsp(self, name: str, rejection: Rejection) -> None:
        if name == self._hub_name or self._participants.get(name) is None:
            raise ApiError(rejection)

    async def _record(self, message: PartyMessage, status: int, body: bytes = b"") -> Response:
        await self._recorder.record("party", message.party.key, encode(message, body))
        return Response(status=status)
