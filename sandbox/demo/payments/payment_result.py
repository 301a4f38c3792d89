"""The result of one whole payment: its steps, its transfer, and what was wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.demo.payments.deals import PaymentKind
from sandbox.demo.payments.exchange import NANOSECONDS_PER_MS, Exchange
from sandbox.demo.transfers.session import TransferResult


@dataclass(slots=True)
class PaymentResult:
    """The steps of a payment and its problems; a payment without problems is right.

    `transaction_id` is what a refund of it refers to. `transfer` is its transfer if both sides GET it at the end.
    `moved` lists the transfers that its positions must show: payer, payee and the amount in 1/10,000. `is_refused` is
    true for a payment that the hub had to refuse.
    """

    kind: PaymentKind
    exchanges: list[Exchange] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    transaction_id: str = ""
    transfer: TransferResult | None = None
    is_refused: bool = False
    moved: list[tuple[str, str, int]] = field(default_factory=list)

    def add(self, exchange: Exchange | None, problems: list[str]) -> None:
        if exchange is not None:
            self.exchanges.append(exchange)
        self.problems += problems

    @property
    def whole_ms(self) -> float:
        """The milliseconds from the first request to the last callback to the DFSP that sent it."""
        began_at_ns = min(exchange.sent_at_ns for exchange in self.exchanges)
        return (max(exchange.returned_at_ns for exchange in self.exchanges) - began_at_ns) / NANOSECONDS_PER_MS
