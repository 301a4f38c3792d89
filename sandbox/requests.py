"""What a DFSP writes before a transfer: quotes, bulk quotes, requests to pay (protocol 1.5, 1.6), with fresh ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from clearinghub.domain.money import format_amount
from sandbox.parties import Party
from sandbox.wire import LIFETIME_S, new_transfer_id, timestamp

INDIVIDUAL_FIELDS: Final = ("quoteId", "transactionId", "payee", "amountType", "amount", "transactionType")


@dataclass(frozen=True, slots=True)
class Purpose:
    """A TransactionType: what is paid for, and who began it. `refund_of` is the transaction that is given back."""

    scenario: str
    initiator: str = "PAYER"
    initiator_type: str = "CONSUMER"
    refund_of: str | None = None

    @property
    def content(self) -> dict[str, Any]:
        """As it is in a quote."""
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
class Wish:
    """What somebody wants to pay. `amount_type` is SEND or RECEIVE; the amount is of 1/10,000."""

    payer: Party
    payee: Party
    amount_units: int
    currency: str
    amount_type: str = "SEND"
    purpose: Purpose = P2P

    @property
    def money(self) -> dict[str, str]:
        """The amount as Money."""
        return {"currency": self.currency, "amount": format_amount(self.amount_units)}


def quote_request(wish: Wish, transaction_id: str | None = None, request_id: str | None = None) -> dict[str, Any]:
    """The body of POST /quotes; both ids are given where a payee has asked for the payment (protocol 7.3)."""
    asked_for = {} if request_id is None else {"transactionRequestId": request_id}
    return {
        "quoteId": new_transfer_id(),
        "transactionId": transaction_id or new_transfer_id(),
        **asked_for,
        "payee": wish.payee.described,
        "payer": wish.payer.described,
        "amountType": wish.amount_type,
        "amount": wish.money,
        "transactionType": wish.purpose.content,
        "expiration": timestamp(LIFETIME_S),
    }


def bulk_quote_request(wishes: Sequence[Wish]) -> dict[str, Any]:
    """The body of POST /bulkQuotes; all wishes are of one payer."""
    quotes = [quote_request(wish) for wish in wishes]
    return {
        "bulkQuoteId": new_transfer_id(),
        "payer": wishes[0].payer.described,
        "individualQuotes": [{name: quote[name] for name in INDIVIDUAL_FIELDS} for quote in quotes],
        "expiration": timestamp(LIFETIME_S),
    }


def transaction_request(wish: Wish) -> dict[str, Any]:
    """The body of POST /transactionRequests, by which a payee's DFSP asks for a payment."""
    return {
        "transactionRequestId": new_transfer_id(),
        "payee": wish.payee.described,
        "payer": wish.payer.id_info,
        "amount": wish.money,
        "transactionType": wish.purpose.content,
        "authenticationType": "OTP",
        "expiration": timestamp(LIFETIME_S),
    }


def authorization_path(request_id: str, money: dict[str, str], retries_left: int) -> str:
    """Path and query of GET /authorizations/{ID}, by which a payer's DFSP has its customer type in the OTP."""
    query = {"authenticationType": "OTP", "retriesLeft": retries_left, **money}
    return f"/authorizations/{request_id}?{urlencode(query)}"
