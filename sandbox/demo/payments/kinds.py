"""The kinds of payments that the demo makes, and what each must cost (API definition 1.1, section 5.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from clearinghub.domain.money import UNITS_PER_CURRENCY_UNIT
from sandbox.quoting import Charge, Tariff
from sandbox.requests import Purpose

UNIT: Final = UNITS_PER_CURRENCY_UNIT
BULK_LINES: Final = 100


class PaymentKind(Enum):
    """What a payment is made to show; the value is its name in the report."""

    P2P_SEND = "P2P send"
    P2P_RECEIVE = "P2P receive"
    MERCHANT = "merchant"
    CASH_OUT = "cash-out"
    REFUND = "refund"
    PAYEE_INITIATED = "payee-initiated"
    BULK = f"bulk of {BULK_LINES}"
    ON_US = "on us"


@dataclass(frozen=True, slots=True)
class Deal:
    """What is asked for and what must be agreed on; of 1/10,000. The payer's DFSP pays, the payee gets."""

    purpose: Purpose
    amount_type: str
    asked_units: int
    pays_units: int
    gets_units: int
    fee_units: int = 0
    commission_units: int = 0


# What the payees' DFSPs charge: a fee for transfers and cash; payments at a terminal earn the payer's a commission.
TARIFF: Final[Tariff] = {
    ("TRANSFER", "CONSUMER"): Charge(fee_units=1 * UNIT),
    ("TRANSFER", "BUSINESS"): Charge(fee_units=UNIT // 10),
    ("WITHDRAWAL", "CONSUMER"): Charge(fee_units=2 * UNIT),
    ("PAYMENT", "DEVICE"): Charge(commission_units=1 * UNIT),
}

# Written out, not computed from the tariff: an error in it, or on the wire, must show.
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


def bulk_deal(line: int) -> Deal:
    """The `line`-th of a bulk: a salary; no two are equal, so that none can stand for another."""
    asked_units = 5 * UNIT + line
    fee_units = UNIT // 10
    purpose = Purpose("TRANSFER", "PAYER", "BUSINESS")
    return Deal(purpose, "SEND", asked_units, asked_units, asked_units - fee_units, fee_units=fee_units)
