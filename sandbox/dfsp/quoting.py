"""Answers quotes as the payee's DFSP: amounts, fees, and an ILP packet and condition that it can fulfil."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from clearinghub.domain.money import format_amount, parse_amount
from sandbox.dfsp.wire import terms_of, timestamp

LIFETIME_S: Final = 60


class NotAQuoteError(ValueError):
    """The body is not a quote that the hub would forward, or the charges exceed its amount."""


@dataclass(frozen=True, slots=True)
class Charge:
    """The fee that the payee's DFSP takes and the commission that it pays to the payer's; in 1/10,000."""

    fee_units: int = 0
    commission_units: int = 0


Tariff: TypeAlias = Mapping[tuple[str, str], Charge]
"""Charges by scenario and initiatorType of the transaction; free of charge if the pair is missing."""

FREE: Final = Charge()


@dataclass(frozen=True, slots=True)
class Offer:
    """The amount that moves between the DFSPs, and the part that the payee receives; in 1/10,000."""

    transfer_units: int
    receive_units: int


def offer_of(amount_type: str, amount_units: int, charge: Charge) -> Offer:
    """Return the offer for a quote that does not disclose the payer's fees (API definition 1.1, listings 7, 8, 11).

    Raises:
        NotAQuoteError: no amount would be left to move or to receive.
    """
    added_units = charge.fee_units if amount_type == "RECEIVE" else 0
    transfer_units = amount_units + added_units - charge.commission_units
    receive_units = transfer_units - charge.fee_units + charge.commission_units
    if transfer_units <= 0 or receive_units <= 0:
        raise NotAQuoteError(f"{format_amount(amount_units)} does not cover what is charged")
    return Offer(transfer_units, receive_units)


def quote_answer(quote: Mapping[str, Any], payee: str, secret: bytes, tariff: Tariff) -> dict[str, Any]:
    """Return the body of PUT /quotes/{ID}.

    Raises:
        NotAQuoteError: the amount or a party is missing, or the charges leave nothing of the amount.
    """
    return {**_offered(quote, quote, payee, secret, tariff), "expiration": timestamp(LIFETIME_S)}


def bulk_quote_answer(bulk: Mapping[str, Any], payee: str, secret: bytes, tariff: Tariff) -> dict[str, Any]:
    """Return the body of PUT /bulkQuotes/{ID}; raises as `quote_answer` does."""
    try:
        results = [
            {"quoteId": quote["quoteId"], "payee": quote["payee"], **_offered(quote, bulk, payee, secret, tariff)}
            for quote in bulk["individualQuotes"]
        ]
    except (KeyError, TypeError) as error:
        raise NotAQuoteError(repr(error)) from error
    return {"individualQuoteResults": results, "expiration": timestamp(LIFETIME_S)}


def _offered(
    quote: Mapping[str, Any], request: Mapping[str, Any], payee: str, secret: bytes, tariff: Tariff
) -> dict[str, Any]:
    try:
        amount, kind = quote["amount"], quote["transactionType"]
        amount_units, currency = parse_amount(amount["amount"]), amount["currency"]
        if amount_units is None:
            raise NotAQuoteError(f"amount {amount!r}")
        charge = tariff.get((kind["scenario"], kind["initiatorType"]), FREE)
        offer = offer_of(quote["amountType"], amount_units, charge)
        transaction = {name: quote[name] for name in ("transactionId", "quoteId", "payee")}
        transaction |= {"payer": request["payer"], "amount": _money(offer.transfer_units, currency)}
        transaction["transactionType"] = kind
        terms = terms_of(transaction, payee, offer.transfer_units, currency, secret)
    except (KeyError, TypeError, UnicodeEncodeError) as error:  # an ILP address is ASCII
        raise NotAQuoteError(repr(error)) from error
    charged = {"payeeFspFee": charge.fee_units, "payeeFspCommission": charge.commission_units}
    return {
        "transferAmount": _money(offer.transfer_units, currency),
        "payeeReceiveAmount": _money(offer.receive_units, currency),
        **{name: _money(units, currency) for name, units in charged.items() if units},
        "ilpPacket": terms.ilp_packet,
        "condition": terms.condition,
    }


def _money(amount_units: int, currency: str) -> dict[str, str]:
    return {"currency": currency, "amount": format_amount(amount_units)}
