"""The payee in a simulated DFSP: how a forwarded transfer is answered."""

from __future__ import annotations

from typing import Final

import structlog
from aiohttp import ClientError

from sandbox.behaviour import REJECTION_CODE, REJECTION_TEXT, Behaviour
from sandbox.callback import Callback
from sandbox.fspiop_client import FspiopClient
from sandbox.ilp import encode_base64url

WRONG_FULFILMENT: Final = encode_base64url(b"no transfer's condition fits it.")

log = structlog.get_logger()


async def answer_transfer(client: FspiopClient, prepare: Callback, behaviour: Behaviour, fulfilment: str) -> None:
    """Send what `behaviour` says. A hub that gives no answer is logged, not raised: nobody waits for this."""
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
        log.warning("fulfil-not-taken", transfer_id=transfer_id, error=repr(error))
