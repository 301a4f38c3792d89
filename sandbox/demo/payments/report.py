"""What the demo prints of whole payments: a line a kind, its hops in milliseconds, and how long a payment takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final

from rich.console import Console

from clearinghub.tools.client.money import shown_amount
from sandbox.demo.payments.exchange import Exchange, Step
from sandbox.demo.payments.kinds import BULK_LINES, DEALS, Deal, PaymentKind, bulk_deal
from sandbox.demo.payments.payment import Payment
from sandbox.demo.report import NOT_OK, OK, a_table

ASKED_MS: Final = 500.0  # for a whole payment between two people, at rest
WIDTH_MAX: Final = 200


def print_payments(console: Console, payments: Sequence[Payment], currency: str) -> None:
    """One row a kind, and the median of the payments between two people."""
    table = a_table(f"Whole payments, one at a time ({currency}; ms there + ms back)")
    table.add_column("kind")
    for name in ("pays", "fee", *(step.value for step in Step), "all"):
        table.add_column(name, justify="right")
    table.add_column("ok", justify="center")
    for kind in PaymentKind:
        of_kind = [payment for payment in payments if payment.kind is kind]
        if of_kind:
            table.add_row(*_row(kind, of_kind))
    wanted = console.measure(table, options=console.options.update(max_width=WIDTH_MAX))
    if wanted.maximum > console.width:
        table.padding = (0, 0)  # rather closer than cut
    console.print(table)
    _print_median(console, [one for one in payments if one.kind is PaymentKind.P2P_SEND and not one.problems])


def _row(kind: PaymentKind, payments: Sequence[Payment]) -> list[str]:
    deal = _bulk_in_all() if kind is PaymentKind.BULK else DEALS[kind]
    exchanges = [exchange for payment in payments for exchange in payment.exchanges]
    whole_ms = [payment.whole_ms for payment in payments if payment.exchanges]
    is_right = not any(payment.problems for payment in payments)
    is_refused = any(payment.is_refused for payment in payments)
    amounts = [deal.pays_units, deal.fee_units - deal.commission_units]
    return [
        kind.value,
        *(("refused", "") if is_refused else map(shown_amount, amounts)),
        *(_shares(exchange for exchange in exchanges if exchange.step is step) for step in Step),
        f"{median(whole_ms):.0f}" if whole_ms else "",
        OK if is_right else NOT_OK,
    ]


def _shares(exchanges: Iterable[Exchange]) -> str:
    """Medians, `12+9`; empty for a step that the kind does not have."""
    found = list(exchanges)
    if not found:
        return ""
    return f"{median(one.there_ms for one in found):.0f}+{median(one.back_ms for one in found):.0f}"


def _bulk_in_all() -> Deal:
    """The sums of a bulk."""
    deals = [bulk_deal(line) for line in range(BULK_LINES)]
    pays_units, gets_units = sum(deal.pays_units for deal in deals), sum(deal.gets_units for deal in deals)
    fee_units = sum(deal.fee_units for deal in deals)
    return Deal(deals[0].purpose, "SEND", pays_units, pays_units, gets_units, fee_units=fee_units)


def _print_median(console: Console, payments: Sequence[Payment]) -> None:
    if not payments:
        return
    whole_ms = median(payment.whole_ms for payment in payments)
    console.print(
        f"A P2P payment takes {whole_ms:.0f} ms (median of {len(payments)}; asked: under {ASKED_MS:.0f} ms)",
        style="green" if whole_ms < ASKED_MS else "yellow",
        highlight=False,
        soft_wrap=True,
    )
