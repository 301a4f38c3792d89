"""The people and businesses of the demo's whole payments, at three DFSPs, and who pays whom."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from sandbox.demo.payments.deals import BULK_ITEMS, DEALS, PaymentKind, bulk_deal
from sandbox.dfsp.parties import Party
from sandbox.dfsp.requests import PaymentIntent

GROCER: Final = "5411"  # ISO 18245


@dataclass(frozen=True, slots=True)
class Actors:
    """The parties of one run; their identifiers are of five types."""

    ann: Party
    ann_again: Party
    ben: Party
    cleo: Party
    shop: Party
    agent: Party
    employer: Party
    employees: tuple[Party, ...]

    @property
    def parties(self) -> tuple[Party, ...]:
        singles = (self.ann, self.ann_again, self.ben, self.cleo, self.shop, self.agent, self.employer)
        return (*singles, *self.employees)


def make_actors(fsps: tuple[str, str, str], suffix: str) -> Actors:
    """Return parties of three DFSPs; `suffix`, six hexadecimal digits, makes their identifiers unique."""
    ada, bea, cyd = fsps
    number = f"4477{int(suffix, 16):08d}"
    return Actors(
        ann=Party("MSISDN", f"{number}1", ada, "Ann Abara"),
        ann_again=Party("ACCOUNT_ID", f"{suffix}-savings", ada, "Ann Abara"),
        ben=Party("MSISDN", f"{number}2", bea, "Ben Boateng"),
        cleo=Party("EMAIL", f"cleo.{suffix}@example.org", cyd, "Cleo Castro"),
        shop=Party("BUSINESS", f"corner-shop-{suffix}", cyd, "Corner Shop", "till-3", GROCER),
        agent=Party("ALIAS", f"agent-{suffix}", bea, "Cash Point Market Street"),
        employer=Party("BUSINESS", f"mill-{suffix}", ada, "The Mill"),
        employees=tuple(
            Party("ACCOUNT_ID", f"{suffix}-{number:03d}", bea, f"Worker {number}")
            for number in range(1, BULK_ITEMS + 1)
        ),
    )


def intent_of(kind: PaymentKind, actors: Actors, currency: str, refund_of: str | None = None) -> PaymentIntent:
    """Return a payment of that kind; `refund_of` is the transaction that a refund returns."""
    payer, payee = {
        PaymentKind.P2P_SEND: (actors.ann, actors.ben),
        PaymentKind.P2P_RECEIVE: (actors.ben, actors.cleo),
        PaymentKind.MERCHANT: (actors.ann, actors.shop),
        PaymentKind.CASH_OUT: (actors.cleo, actors.agent),
        PaymentKind.REFUND: (actors.shop, actors.ann),
        PaymentKind.PAYEE_INITIATED: (actors.ben, actors.shop),
        PaymentKind.ON_US: (actors.ann, actors.ann_again),
    }[kind]
    deal = DEALS[kind]
    purpose = replace(deal.purpose, refund_of=refund_of)
    return PaymentIntent(payer, payee, deal.requested_units, currency, deal.amount_type, purpose)


def bulk_intents(actors: Actors, currency: str) -> list[PaymentIntent]:
    """Return the payments of a bulk, in the order of its items."""
    deals = [bulk_deal(index) for index in range(BULK_ITEMS)]
    return [
        PaymentIntent(actors.employer, employee, deal.requested_units, currency, deal.amount_type, deal.purpose)
        for employee, deal in zip(actors.employees, deals, strict=True)
    ]
