"""Ask external oracles: the records of topic `oracle`, which the callbacks role sends over HTTP (protocol 6.2)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

import orjson

from clearinghub.domain.participants.participant import Oracle
from clearinghub.engine.record import View
from clearinghub.messages import encode
from clearinghub.messages.parties import OracleBatchPart, OracleMessage, OracleStep, PartyMessage, PartyMethod


def ask_oracle(view: View, oracle: Oracle, step: OracleStep, method: PartyMethod, request: PartyMessage) -> None:
    """Emit a question about one party; the answer comes back on topic `party` with the same step and request.

    The path never contains the sub-id. The currency and the sub-id are in the query of a GET, and in the body of all
    other methods.
    """
    party = request.party
    path = f"/participants/{quote(party.id_type, safe='')}/{quote(party.identifier, safe='')}"
    fields = {"fspId": request.fsp, "currency": request.currency, "partySubIdOrType": party.sub_id}
    present = {name: value for name, value in fields.items() if value is not None}
    if method == "GET":
        present.pop("fspId", None)
        query = urlencode(present)
        path, body = (f"{path}?{query}" if query else path), b""
    else:
        body = orjson.dumps(present) if present else b""
    message = OracleMessage(
        oracle=oracle.oracle_id,
        step=step,
        method=method,
        url=oracle.url.rstrip("/") + path,
        headers=request.headers,
        reply_key=party.key,
        request=request,
        trace=request.trace,
    )
    view.emit_to_partition("oracle", view.partition, message.reply_key, encode(message, body))


def ask_oracle_for_batch(
    view: View,
    oracle: Oracle,
    part: OracleBatchPart,
    content: Mapping[str, object],
    headers: dict[str, str],
    reply_key: str,
) -> None:
    """Emit a question that registers many parties at once; `content` is its HTTP body."""
    message = OracleMessage(
        oracle=oracle.oracle_id,
        step=OracleStep.BATCH,
        method="POST",
        url=oracle.url.rstrip("/") + "/participants",
        headers=headers,
        reply_key=reply_key,
        request=part,
        trace=part.trace,
    )
    view.emit_to_partition("oracle", view.partition, reply_key, encode(message, orjson.dumps(content)))
