"""Prints whole payments: a row for each kind with the milliseconds of its steps, and how long a payment takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final

from rich.console import Console

from clearinghub.tools.client.money import shown_amount
from sandbox.demo.payments.deals import BULK_ITEMS, DEALS, Deal, PaymentKind, bulk_deal
from sandbox.demo.payments.exchange import Exchange, Step
from sandbox.demo.payments.payment_result import PaymentResult
from sandbox.demo.tables import NOT_OK, OK, new_table

TARGET_MS: Final = 500.0  # for a whole payment between two people, on a hub without other load
WIDTH_MAX: Final = 200


def print_payments(console: Console, payments: Sequence[PaymentResult], currency: str) -> None:
    """Print a row for each kind, then the median time of the payments between two people."""
    table = new_table(f"Whole payments, one at a time ({currency}; ms to the other DFSP + ms back)")
    table.add_column("kind")
    for name in ("pays", "fee", *(step.value for step in Step), "all"):
        table.add_column(name, justify="right")
    table.add_column("ok", justify="center")
    for kind in PaymentKind:
        of_kind = [payment for payment in payments if payment.kind is kind]
        if of_kind:
            table.add_row(*_row(kind, of_kind))
    needed = console.measure(table, options=console.options.update(max_width=WIDTH_MAX))
    if needed.maximum > console.width:
        table.padding = (0, 0)  # closer columns rather than cut texts
    console.print(table)
    _print_median(
        console, [payment for payment in payments if payment.kind is PaymentKind.P2P_SEND and not payment.problems]
    )


def _row(kind: PaymentKind, payments: Sequence[PaymentResult]) -> list[str]:
    deal = _sum_of_bulk() if kind is PaymentKind.BULK else DEALS[kind]
    exchanges = [exchange for payment in payments for exchange in payment.exchanges]
    whole_ms = [payment.whole_ms for payment in payments if payment.exchanges]
    is_right = not any(payment.problems for payment in payments)
    is_refused = any(payment.is_refused for payment in payments)
    amounts = [deal.pays_units, deal.fee_units - deal.commission_units]
    return [
        kind.value,
        *(("refused", "") if is_refused else map(shown_amount, amounts)),
        *(_medians(exchange for exchange in exchanges if exchange.step is step) for step in Step),
        f"{median(whole_ms):.0f}" if whole_ms else "",
        OK if is_right else NOT_OK,
    ]


def _medians(exchanges: Iterable[Exchange]) -> str:
    """Return the median milliseconds there and back, `12+9`; empty for a step that the kind does not have."""
    found = list(exchanges)
    if not found:
        return ""
    forward_ms = median(exchange.forward_ms for exchange in found)
    return_ms = median(exchange.return_ms for exchange in found)
    return f"{forward_ms:.0f}+{return_ms:.0f}"


def _sum_of_bulk() -> Deal:
    """Return one deal with the sums of all items of a bulk."""
    deals = [bulk_deal(index) for index in range(BULK_ITEMS)]
    pays_units, gets_units = sum(deal.pays_units for deal in deals), sum(deal.gets_units for deal in deals)
    fee_units = sum(deal.fee_units for deal in deals)
    return Deal(deals[0].purpose, "SEND", pays_units, pays_units, gets_units, fee_units=fee_units)


def _print_median(console: Console, payments: Sequence[PaymentResult]) -> None:
    if not payments:
        return
    whole_ms = median(payment.whole_ms for payment in payments)
    console.print(
        f"A P2P payment takes {whole_ms:.0f} ms (median of {len(payments)}; target: under {TARGET_MS:.0f} ms)",
        style="green" if whole_ms < TARGET_MS else "yellow",
        highlight=False,
        soft_wrap=True,
    )
