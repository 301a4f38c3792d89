"""What a simulated payee's DFSP offers: its answers to quotes, with a packet and condition that it can fulfil."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clearinghub.domain.money import parse_amount
from clearinghub.sandbox.wire import terms_of, timestamp

LIFETIME_S = 60


class NotAQuoteError(ValueError):
    """The content is no quote that the hub would have passed on."""


def quote_answer(quote: Mapping[str, Any], payee: str, secret: bytes) -> dict[str, Any]:
    """The body of PUT /quotes/{ID}: the amount that was asked for, without fees.

    Raises:
        NotAQuoteError: there is no amount, or no party.
    """
    return {**_offer(quote, quote, payee, secret), "expiration": timestamp(LIFETIME_S)}


def bulk_quote_answer(bulk: Mapping[str, Any], payee: str, secret: bytes) -> dict[str, Any]:
    """The body of PUT /bulkQuotes/{ID}; raises as `quote_answer` does."""
    try:
        results = [
            {"quoteId": quote["quoteId"], "payee": quote["payee"], **_offer(quote, bulk, payee, secret)}
            for quote in bulk["individualQuotes"]
        ]
    except (KeyError, TypeError) as error:
        raise NotAQuoteError(repr(error)) from error
    return {"individualQuoteResults": results, "expiration": timestamp(LIFETIME_S)}


def _offer(quote: Mapping[str, Any], request: Mapping[str, Any], payee: str, secret: bytes) -> dict[str, Any]:
    try:
        amount = quote["amount"]
        units = parse_amount(amount["amount"])
        transaction = {name: quote[name] for name in ("transactionId", "quoteId", "payee", "amount", "transactionType")}
        transaction["payer"] = request["payer"]
        if units is None:
            raise NotAQuoteError(f"amount {amount!r}")
        terms = terms_of(transaction, payee, units, amount["currency"], secret)
    except (KeyError, TypeError) as error:
        raise NotAQuoteError(repr(error)) from error
    return {
        "transferAmount": amount,
        "payeeReceiveAmount": amount,
        "ilpPacket": terms.ilp_packet,
        "condition": terms.condition,
    }
