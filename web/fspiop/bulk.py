"""/bulkTransfers: what a DFSP may say of a bulk, and the record that it becomes (protocol 8).

As for /transfers, the answer comes only after the broker has the record. The record has the checked body alone: nothing
of a bulk is passed on untouched, for each side is told other lines.
"""

from __future__ import annotations

from typing import Any, Final

import orjson
from aiohttp.web import Request, Response

from clearinghub.config import Settings
from clearinghub.domain.currencies import currencies_with
from clearinghub.messages import VERSION, encode
from clearinghub.messages.bulk import BulkFulfilMessage, BulkGetMessage, BulkPrepareMessage
from clearinghub.ports import Recorder
from web.fspiop.bulk_schemas import (
    BulkTransferPrepare,
    IndividualTransfer,
    bulk_error,
    bulk_transfer_fulfil,
    bulk_transfer_prepare,
)
from web.fspiop.headers import HeaderRules, trace_of
from web.fspiop.schemas import check_path_id, date_time_ms, ledger_amount
from web.fspiop.signatures import SignatureCheck
from web.http.json_body import body_hash, read_json_body

PREPARE_TOPIC: Final = "bulk-prepare"
FULFIL_TOPIC: Final = "bulk-fulfil"


class BulkTransfersResource:
    """The handlers of /bulkTransfers."""

    def __init__(self, settings: Settings, recorder: Recorder, signatures: SignatureCheck) -> None:
        self._rules = HeaderRules("bulkTransfers", settings, signatures)
        self._currencies = currencies_with(settings.currencies_extra)
        self._recorder = recorder

    async def post_bulk(self, request: Request) -> Response:
        """POST /bulkTransfers: a payer's DFSP asks for up to 1,000 transfers to one payee's."""
        headers = await self._rules.read(request)
        body = await read_json_body(request)
        bulk = bulk_transfer_prepare(body.parsed, self._currencies)
        lines = bulk["individualTransfers"]
        line: BulkPrepareMessage = {
            "v": VERSION,
            "kind": "bulk-prepare",
            "id": bulk["bulkTransferId"],
            "source": headers["fspiop-source"],
            "destination": headers.get("fspiop-destination") or None,
            "payer": bulk["payerFsp"],
            "payee": bulk["payeeFsp"],
            "expires_at_ms": date_time_ms(bulk["expiration"]),
            "hash": body.hash,
            "amounts": [ledger_amount(one["transferAmount"]["amount"]) for one in lines],
            "hashes": [_line_hash(bulk, one) for one in lines],
            "trace": trace_of(headers),
        }
        await self._recorder.record(PREPARE_TOPIC, bulk["payerFsp"], encode(line, orjson.dumps(bulk)))
        return Response(status=202)

    async def put_bulk(self, request: Request) -> Response:
        """PUT /bulkTransfers/{ID}: a payee's DFSP says how the lines went. Its time is judged by the ledger."""
        headers = await self._rules.read(request)
        bulk_id = check_path_id(request.match_info["ID"])
        body = await read_json_body(request)
        bulk = bulk_transfer_fulfil(body.parsed)
        completed = bulk.get("completedTimestamp")
        is_judged = completed is not None and not headers.get("fspiop-proxy")
        line = _fulfil_line(bulk_id, "fulfil", headers, body.hash)
        line["completed"] = completed
        line["completed_ms"] = date_time_ms(completed) if completed is not None and is_judged else None
        await self._record_fulfil(line, orjson.dumps(bulk))
        return Response(status=200)

    async def put_bulk_error(self, request: Request) -> Response:
        """PUT /bulkTransfers/{ID}/error: a payee's DFSP gives the whole bulk up."""
        headers = await self._rules.read(request)
        bulk_id = check_path_id(request.match_info["ID"])
        body = await read_json_body(request)
        error = bulk_error(body.parsed)
        await self._record_fulfil(_fulfil_line(bulk_id, "abort", headers, body.hash), orjson.dumps(error))
        return Response(status=200)

    async def get_bulk(self, request: Request) -> Response:
        """GET /bulkTransfers/{ID}: a DFSP asks where a bulk stands; the answer is a callback."""
        headers = await self._rules.read(request)
        source = headers["fspiop-source"]
        line: BulkGetMessage = {
            "v": VERSION,
            "kind": "bulk-get",
            "id": check_path_id(request.match_info["ID"]),
            "source": source,
            "trace": trace_of(headers),
            "hops": 0,
        }
        await self._recorder.record(FULFIL_TOPIC, source, encode(line))
        return Response(status=202)

    async def _record_fulfil(self, line: BulkFulfilMessage, body: bytes) -> None:
        await self._recorder.record(FULFIL_TOPIC, line["destination"] or line["source"], encode(line, body))


def _line_hash(bulk: BulkTransferPrepare, line: IndividualTransfer) -> str:
    """The hash of the POST /transfers that the line would be, in the reference's order of keys (protocol 8.1)."""
    transfer: dict[str, Any] = {
        "transferId": line["transferId"],
        "payerFsp": bulk["payerFsp"],
        "payeeFsp": bulk["payeeFsp"],
        "amount": line["transferAmount"],
        "ilpPacket": line["ilpPacket"],
        "condition": line["condition"],
        "expiration": bulk["expiration"],
    }
    if "extensionList" in line:
        transfer["extensionList"] = line["extensionList"]
    return body_hash(transfer)


def _fulfil_line(bulk_id: str, action: str, headers: dict[str, str], message_hash: str) -> BulkFulfilMessage:
    """What both answers to a bulk have in common."""
    return {
        "v": VERSION,
        "kind": "bulk-fulfil",
        "id": bulk_id,
        "action": action,
        "source": headers["fspiop-source"],
        "destination": headers.get("fspiop-destination") or None,
        "completed": None,
        "completed_ms": None,
        "hash": message_hash,
        "trace": trace_of(headers),
        "hops": 0,
    }
