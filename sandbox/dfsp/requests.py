"""Bodies that a DFSP sends before a transfer: quotes, bulk quotes, requests to pay; with fresh ids (protocol 1.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from clearinghub.domain.money import format_amount
from sandbox.dfsp.parties import Party
from sandbox.dfsp.wire import LIFETIME_S, new_transfer_id, timestamp

INDIVIDUAL_FIELDS: Final = ("quoteId", "transactionId", "payee", "amountType", "amount", "transactionType")


@dataclass(frozen=True, slots=True)
class Purpose:
    """FSPIOP's TransactionType: the scenario and who began it. `refund_of` is the transaction that a refund returns."""

    scenario: str
    initiator: str = "PAYER"
    initiator_type: str = "CONSUMER"
    refund_of: str | None = None

    @property
    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = {
            "scenario": self.scenario,
            "initiator": self.initiator,
            "initiatorType": self.initiator_type,
        }
        if self.refund_of is not None:
            content["refundInfo"] = {"originalTransactionId": self.refund_of}
        return content


P2P: Final = Purpose("TRANSFER")


@dataclass(frozen=True, slots=True)
class PaymentIntent:
    """A payment that is to be made. `amount_type` is SEND or RECEIVE; the amount is in 1/10,000."""

    payer: Party
    payee: Party
    amount_units: int
    currency: str
    amount_type: str = "SEND"
    purpose: Purpose = P2P

    @property
    def money(self) -> dict[str, str]:
        """The amount as FSPIOP's type Money."""
        return {"currency": self.currency, "amount": format_amount(self.amount_units)}


def quote_request(
    intent: PaymentIntent, transaction_id: str | None = None, request_id: str | None = None
) -> dict[str, Any]:
    """Return the body of POST /quotes; both ids are needed after a payee's request to pay (protocol 7.3)."""
    request = {} if request_id is None else {"transactionRequestId": request_id}
    return {
        "quoteId": new_transfer_id(),
        "transactionId": transaction_id or new_transfer_id(),
        **request,
        "payee": intent.payee.described,
        "payer": intent.payer.described,
        "amountType": intent.amount_type,
        "amount": intent.money,
        "transactionType": intent.purpose.content,
        "expiration": timestamp(LIFETIME_S),
    }


def bulk_quote_request(intents: Sequence[PaymentIntent]) -> dict[str, Any]:
    """Return the body of POST /bulkQuotes; all payments are by one payer."""
    quotes = [quote_request(intent) for intent in intents]
    return {
        "bulkQuoteId": new_transfer_id(),
        "payer": intents[0].payer.described,
        "individualQuotes": [{name: quote[name] for name in INDIVIDUAL_FIELDS} for quote in quotes],
        "expiration": timestamp(LIFETIME_S),
    }


def transaction_request(intent: PaymentIntent) -> dict[str, Any]:
    """Return the body of POST /transactionRequests, with which a payee's DFSP requests a payment."""
    return {
        "transactionRequestId": new_transfer_id(),
        "payee": intent.payee.described,
        "payer": intent.payer.id_info,
        "amount": intent.money,
        "transactionType": intent.purpose.content,
        "authenticationType": "OTP",
        "expiration": timestamp(LIFETIME_S),
    }


def authorization_path(request_id: str, money: dict[str, str], retries_left: int) -> str:
    """Return path and query of GET /authorizations/{ID}: the payer's DFSP requests the OTP that its customer types."""
    query = {"authenticationType": "OTP", "retriesLeft": retries_left, **money}
    return f"/authorizations/{request_id}?{urlencode(query)}"
