"""/parties and /participants: what a DFSP asks or says of a party, and the record that it becomes (protocol 6.3, 6.4).

Each handler is: headers, path, model, message, record, answer. The answer comes only after the broker has the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiohttp.web import Request, Response

from clearinghub.config import Settings
from clearinghub.domain.currencies import currencies_with
from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.parties.party import PartyId, identifier_rejection
from clearinghub.kafka.ports import Participants, Recorder
from clearinghub.messages import VERSION, encode
from clearinghub.messages.parties import PartyBatchMessage, PartyMessage
from web.fspiop.headers import HeaderRules, forwarded_headers, trace_of
from web.fspiop.parties_schemas import (
    PARTICIPANT_ANSWER,
    PARTICIPANT_BATCH,
    PARTICIPANT_BATCH_ANSWER,
    PARTICIPANT_ENTRY,
    PARTY_ANSWER,
    PARTY_ERROR,
    checked,
    checked_currency,
    checked_segment,
)
from web.fspiop.schemas import check_path_id
from web.fspiop.signatures import SignatureCheck
from web.http.errors import ApiError
from web.http.json_body import read_json_body

_TYPE_LENGTH_MAX: Final = 32
_UNKNOWN_SOURCE: Final = Rejection(ErrorCode.MALFORMED_SYNTAX, "invalid fspiop-source header")
_UNKNOWN_REQUESTER: Final = Rejection(ErrorCode.ID_NOT_FOUND, "Requester FSP not found")


class PartiesResource:
    """The handlers of one of the two resources; both have the same paths for a party."""

    def __init__(
        self,
        resource: str,
        settings: Settings,
        recorder: Recorder,
        participants: Participants,
        signatures: SignatureCheck,
    ) -> None:
        """`resource` is `parties` or `participants`."""
        self._resource = resource
        self._rules = HeaderRules(resource, settings, signatures)
        self._currencies = currencies_with(settings.currencies_extra)
        self._hub_name = settings.hub_name
        self._reference_shapes = settings.participants_reference_shapes
        self._recorder = recorder
        self._participants = participants

    async def get_party(self, request: Request) -> Response:
        """GET /parties/{Type}/{ID}: who is this, whoever has it?"""
        headers = await self._rules.read(request)
        line = self._line(request, headers)
        self._require_dfsp(line["source"], _UNKNOWN_SOURCE)
        return await self._record(line, 202)

    async def put_party(self, request: Request) -> Response:
        """PUT /parties/{Type}/{ID}: a DFSP describes its party to the one that has asked."""
        headers = await self._rules.read(request)
        line = self._line(request, headers)
        body = await read_json_body(request)
        checked(PARTY_ANSWER, body.parsed, self._currencies)
        return await self._record(line, 200, body.raw)

    async def put_error(self, request: Request) -> Response:
        """PUT .../error, of either resource: passed on to the DFSP that has asked."""
        headers = await self._rules.read(request)
        line = self._line(request, headers, is_error=True)
        body = await read_json_body(request)
        checked(PARTY_ERROR, body.parsed, self._currencies)
        return await self._record(line, 200, body.raw)

    async def get_participant(self, request: Request) -> Response:
        """GET /participants/{Type}/{ID}: which FSP has the party?

        What is no identifier is refused here: the reference says nothing more of it (protocol 6.2).
        """
        headers = await self._rules.read(request)
        line = self._line(request, headers)
        line["currency"] = checked_currency(request.query.get("currency"), self._currencies)
        fault = identifier_rejection(PartyId(line["id_type"], line["identifier"], line["sub_id"]))
        if fault is not None:
            raise ApiError(fault)
        return await self._record(line, 202)

    async def post_participant(self, request: Request) -> Response:
        """POST /participants/{Type}/{ID}: a DFSP registers its party."""
        headers = await self._rules.read(request)
        line = self._line(request, headers)
        body = await read_json_body(request)
        entry = checked(PARTICIPANT_ENTRY, body.parsed, self._currencies)
        # The reference judges the source of a request with a sub-id later, where nobody can be told (protocol 13.37).
        if not (self._reference_shapes and line["sub_id"] is not None):
            self._require_dfsp(line["source"], _UNKNOWN_REQUESTER)
        line["fsp"], line["currency"] = entry["fspId"], entry.get("currency")
        return await self._record(line, 202)

    async def put_participant(self, request: Request) -> Response:
        """PUT /participants/{Type}/{ID}: an answer to another DFSP, which goes on, or else an update of an entry."""
        headers = await self._rules.read(request)
        line = self._line(request, headers)
        body = await read_json_body(request)
        answer = checked(PARTICIPANT_ANSWER, body.parsed, self._currencies)
        line["fsp"], line["currency"] = answer.get("fspId"), answer.get("currency")
        return await self._record(line, 200, body.raw)

    async def delete_participant(self, request: Request) -> Response:
        """DELETE /participants/{Type}/{ID}: a DFSP takes its party back, in one currency or in all."""
        headers = await self._rules.read(request)
        line = self._line(request, headers)
        line["currency"] = checked_currency(request.query.get("currency"), self._currencies)
        return await self._record(line, 202)

    async def post_batch(self, request: Request) -> Response:
        """POST /participants: a DFSP registers many parties; the answer is one callback."""
        headers = await self._rules.read(request)
        body = await read_json_body(request)
        batch = checked(PARTICIPANT_BATCH, body.parsed, self._currencies)
        items: list[list[str | None]] = [
            [one["partyIdType"], one["partyIdentifier"], one.get("partySubIdOrType"), one.get("fspId")]
            for one in batch["partyList"]
        ]
        line: PartyBatchMessage = {
            "v": VERSION,
            "kind": "party-batch",
            "id": batch["requestId"],
            "source": headers["fspiop-source"],
            "currency": batch.get("currency"),
            "items": items,
            "headers": forwarded_headers(headers),
            "trace": trace_of(headers),
        }
        await self._recorder.record("party", line["id"], encode(line))
        return Response(status=200 if self._reference_shapes else 202)

    async def put_batch(self, request: Request) -> Response:
        """PUT /participants/{ID}: the answer to a batch. The hub sends no batch, so there is nothing more to do."""
        await self._read_batch_answer(request, PARTICIPANT_BATCH_ANSWER)
        return Response(status=200)

    async def put_batch_error(self, request: Request) -> Response:
        """PUT /participants/{ID}/error, as above."""
        await self._read_batch_answer(request, PARTY_ERROR)
        return Response(status=200)

    async def _read_batch_answer(self, request: Request, adapter: Any) -> None:
        await self._rules.read(request)
        check_path_id(request.match_info["ID"])
        if self._reference_shapes:
            raise ApiError(Rejection(ErrorCode.NOT_IMPLEMENTED))
        body = await read_json_body(request)
        checked(adapter, body.parsed, self._currencies)

    def _line(self, request: Request, headers: Mapping[str, str], *, is_error: bool = False) -> PartyMessage:
        """What all requests about one party have in common."""
        path = request.rel_url.raw_path.removesuffix("/error") if is_error else request.rel_url.raw_path
        sub_id = request.match_info.get("SubId") or None
        return {
            "v": VERSION,
            "kind": "party",
            "resource": self._resource,
            "method": request.method,
            "is_error": is_error,
            "path": path.rstrip("/"),
            "source": headers["fspiop-source"],
            "destination": headers.get("fspiop-destination") or None,
            "id_type": checked_segment("Type", request.match_info["Type"], _TYPE_LENGTH_MAX),
            "identifier": checked_segment("ID", request.match_info["ID"], pattern=True),
            "sub_id": None if sub_id is None else checked_segment("SubId", sub_id),
            "currency": None,
            "fsp": None,
            "headers": forwarded_headers(headers),
            "trace": trace_of(headers),
        }

    def _require_dfsp(self, name: str, rejection: Rejection) -> None:
        if name == self._hub_name or self._participants.get(name) is None:
            raise ApiError(rejection)

    async def _record(self, line: PartyMessage, status: int, body: bytes = b"") -> Response:
        key = PartyId(line["id_type"], line["identifier"]).key
        await self._recorder.record("party", key, encode(line, body))
        return Response(status=status)
