"""Makes whole payments between the demo's DFSPs: each finds the payee, agrees on terms, then moves the money."""

from __future__ import annotations

from collections.abc import Mapping
from secrets import randbelow
from time import perf_counter_ns
from typing import Any, Final

from sandbox.agreement import UnansweredError
from sandbox.demo.kinds import Kind
from sandbox.demo.payments.check import party_problems, quote_problems
from sandbox.demo.payments.exchange import Asked, HopLog, exchange_of
from sandbox.demo.payments.kinds import DEALS, PaymentKind
from sandbox.demo.payments.payment import Payment
from sandbox.demo.plan import Case
from sandbox.demo.stage import Stage
from sandbox.dfsp import SimulatedDfsp
from sandbox.heard import Heard
from sandbox.requests import Wish, authorization_path, quote_request, transaction_request
from sandbox.wire import LIFETIME_S, Terms, TransferOrder, new_transfer_id, timestamp

OTP_END: Final = 10**6
RETRIES_LEFT: Final = 2


class Teller:
    """The DFSPs' half of a payment, step by step. `log` must be told all hops of the DFSPs."""

    def __init__(self, dfsps: Mapping[str, SimulatedDfsp], stage: Stage, log: HopLog, hub_name: str) -> None:
        self._dfsps = dfsps
        self._stage = stage
        self._log = log
        self._hub_name = hub_name

    async def pay(self, kind: PaymentKind, wish: Wish) -> Payment:
        """Make a payment whose transfer must commit. What went wrong is in its problems; the rest of it is left out."""
        payment = Payment(kind)
        try:
            order = await self.agree(payment, wish)
        except UnansweredError as error:
            payment.problems.append(str(error))
            return payment
        case = Case(Kind.COMMITTED, wish.payer.fsp, wish.payee.fsp, DEALS[kind].pays_units)
        payment.played = await self._stage.play_order(case, order)
        payment.moved.append((case.payer, case.payee, case.amount_units))
        self.add_exchange(payment, "transfers", order.transfer_id, case.payer, case.payee)
        return payment

    async def agree(self, payment: Payment, wish: Wish) -> TransferOrder:
        """Find the party and agree on terms, with the payer's OTP if the payee has begun; gives the transfer.

        Raises:
            UnansweredError: a step came to nothing.
        """
        request: dict[str, Any] | None = None
        transaction_id = None
        if wish.purpose.initiator == "PAYEE":
            await self.look_up(payment, wish, by_payee=True)
            request = transaction_request(wish)
            transaction_id = await self._request(payment, wish, request)
        else:
            await self.look_up(payment, wish)
        order = await self._quote(payment, wish, transaction_id, request)
        if request is not None:
            await self._authorize(payment, wish, request["transactionRequestId"])
        return order

    async def look_up(self, payment: Payment, wish: Wish, *, by_payee: bool = False) -> None:
        """GET /parties by the DFSP that begins; raises as `agree` does."""
        asker, party = (wish.payee.fsp, wish.payer) if by_payee else (wish.payer.fsp, wish.payee)
        heard = await self.ask(
            payment, asker, party.fsp, "GET", f"/parties/{party.path}", party.path, is_addressed=False
        )
        payment.problems += party_problems(heard.content, wish, is_payer=by_payee)

    async def ask(
        self,
        payment: Payment,
        asker: str,
        answerer: str,
        method: str,
        path: str,
        subject_id: str,
        content: Mapping[str, Any] | None = None,
        *,
        is_addressed: bool = True,
    ) -> Heard:
        """One step before the transfer: its answer, and its hops in the payment; raises as `agree` does."""
        began_at_ns = perf_counter_ns()
        destination = answerer if is_addressed else None
        agreements = self._dfsps[asker].agreements
        timeout_s = self._stage.left_s()
        heard = await agreements.ask(method, path, subject_id, destination, content, timeout_s=timeout_s)
        self.add_exchange(payment, heard.resource, subject_id, asker, answerer, began_at_ns)
        return heard

    def add_exchange(
        self, payment: Payment, resource: str, subject_id: str, asker: str, answerer: str, since_ns: int = 0
    ) -> None:
        """Note the hops of a step that is over."""
        hops = self._log.of(subject_id, since_ns)
        payment.add(*exchange_of(hops, Asked(resource, asker, answerer, self._hub_name)))

    async def _request(self, payment: Payment, wish: Wish, request: dict[str, Any]) -> str:
        """POST /transactionRequests by the payee's DFSP; gives the transaction that the payer's makes of it."""
        request_id = request["transactionRequestId"]
        path = "/transactionRequests"
        heard = await self.ask(payment, wish.payee.fsp, wish.payer.fsp, "POST", path, request_id, request)
        if heard.content.get("transactionRequestState") != "RECEIVED":
            payment.problems.append(f"request: told {heard.content}")
        return str(heard.content.get("transactionId"))

    async def _quote(
        self, payment: Payment, wish: Wish, transaction_id: str | None, request: dict[str, Any] | None
    ) -> TransferOrder:
        request_id = None if request is None else request["transactionRequestId"]
        content = quote_request(wish, transaction_id, request_id)
        payer, payee = wish.payer.fsp, wish.payee.fsp
        heard = await self.ask(payment, payer, payee, "POST", "/quotes", content["quoteId"], content)
        deal = DEALS[payment.kind]
        payment.problems += quote_problems(heard.content, content, wish, deal)
        payment.transaction_id = content["transactionId"]
        terms = Terms(str(heard.content.get("ilpPacket")), str(heard.content.get("condition")))
        expiration = timestamp(LIFETIME_S)
        return TransferOrder(new_transfer_id(), payer, payee, deal.pays_units, wish.currency, terms, expiration)

    async def _authorize(self, payment: Payment, wish: Wish, request_id: str) -> None:
        """The payer's DFSP gives its customer an OTP, which must come back from the payee's terminal."""
        otp = f"{randbelow(OTP_END):06d}"
        self._dfsps[wish.payee.fsp].agreements.entered[request_id] = otp
        path = authorization_path(request_id, wish.money, RETRIES_LEFT)
        heard = await self.ask(payment, wish.payer.fsp, wish.payee.fsp, "GET", path, request_id)
        information = heard.content.get("authenticationInfo")
        entered = information.get("authenticationValue") if isinstance(information, dict) else None
        if (heard.content.get("responseType"), entered) != ("ENTERED", otp):
            raise UnansweredError(f"OTP: the payee's terminal told {heard.content}")
