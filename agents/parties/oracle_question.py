"""Questions to external oracles as records: what is asked, and what comes back with the answer (protocol 6.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from clearinghub.domain.participants.participant import Oracle
from clearinghub.engine.record import View
from clearinghub.messages import VERSION, encode
from clearinghub.messages.parties import OracleMessage


def ask_oracle(view: View, oracle: Oracle, step: str, method: str, asked: Mapping[str, Any]) -> None:
    """Ask about one party; the answer comes back on topic `party` as that step, with `asked`, a PartyMessage.

    A sub-id never stands in the path; a currency or sub-id is in the query of a GET, and in the body of all else.
    """
    id_type, identifier = asked["id_type"], asked["identifier"]
    path = f"/participants/{quote(id_type, safe='')}/{quote(identifier, safe='')}"
    fields = {"fspId": asked["fsp"], "currency": asked["currency"], "partySubIdOrType": asked["sub_id"]}
    given = {name: value for name, value in fields.items() if value is not None}
    if method == "GET":
        given.pop("fspId", None)
        query = urlencode(given)
        path, body = (f"{path}?{query}" if query else path), b""
    else:
        body = orjson.dumps(given) if given else b""
    _emit(view, oracle, step, method, path, body, f"{id_type}/{identifier}", asked)


def ask_oracle_for_batch(
    view: View, oracle: Oracle, step: str, request: Mapping[str, Any], reply_key: str, asked: Mapping[str, Any]
) -> None:
    """Ask for many registrations at once; `request` is the body."""
    _emit(view, oracle, step, "POST", "/participants", orjson.dumps(request), reply_key, asked)


def _emit(
    view: View, oracle: Oracle, step: str, method: str, path: str, body: bytes, reply_key: str, asked: Mapping[str, Any]
) -> None:
    line: OracleMessage = {
        "v": VERSION,
        "kind": "oracle",
        "oracle": oracle.oracle_id,
        "step": step,
        "method": method,
        "url": oracle.url.rstrip("/") + path,
        "headers": asked["headers"],
        "reply_key": reply_key,
        "asked": dict(asked),
    }
    view.emit_to_partition("oracle", view.partition, reply_key, encode(line, body))
