"""/bulkTransfers: check what a DFSP sends and record it for the ledger (protocol 8).

As for /transfers, the answer is sent only after the broker has the record. The record's body is the checked one: the
hub forwards nothing of a bulk unchanged, for each DFSP sees other items.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import orjson
from aiohttp.web import Request, Response

from clearinghub.config import Settings
from clearinghub.domain.currencies import currencies_with
from clearinghub.messages import encode
from clearinghub.messages.bulk import BulkFulfilMessage, BulkGetMessage, BulkPrepareMessage
from clearinghub.messages.headers import trace_of
from clearinghub.ports import Recorder
from web.fspiop.bulk_schemas import (
    BulkTransferPrepare,
    IndividualTransfer,
    bulk_error,
    bulk_transfer_fulfil,
    bulk_transfer_prepare,
)
from web.fspiop.headers import HeaderRules
from web.fspiop.schemas import check_path_id, date_time_ms, expiration_ms, ledger_amount
from web.fspiop.signatures import SignatureCheck
from web.fspiop.sources import Sources
from web.http.json_body import body_hash, read_json_body

PREPARE_TOPIC: Final = "bulk-prepare"
FULFIL_TOPIC: Final = "bulk-fulfil"


class BulkTransfersResource:
    """Handles the requests of /bulkTransfers: one method for each path and HTTP method."""

    def __init__(
        self,
        settings: Settings,
        recorder: Recorder,
        now_ms: Callable[[], int],
        signatures: SignatureCheck,
        sources: Sources,
    ) -> None:
        self._rules = HeaderRules("bulkTransfers", settings, signatures, sources)
        self._currencies = currencies_with(settings.currencies_extra)
        self._expiration_ahead_s_max = settings.expiration_ahead_s_max
        self._recorder = recorder
        self._now_ms = now_ms

    async def post_bulk(self, request: Request) -> Response:
        """Handle POST /bulkTransfers: a payer's DFSP requests up to 1,000 transfers to one payee's DFSP."""
        headers = await self._rules.read(request)
        body = await read_json_body(request)
        bulk = bulk_transfer_prepare(body.parsed, self._currencies)
        items = bulk["individualTransfers"]
        message = BulkPrepareMessage(
            id=bulk["bulkTransferId"],
            source=headers["fspiop-source"],
            destination=headers.get("fspiop-destination") or None,
            payer=bulk["payerFsp"],
            payee=bulk["payeeFsp"],
            expires_at_ms=expiration_ms(bulk["expiration"], self._now_ms(), self._expiration_ahead_s_max),
            hash=body.hash,
            amounts=tuple(ledger_amount(item["transferAmount"]["amount"]) for item in items),
            hashes=tuple(_item_hash(bulk, item) for item in items),
            trace=trace_of(headers),
        )
        await self._recorder.record(PREPARE_TOPIC, bulk["payerFsp"], encode(message, orjson.dumps(bulk)))
        return Response(status=202)

    async def put_bulk(self, request: Request) -> Response:
        """Handle PUT /bulkTransfers/{ID}: a payee's DFSP answers items. The ledger checks completedTimestamp."""
        headers = await self._rules.read(request)
        bulk_id = check_path_id(request.match_info["ID"])
        body = await read_json_body(request)
        bulk = bulk_transfer_fulfil(body.parsed)
        completed = bulk.get("completedTimestamp")
        message = BulkFulfilMessage(
            id=bulk_id,
            action="fulfil",
            source=headers["fspiop-source"],
            destination=headers.get("fspiop-destination") or None,
            completed=completed,
            completed_ms=None if completed is None or headers.get("fspiop-proxy") else date_time_ms(completed),
            hash=body.hash,
            trace=trace_of(headers),
        )
        await self._record_fulfil(message, orjson.dumps(bulk))
        return Response(status=200)

    async def put_bulk_error(self, request: Request) -> Response:
        """Handle PUT /bulkTransfers/{ID}/error: a payee's DFSP aborts the whole bulk."""
        headers = await self._rules.read(request)
        bulk_id = check_path_id(request.match_info["ID"])
        body = await read_json_body(request)
        error = bulk_error(body.parsed)
        message = BulkFulfilMessage(
            id=bulk_id,
            action="abort",
            source=headers["fspiop-source"],
            destination=headers.get("fspiop-destination") or None,
            hash=body.hash,
            trace=trace_of(headers),
        )
        await self._record_fulfil(message, orjson.dumps(error))
        return Response(status=200)

    async def get_bulk(self, request: Request) -> Response:
        """Handle GET /bulkTransfers/{ID}: a DFSP requests a bulk's state, which is sent as a callback."""
        headers = await self._rules.read(request)
        source = headers["fspiop-source"]
        message = BulkGetMessage(id=check_path_id(request.match_info["ID"]), source=source, trace=trace_of(headers))
        await self._recorder.record(FULFIL_TOPIC, source, encode(message))
        return Response(status=202)

    async def _record_fulfil(self, message: BulkFulfilMessage, body: bytes) -> None:
        await self._recorder.record(FULFIL_TOPIC, message.destination or message.source, encode(message, body))


def _item_hash(bulk: BulkTransferPrepare, item: IndividualTransfer) -> str:
    """Return the hash of the item as a POST /transfers, in the reference's order of keys (protocol 8.1)."""
    transfer: dict[str, object] = {
        "transferId": item["transferId"],
        "payerFsp": bulk["payerFsp"],
        "payeeFsp": bulk["payeeFsp"],
        "amount": item["transferAmount"],
        "ilpPacket": item["ilpPacket"],
        "condition": item["condition"],
        "expiration": bulk["expiration"],
    }
    if "extensionList" in item:
        transfer["extensionList"] = item["extensionList"]
    return body_hash(transfer)
