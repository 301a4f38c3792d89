"""Who pays whom in the demo's whole payments: the parties of three DFSPs, found by identifiers of many types."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from sandbox.demo.payments.kinds import BULK_LINES, DEALS, PaymentKind, bulk_deal
from sandbox.parties import Party
from sandbox.requests import Wish

GROCER: Final = "5411"  # ISO 18245


@dataclass(frozen=True, slots=True)
class Cast:
    """The parties of one run."""

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
        """All of them."""
        singles = (self.ann, self.ann_again, self.ben, self.cleo, self.shop, self.agent, self.employer)
        return (*singles, *self.employees)


def make_cast(fsps: tuple[str, str, str], suffix: str) -> Cast:
    """The parties of three DFSPs; `suffix`, six hexadecimal digits, keeps those of one run apart from the next's."""
    ada, bea, cyd = fsps
    number = f"4477{int(suffix, 16):08d}"
    return Cast(
        ann=Party("MSISDN", f"{number}1", ada, "Ann Abara"),
        ann_again=Party("ACCOUNT_ID", f"{suffix}-savings", ada, "Ann Abara"),
        ben=Party("MSISDN", f"{number}2", bea, "Ben Boateng"),
        cleo=Party("EMAIL", f"cleo.{suffix}@example.org", cyd, "Cleo Castro"),
        shop=Party("BUSINESS", f"corner-shop-{suffix}", cyd, "Corner Shop", "till-3", GROCER),
        agent=Party("ALIAS", f"agent-{suffix}", bea, "Cash Point Market Street"),
        employer=Party("BUSINESS", f"mill-{suffix}", ada, "The Mill"),
        employees=tuple(
            Party("ACCOUNT_ID", f"{suffix}-{line:03d}", bea, f"Worker {line}") for line in range(1, BULK_LINES + 1)
        ),
    )


def wish_of(kind: PaymentKind, cast: Cast, currency: str, refund_of: str | None = None) -> Wish:
    """A payment of that kind; `refund_of` is the transaction that a refund gives back."""
    payer, payee = {
        PaymentKind.P2P_SEND: (cast.ann, cast.ben),
        PaymentKind.P2P_RECEIVE: (cast.ben, cast.cleo),
        PaymentKind.MERCHANT: (cast.ann, cast.shop),
        PaymentKind.CASH_OUT: (cast.cleo, cast.agent),
        PaymentKind.REFUND: (cast.shop, cast.ann),
        PaymentKind.PAYEE_INITIATED: (cast.ben, cast.shop),
        PaymentKind.ON_US: (cast.ann, cast.ann_again),
    }[kind]
    deal = DEALS[kind]
    purpose = replace(deal.purpose, refund_of=refund_of)
    return Wish(payer, payee, deal.asked_units, currency, deal.amount_type, purpose)


def bulk_wishes(cast: Cast, currency: str) -> list[Wish]:
    """The lines of a bulk, in order."""
    deals = [bulk_deal(line) for line in range(BULK_LINES)]
    return [
        Wish(cast.employer, employee, deal.asked_units, currency, deal.amount_type, deal.purpose)
        for employee, deal in zip(cast.employees, deals, strict=True)
    ]
