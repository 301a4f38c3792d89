"""One whole payment as it was made."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.demo.payments.exchange import NANOSECONDS_PER_MS, Exchange
from sandbox.demo.payments.kinds import PaymentKind
from sandbox.demo.stage import Played


@dataclass(slots=True)
class Payment:
    """What a payment's steps were and what was wrong with them.

    `transaction_id` is what a refund gives back. `played` is its transfer if it is one that both sides ask for at the
    end; `moved` lists what it must have done to positions: payer, payee and the amount in 1/10,000.
    A payment that the hub had to refuse `is_refused`.
    """

    kind: PaymentKind
    exchanges: list[Exchange] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    transaction_id: str = ""
    played: Played | None = None
    is_refused: bool = False
    moved: list[tuple[str, str, int]] = field(default_factory=list)

    def add(self, exchange: Exchange | None, problems: list[str]) -> None:
        """A step is over."""
        if exchange is not None:
            self.exchanges.append(exchange)
        self.problems += problems

    @property
    def whole_ms(self) -> float:
        """From the first request sent to the last callback received by who pays."""
        began_at_ns = min(exchange.asked_at_ns for exchange in self.exchanges)
        return (max(exchange.told_at_ns for exchange in self.exchanges) - began_at_ns) / NANOSECONDS_PER_MS
