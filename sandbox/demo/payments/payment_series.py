"""Makes all whole payments of a run, one after the other, and checks the positions after each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from clearinghub.config import Settings
from sandbox.demo.payments.actors import Actors, bulk_intents, intent_of
from sandbox.demo.payments.bulk import pay_bulk
from sandbox.demo.payments.deals import TARIFF, PaymentKind
from sandbox.demo.payments.on_us import pay_on_us
from sandbox.demo.payments.payment_result import PaymentResult
from sandbox.demo.payments.scenario_runner import ScenarioRunner
from sandbox.demo.transfers.balances import BalanceChecker, ExpectedBalances
from sandbox.demo.transfers.session import Session
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp

P2P_SHARE: Final = 4  # made more often than the others: their median time has a target
CREDITS_WITHIN_S: Final = 5.0  # the payee's credit follows the commit, on another partition
ONCE: Final = (PaymentKind.BULK, PaymentKind.ON_US)


def how_often(kind: PaymentKind, count: int) -> int:
    """Return how many payments of a kind are made if `count` of each are requested; a bulk is made once at most."""
    if kind in ONCE:
        return min(count, 1)
    return count * P2P_SHARE if kind is PaymentKind.P2P_SEND else count


class PaymentSeries:
    """The whole payments between the actors of a run. The settings say whether the hub accepts on-us transfers."""

    def __init__(
        self,
        dfsps: Mapping[str, SimulatedDfsp],
        actors: Actors,
        runner: ScenarioRunner,
        session: Session,
        expected: ExpectedBalances,
        settings: Settings,
        currency: str,
    ) -> None:
        self._dfsps = dfsps
        self._actors = actors
        self._runner = runner
        self._session = session
        self._expected = expected
        self._hub_name = settings.hub_name
        self._on_us = settings.on_us_transfers
        self._currency = currency
        self._was_right = True

    async def register(self) -> None:
        """Register the parties and set the DFSPs' tariff; raises UnansweredError if the hub refuses a party."""
        for fsp in sorted({party.fsp for party in self._actors.parties}):
            agreements = self._dfsps[fsp].agreements
            agreements.tariff = TARIFF
            await agreements.register([party for party in self._actors.parties if party.fsp == fsp])

    async def make_all(self, count: int, checker: BalanceChecker, done: Callable[[], None]) -> list[PaymentResult]:
        """Make `count` payments of each kind (see `how_often`) in order; `done` is called after each.

        A wrong position is reported as a problem of the last payment of the kind after which it was found.
        """
        payments: list[PaymentResult] = []
        for kind in PaymentKind:
            of_kind = []
            for _ in range(how_often(kind, count)):
                of_kind.append(await self._make(kind, payments))
                done()
            payments += of_kind
            if of_kind:
                of_kind[-1].problems += await self._position_problems(of_kind, checker)
        return payments

    async def _make(self, kind: PaymentKind, earlier: Sequence[PaymentResult]) -> PaymentResult:
        actors, currency = self._actors, self._currency
        if kind is PaymentKind.BULK:
            intents = bulk_intents(actors, currency)
            sides = self._dfsps[intents[0].payer.fsp], self._dfsps[intents[0].payee.fsp]
            return await pay_bulk(self._runner, *sides, intents, self._session.left_s())
        if kind is PaymentKind.ON_US:
            intent = intent_of(kind, actors, currency)
            dfsp, timeout_s = self._dfsps[intent.payer.fsp], self._session.left_s()
            return await pay_on_us(
                self._runner, dfsp, intent, self._hub_name, is_allowed=self._on_us, timeout_s=timeout_s
            )
        purchases = [payment for payment in earlier if payment.kind is PaymentKind.MERCHANT and payment.transaction_id]
        refund_of = purchases[-1].transaction_id if kind is PaymentKind.REFUND and purchases else None
        return await self._runner.pay(kind, intent_of(kind, actors, currency, refund_of))

    async def _position_problems(self, payments: Sequence[PaymentResult], checker: BalanceChecker) -> list[str]:
        for payment in payments:
            for payer, payee, amount_units in payment.moved:
                self._expected.move(payer, payee, amount_units)
        timeout_s = CREDITS_WITHIN_S if self._was_right else 0.0
        checks = await checker.check(self._expected, self._dfsps, min(timeout_s, self._session.left_s()))
        wrong = [check for check in checks if not check.ok]
        self._was_right = not wrong
        return [f"{check.participant} {check.account_type} is not what it must be" for check in wrong]
