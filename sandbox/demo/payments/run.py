"""All whole payments of a run: one after the other at rest, the positions looked at behind each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from clearinghub.config import Settings
from sandbox.demo.audit import Auditor
from sandbox.demo.books import Books
from sandbox.demo.payments.bulk import pay_bulk
from sandbox.demo.payments.cast import Cast, bulk_wishes, wish_of
from sandbox.demo.payments.kinds import TARIFF, PaymentKind
from sandbox.demo.payments.on_us import pay_on_us
from sandbox.demo.payments.payment import Payment
from sandbox.demo.payments.teller import Teller
from sandbox.demo.stage import Stage
from sandbox.dfsp import SimulatedDfsp

P2P_SHARE: Final = 4  # so many times as often as the others: their median is the one that is promised
SETTLED_WITHIN_S: Final = 5.0
ONCE: Final = (PaymentKind.BULK, PaymentKind.ON_US)


def how_often(kind: PaymentKind, count: int) -> int:
    """How many payments of a kind are made where `count` of each are asked for; bulks are many payments in one."""
    if kind in ONCE:
        return min(count, 1)
    return count * P2P_SHARE if kind is PaymentKind.P2P_SEND else count


class WholePayments:
    """The whole payments of a cast. The settings tell whether the hub moves money within a DFSP."""

    def __init__(
        self,
        dfsps: Mapping[str, SimulatedDfsp],
        cast: Cast,
        teller: Teller,
        stage: Stage,
        books: Books,
        settings: Settings,
        currency: str,
    ) -> None:
        self._dfsps = dfsps
        self._cast = cast
        self._teller = teller
        self._stage = stage
        self._books = books
        self._hub_name = settings.hub_name
        self._on_us = settings.on_us_transfers
        self._currency = currency
        self._was_right = True

    async def register(self) -> None:
        """Tell the hub whose parties are whose, and the DFSPs what to charge; raises UnansweredError if it refuses."""
        for fsp in sorted({party.fsp for party in self._cast.parties}):
            agreements = self._dfsps[fsp].agreements
            agreements.tariff = TARIFF
            await agreements.register([party for party in self._cast.parties if party.fsp == fsp])

    async def make_all(self, count: int, auditor: Auditor, done: Callable[[], None]) -> list[Payment]:
        """`count` payments of each kind (how_often), in order; `done` is called as each ends.

        Money that is not where it must be is a problem of the last payment before it was noticed.
        """
        payments: list[Payment] = []
        for kind in PaymentKind:
            of_kind = []
            for _ in range(how_often(kind, count)):
                of_kind.append(await self._make(kind, payments))
                done()
            payments += of_kind
            if of_kind:
                of_kind[-1].problems += await self._position_problems(of_kind, auditor)
        return payments

    async def _make(self, kind: PaymentKind, earlier: Sequence[Payment]) -> Payment:
        cast, currency = self._cast, self._currency
        if kind is PaymentKind.BULK:
            wishes = bulk_wishes(cast, currency)
            sides = self._dfsps[wishes[0].payer.fsp], self._dfsps[wishes[0].payee.fsp]
            return await pay_bulk(self._teller, *sides, wishes, self._stage.left_s())
        if kind is PaymentKind.ON_US:
            wish = wish_of(kind, cast, currency)
            dfsp, timeout_s = self._dfsps[wish.payer.fsp], self._stage.left_s()
            return await pay_on_us(
                self._teller, dfsp, wish, self._hub_name, is_allowed=self._on_us, timeout_s=timeout_s
            )
        bought = [one.transaction_id for one in earlier if one.kind is PaymentKind.MERCHANT and one.transaction_id]
        refund_of = bought[-1] if kind is PaymentKind.REFUND and bought else None
        return await self._teller.pay(kind, wish_of(kind, cast, currency, refund_of))

    async def _position_problems(self, payments: Sequence[Payment], auditor: Auditor) -> list[str]:
        for payment in payments:
            for payer, payee, amount_units in payment.moved:
                self._books.move(payer, payee, amount_units)
        timeout_s = SETTLED_WITHIN_S if self._was_right else 0.0
        lines = await auditor.settled(self._books, self._dfsps, min(timeout_s, self._stage.left_s()))
        wrong = [line for line in lines if not line.ok]
        self._was_right = not wrong
        return [f"{line.participant} {line.account_type} is not what it must be" for line in wrong]
