"""Bulk transfers in a simulated DFSP: the message of a payer, and how a payee answers it line by line (protocol 8)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from aiohttp import ClientError

from clearinghub.domain.money import format_amount
from sandbox.behaviour import EXTENSION_KEY, REJECTION_CODE, REJECTION_TEXT, Behaviour, chosen_behaviour
from sandbox.callback import Callback
from sandbox.fspiop_client import FspiopClient
from sandbox.payee import WRONG_FULFILMENT
from sandbox.wire import TransferOrder, new_transfer_id, timestamp

log = structlog.get_logger()


def bulk_body(bulk_id: str, orders: Sequence[TransferOrder], bulk_quote_id: str | None = None) -> bytes:
    """The body of POST /bulkTransfers with these transfers as its lines; all are between the same two DFSPs.

    `bulk_quote_id` is the bulk quote that they were agreed on with; a fresh id if they were not.
    """
    first = orders[0]
    lines = [
        {
            "transferId": order.transfer_id,
            "transferAmount": {"currency": order.currency, "amount": format_amount(order.amount_units)},
            "ilpPacket": order.terms.ilp_packet,
            "condition": order.terms.condition,
            "extensionList": {"extension": [{"key": EXTENSION_KEY, "value": order.behaviour.value}]},
        }
        for order in orders
    ]
    body = {
        "bulkTransferId": bulk_id,
        "bulkQuoteId": bulk_quote_id or new_transfer_id(),
        "payerFsp": first.payer,
        "payeeFsp": first.payee,
        "individualTransfers": lines,
        "expiration": first.expiration,
    }
    return json.dumps(body, separators=(",", ":")).encode()


def fulfil_bulk_body(results: Sequence[dict[str, Any]]) -> bytes:
    """The body of PUT /bulkTransfers/{id}."""
    body = {
        "bulkTransferState": "COMPLETED",
        "completedTimestamp": timestamp(),
        "individualTransferResults": list(results),
    }
    return json.dumps(body, separators=(",", ":")).encode()


async def answer_bulk(
    client: FspiopClient, prepare: Callback, always: Behaviour | None, fulfilment_of: Callable[[str], str]
) -> None:
    """Answer to the hub, as DFSPs do: each line as `always` says, or else as the line itself asks.

    A bulk that asks to be rejected as a whole gets PUT /error; lines to be silent about are left out. A hub that gives
    no answer is logged, not raised: nobody waits for this.
    """
    bulk_id, hub = prepare.transfer_id, prepare.source
    try:
        if chosen_behaviour(prepare.content) is Behaviour.REJECT:
            await client.put_bulk_error(bulk_id, hub, REJECTION_CODE, REJECTION_TEXT)
            return
        results = [
            _result(line, always or chosen_behaviour(line), fulfilment_of)
            for line in prepare.content.get("individualTransfers", ())
        ]
        answered = [result for result in results if result is not None]
        if answered:
            await client.put_bulk(bulk_id, hub, fulfil_bulk_body(answered))
    except (ClientError, TimeoutError) as error:
        log.warning("bulk-answer-not-taken", bulk_id=bulk_id, error=repr(error))


def _result(line: dict[str, Any], behaviour: Behaviour, fulfilment_of: Callable[[str], str]) -> dict[str, Any] | None:
    result = {"transferId": line["transferId"]}
    match behaviour:
        case Behaviour.SILENT:
            return None
        case Behaviour.REJECT:
            error = {"errorCode": REJECTION_CODE, "errorDescription": REJECTION_TEXT}
            return result | {"errorInformation": error}
        case Behaviour.WRONG_FULFILMENT:
            return result | {"fulfilment": WRONG_FULFILMENT}
    return result | {"fulfilment": fulfilment_of(line["ilpPacket"])}
