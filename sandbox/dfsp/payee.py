"""How a simulated payee's DFSP answers the transfers and bulks that the hub forwards to it (protocol 3.4, 8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import structlog
from aiohttp import ClientError

from sandbox.dfsp.behaviour import REJECTION_CODE, REJECTION_TEXT, Behaviour, chosen_behaviour
from sandbox.dfsp.fspiop_client import FspiopClient
from sandbox.dfsp.ilp import encode_base64url
from sandbox.dfsp.messages import Callback
from sandbox.dfsp.wire import fulfil_bulk_body

WRONG_FULFILMENT: Final = encode_base64url(b"no transfer's condition fits it.")

log = structlog.get_logger()


async def answer_transfer(client: FspiopClient, prepare: Callback, behaviour: Behaviour, fulfilment: str) -> None:
    """Send the fulfilment or the error that `behaviour` asks for.

    If the hub cannot be reached, that is logged and not raised: no caller waits for the answer.
    """
    transfer_id, payer = prepare.transfer_id, str(prepare.content.get("payerFsp"))
    try:
        match behaviour:
            case Behaviour.COMMIT:
                await client.put_fulfil(transfer_id, payer, fulfilment, "COMMITTED")
            case Behaviour.RESERVE:
                await client.put_fulfil(transfer_id, payer, fulfilment, "RESERVED")
            case Behaviour.WRONG_FULFILMENT:
                await client.put_fulfil(transfer_id, payer, WRONG_FULFILMENT, "COMMITTED")
            case Behaviour.REJECT:
                await client.put_error(transfer_id, payer, REJECTION_CODE, REJECTION_TEXT)
            case Behaviour.SILENT:
                return
    except (ClientError, TimeoutError) as error:
        log.warning("fulfil-not-accepted", transfer_id=transfer_id, error=repr(error))


async def answer_bulk(
    client: FspiopClient, prepare: Callback, always: Behaviour | None, fulfilment_of: Callable[[str], str]
) -> None:
    """Send the results of a bulk to the hub: each item as `always` says, or else as the item itself asks.

    A bulk that asks to be rejected as a whole is answered by PUT /error; SILENT items are left out of the results. If
    the hub cannot be reached, that is logged and not raised: no caller waits for the answer.
    """
    bulk_id, hub = prepare.transfer_id, prepare.source
    try:
        if chosen_behaviour(prepare.content) is Behaviour.REJECT:
            await client.put_bulk_error(bulk_id, hub, REJECTION_CODE, REJECTION_TEXT)
            return
        results = [
            _item_result(item, always or chosen_behaviour(item), fulfilment_of)
            for item in prepare.content.get("individualTransfers", ())
        ]
        answered = [result for result in results if result is not None]
        if answered:
            await client.put_bulk(bulk_id, hub, fulfil_bulk_body(answered))
    except (ClientError, TimeoutError) as error:
        log.warning("bulk-answer-not-accepted", bulk_id=bulk_id, error=repr(error))


def _item_result(
    item: dict[str, Any], behaviour: Behaviour, fulfilment_of: Callable[[str], str]
) -> dict[str, Any] | None:
    result = {"transferId": item["transferId"]}
    match behaviour:
        case Behaviour.SILENT:
            return None
        case Behaviour.REJECT:
            error = {"errorCode": REJECTION_CODE, "errorDescription": REJECTION_TEXT}
            return result | {"errorInformation": error}
        case Behaviour.WRONG_FULFILMENT:
            return result | {"fulfilment": WRONG_FULFILMENT}
    return result | {"fulfilment": fulfilment_of(item["ilpPacket"])}
