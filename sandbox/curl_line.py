"""A command that a person can paste into a shell to send one more transfer."""

from __future__ import annotations

import json
from typing import Final

from clearinghub.domain.money import format_amount
from sandbox.behaviour import EXTENSION_KEY, Behaviour
from sandbox.wire import ACCEPT, CONTENT_TYPE, Terms

# Ids and times must be fresh each time. uuidgen and `date -d` are not everywhere; Python is wherever this runs.
FRESH_ID: Final = "$(python3 -c 'import uuid; print(uuid.uuid4())')"
FRESH_DATE: Final = "$(LC_ALL=C date -u '+%a, %d %b %Y %H:%M:%S GMT')"
FRESH_EXPIRATION: Final = (
    "$(python3 -c 'import time; print(time.strftime(\"%Y-%m-%dT%H:%M:%S.000Z\", time.gmtime(time.time() + 30)))')"
)
ID_PLACE: Final = "@id@"
EXPIRATION_PLACE: Final = "@expiration@"


def curl_line(hub_url: str, payer: str, payee: str, amount_units: int, currency: str, terms: Terms) -> str:
    """One line for bash that sends a transfer; the same terms may be used again and again in a sandbox."""
    body = json.dumps(
        {
            "transferId": ID_PLACE,
            "payerFsp": payer,
            "payeeFsp": payee,
            "amount": {"currency": currency, "amount": format_amount(amount_units)},
            "expiration": EXPIRATION_PLACE,
            "extensionList": {"extension": [{"key": EXTENSION_KEY, "value": Behaviour.COMMIT.value}]},
            "condition": terms.condition,
            "ilpPacket": terms.ilp_packet,
        },
        separators=(",", ":"),
    )
    assert "'" not in body, "it goes between single quotes"
    # '...'"$(...)"'...': leave the single quotes, substitute, go back into them.
    body = body.replace(ID_PLACE, f"'\"{FRESH_ID}\"'").replace(EXPIRATION_PLACE, f"'\"{FRESH_EXPIRATION}\"'")
    return (
        f"curl -isS -X POST {hub_url}/transfers -H 'Accept: {ACCEPT}' -H 'Content-Type: {CONTENT_TYPE}'"
        f" -H \"Date: {FRESH_DATE}\" -H 'FSPIOP-Source: {payer}' -H 'FSPIOP-Destination: {payee}'"
        f" -d '{body}'"
    )
