"""/transfers: check what a DFSP sends and record it for the ledger (protocol 3.1).

Each handler checks the headers and the body, builds a message, has it recorded, and answers. The answer is sent only
after the broker has the record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from aiohttp.web import Request, Response

from clearinghub.config import Settings
from clearinghub.domain.currencies import currencies_with
from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.messages import encode
from clearinghub.messages.headers import trace_of
from clearinghub.messages.transfers import FulfilAction, FulfilMessage, GetMessage, PrepareMessage
from clearinghub.ports import Recorder
from web.fspiop.headers import HeaderRules
from web.fspiop.schemas import (
    check_path_id,
    date_time_ms,
    error_information,
    expiration_ms,
    ledger_amount,
    transfer_fulfil,
    transfer_prepare,
)
from web.fspiop.signatures import SignatureCheck
from web.fspiop.sources import Sources
from web.http.errors import ApiError
from web.http.json_body import read_json_body

# By transferState. Any other state is an attempt to commit, which the ledger accepts or not by its fulfilment.
_ACTIONS: Final[Mapping[str, FulfilAction]] = {"ABORTED": "reject", "RESERVED": "reserve"}
_IN_THE_FUTURE: Final = Rejection(
    ErrorCode.VALIDATION_ERROR, "completedTimestamp fails because future timestamp was provided"
)
_TOO_OLD: Final = Rejection(
    ErrorCode.VALIDATION_ERROR,
    "completedTimestamp fails because provided timestamp exceeded the maximum timeout duration",
)


class TransfersResource:
    """Handles the requests of /transfers: one method for each path and HTTP method."""

    def __init__(
        self,
        settings: Settings,
        recorder: Recorder,
        now_ms: Callable[[], int],
        signatures: SignatureCheck,
        sources: Sources,
    ) -> None:
        self._rules = HeaderRules("transfers", settings, signatures, sources)
        self._currencies = currencies_with(settings.currencies_extra)
        self._completed_ahead_ms_max = settings.completed_timestamp_ahead_ms_max
        self._completed_age_ms_max = settings.completed_timestamp_age_ms_max
        self._expiration_ahead_s_max = settings.expiration_ahead_s_max
        self._recorder = recorder
        self._now_ms = now_ms

    async def post_transfer(self, request: Request) -> Response:
        """Handle POST /transfers: a payer's DFSP requests a transfer."""
        headers = await self._rules.read(request)
        body = await read_json_body(request)
        transfer = transfer_prepare(body.parsed, self._currencies)
        payer = transfer["payerFsp"]
        message = PrepareMessage(
            id=transfer["transferId"],
            source=headers["fspiop-source"],
            payer=payer,
            payee=transfer["payeeFsp"],
            amount=ledger_amount(transfer["amount"]["amount"]),
            currency=transfer["amount"]["currency"],
            condition=transfer["condition"],
            expires_at_ms=expiration_ms(transfer["expiration"], self._now_ms(), self._expiration_ahead_s_max),
            hash=body.hash,
            extensions=transfer.get("extensionList"),
            headers=headers,
            trace=trace_of(headers),
        )
        await self._recorder.record("prepare", payer, encode(message, body.raw))
        return Response(status=202)

    async def put_transfer(self, request: Request) -> Response:
        """Handle PUT /transfers/{ID}: a payee's DFSP accepts or rejects a transfer."""
        headers = await self._rules.read(request)
        transfer_id = check_path_id(request.match_info["ID"])
        body = await read_json_body(request)
        transfer = transfer_fulfil(body.parsed)
        completed = transfer.get("completedTimestamp")
        if completed is not None and not headers.get("fspiop-proxy"):
            self._check_completed(date_time_ms(completed))
        message = FulfilMessage(
            id=transfer_id,
            action=_ACTIONS.get(transfer["transferState"], "commit"),
            source=headers["fspiop-source"],
            destination=headers.get("fspiop-destination") or None,
            fulfilment=transfer.get("fulfilment"),
            completed=completed,
            hash=body.hash,
            extensions=transfer.get("extensionList"),
            headers=headers,
            trace=trace_of(headers),
        )
        await self._record_fulfil(message, body.raw)
        return Response(status=200)

    async def put_transfer_error(self, request: Request) -> Response:
        """Handle PUT /transfers/{ID}/error: a payee's DFSP aborts a transfer."""
        headers = await self._rules.read(request)
        transfer_id = check_path_id(request.match_info["ID"])
        body = await read_json_body(request)
        error = error_information(body.parsed)
        message = FulfilMessage(
            id=transfer_id,
            action="abort",
            source=headers["fspiop-source"],
            destination=headers.get("fspiop-destination") or None,
            error_code=error["errorCode"],
            error_description=error["errorDescription"],
            hash=body.hash,
            extensions=error.get("extensionList"),
            headers=headers,
            trace=trace_of(headers),
        )
        await self._record_fulfil(message, body.raw)
        return Response(status=200)

    async def get_transfer(self, request: Request) -> Response:
        """Handle GET /transfers/{ID}: a DFSP requests a transfer's state, which is sent as a callback."""
        headers = await self._rules.read(request)
        source = headers["fspiop-source"]
        message = GetMessage(
            id=check_path_id(request.match_info["ID"]),
            source=source,
            trace=trace_of(headers),
        )
        await self._recorder.record("lookup", source, encode(message))
        return Response(status=202)

    async def patch_transfer(self, request: Request) -> Response:
        """Refuse PATCH /transfers/{ID}: only a hub sends it, to a DFSP (protocol 1.6)."""
        await self._rules.read(request)
        check_path_id(request.match_info["ID"])
        raise ApiError(Rejection(ErrorCode.NOT_IMPLEMENTED))

    def _check_completed(self, completed_ms: int) -> None:
        now_ms = self._now_ms()
        if completed_ms > now_ms + self._completed_ahead_ms_max:
            raise ApiError(_IN_THE_FUTURE)
        if completed_ms < now_ms - self._completed_age_ms_max:
            raise ApiError(_TOO_OLD)

    async def _record_fulfil(self, message: FulfilMessage, raw: bytes) -> None:
        await self._recorder.record("fulfil", message.destination or message.source, encode(message, raw))
