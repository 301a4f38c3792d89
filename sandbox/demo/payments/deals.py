"""The kinds of whole payments that the demo makes, and the amounts and fees of each (API definition 1.1, 5.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from clearinghub.domain.money import UNITS_PER_CURRENCY_UNIT
from sandbox.dfsp.quoting import Charge, Tariff
from sandbox.dfsp.requests import Purpose

UNIT: Final = UNITS_PER_CURRENCY_UNIT
BULK_ITEMS: Final = 100


class PaymentKind(Enum):
    """A use case of payments; the value is its name in the table."""

    P2P_SEND = "P2P send"
    P2P_RECEIVE = "P2P receive"
    MERCHANT = "merchant"
    CASH_OUT = "cash-out"
    REFUND = "refund"
    PAYEE_INITIATED = "payee-initiated"
    BULK = f"bulk of {BULK_ITEMS}"
    ON_US = "on us"


@dataclass(frozen=True, slots=True)
class Deal:
    """The requested amount and the terms that the quote must have, in 1/10,000.

    The payer's DFSP pays `pays_units` to the payee's, whose customer gets `gets_units`.
    """

    purpose: Purpose
    amount_type: str
    requested_units: int
    pays_units: int
    gets_units: int
    fee_units: int = 0
    commission_units: int = 0


# The payees' DFSPs charge a fee for transfers and cash, and pay a commission to the payer's for payments at a terminal.
TARIFF: Final[Tariff] = {
    ("TRANSFER", "CONSUMER"): Charge(fee_units=1 * UNIT),
    ("TRANSFER", "BUSINESS"): Charge(fee_units=UNIT // 10),
    ("WITHDRAWAL", "CONSUMER"): Charge(fee_units=2 * UNIT),
    ("PAYMENT", "DEVICE"): Charge(commission_units=1 * UNIT),
}

# Written out and not computed from TARIFF, so that an error there, or in a message, is found.
DEALS: Final[Mapping[PaymentKind, Deal]] = {
    PaymentKind.P2P_SEND: Deal(Purpose("TRANSFER"), "SEND", 100 * UNIT, 100 * UNIT, 99 * UNIT, fee_units=UNIT),
    PaymentKind.P2P_RECEIVE: Deal(Purpose("TRANSFER"), "RECEIVE", 100 * UNIT, 101 * UNIT, 100 * UNIT, fee_units=UNIT),
    PaymentKind.MERCHANT: Deal(Purpose("PAYMENT"), "RECEIVE", 100 * UNIT, 100 * UNIT, 100 * UNIT),
    PaymentKind.CASH_OUT: Deal(
        Purpose("WITHDRAWAL"), "RECEIVE", 100 * UNIT, 102 * UNIT, 100 * UNIT, fee_units=2 * UNIT
    ),
    PaymentKind.REFUND: Deal(Purpose("REFUND", "PAYER", "BUSINESS"), "SEND", 100 * UNIT, 100 * UNIT, 100 * UNIT),
    PaymentKind.PAYEE_INITIATED: Deal(
        Purpose("PAYMENT", "PAYEE", "DEVICE"), "RECEIVE", 100 * UNIT, 99 * UNIT, 100 * UNIT, commission_units=UNIT
    ),
    PaymentKind.ON_US: Deal(Purpose("TRANSFER"), "SEND", 100 * UNIT, 100 * UNIT, 99 * UNIT, fee_units=UNIT),
}


def bulk_deal(index: int) -> Deal:
    """Return the salary at `index` of a bulk; no two are equal, so that items that are mixed up are found."""
    requested_units = 5 * UNIT + index
    fee_units = UNIT // 10
    purpose = Purpose("TRANSFER", "PAYER", "BUSINESS")
    return Deal(purpose, "SEND", requested_units, requested_units, requested_units - fee_units, fee_units=fee_units)
