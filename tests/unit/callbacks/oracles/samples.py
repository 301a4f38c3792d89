"""Questions to oracles, made in one line."""

from __future__ import annotations

from clearinghub.callbacks.oracles.http_client import OracleQuestion
from clearinghub.domain.parties.party import PartyId
from clearinghub.messages import encode
from clearinghub.messages.parties import OracleMessage, OracleStep, PartyMessage, PartyMethod

REQUEST = PartyMessage(
    resource="parties",
    method="GET",
    is_error=False,
    path="/parties/MSISDN/1",
    source="a",
    destination=None,
    party=PartyId("MSISDN", "1"),
    headers={},
)


def question(
    oracle_id: int = 1,
    method: PartyMethod = "GET",
    url: str = "http://o/1",
    step: OracleStep = OracleStep.LOOKUP,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
) -> OracleQuestion:
    message = OracleMessage(
        oracle=oracle_id,
        step=step,
        method=method,
        url=url,
        headers=headers or {},
        reply_key="MSISDN/1",
        request=REQUEST,
    )
    return OracleQuestion.parse(encode(message, body))
