"""Makes whole payments between the demo's DFSPs: lookup, quote, then the transfer; each step is checked."""

from __future__ import annotations

from collections.abc import Mapping
from secrets import randbelow
from time import perf_counter_ns
from typing import Any, Final

from sandbox.demo.payments.content_checks import party_problems, quote_problems
from sandbox.demo.payments.deals import DEALS, PaymentKind
from sandbox.demo.payments.exchange import HopLog, Request, exchange_of
from sandbox.demo.payments.payment_result import PaymentResult
from sandbox.demo.transfers.expectations import TransferCase, TransferKind
from sandbox.demo.transfers.session import Session
from sandbox.dfsp.agreements import UnansweredError
from sandbox.dfsp.messages import ReceivedMessage
from sandbox.dfsp.requests import PaymentIntent, authorization_path, quote_request, transaction_request
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp
from sandbox.dfsp.wire import LIFETIME_S, Terms, TransferOrder, new_transfer_id, timestamp

OTP_END: Final = 10**6
RETRIES_LEFT: Final = 2


class ScenarioRunner:
    """Makes payments step by step. `log` must observe all hops of the DFSPs."""

    def __init__(self, dfsps: Mapping[str, SimulatedDfsp], session: Session, log: HopLog, hub_name: str) -> None:
        self._dfsps = dfsps
        self._session = session
        self._log = log
        self._hub_name = hub_name

    async def pay(self, kind: PaymentKind, intent: PaymentIntent) -> PaymentResult:
        """Make a payment whose transfer must commit; a step that fails ends it and is a problem of the result."""
        payment = PaymentResult(kind)
        try:
            order = await self.agree(payment, intent)
        except UnansweredError as error:
            payment.problems.append(str(error))
            return payment
        case = TransferCase(TransferKind.COMMITTED, intent.payer.fsp, intent.payee.fsp, DEALS[kind].pays_units)
        payment.transfer = await self._session.send_order(case, order)
        payment.moved.append((case.payer, case.payee, case.amount_units))
        self.add_exchange(payment, "transfers", order.transfer_id, case.payer, case.payee)
        return payment

    async def agree(self, payment: PaymentResult, intent: PaymentIntent) -> TransferOrder:
        """Look up the party and get a quote, with the payer's OTP if the payee requests; return the transfer to send.

        Raises:
            UnansweredError: a step was refused or not answered.
        """
        request: dict[str, Any] | None = None
        transaction_id = None
        if intent.purpose.initiator == "PAYEE":
            await self.look_up(payment, intent, by_payee=True)
            request = transaction_request(intent)
            transaction_id = await self._request(payment, intent, request)
        else:
            await self.look_up(payment, intent)
        order = await self._quote(payment, intent, transaction_id, request)
        if request is not None:
            await self._authorize(payment, intent, request["transactionRequestId"])
        return order

    async def look_up(self, payment: PaymentResult, intent: PaymentIntent, *, by_payee: bool = False) -> None:
        """GET /parties by the DFSP that begins the payment; raises as `agree` does."""
        requester, party = (intent.payee.fsp, intent.payer) if by_payee else (intent.payer.fsp, intent.payee)
        answer = await self.request(
            payment, requester, party.fsp, "GET", f"/parties/{party.path}", party.path, is_addressed=False
        )
        payment.problems += party_problems(answer.content, intent, is_payer=by_payee)

    async def request(
        self,
        payment: PaymentResult,
        requester: str,
        answerer: str,
        method: str,
        path: str,
        subject_id: str,
        content: Mapping[str, Any] | None = None,
        *,
        is_addressed: bool = True,
    ) -> ReceivedMessage:
        """Make one step before the transfer, add it to the payment and return its answer; raises as `agree` does."""
        began_at_ns = perf_counter_ns()
        destination = answerer if is_addressed else None
        agreements = self._dfsps[requester].agreements
        timeout_s = self._session.left_s()
        answer = await agreements.request(method, path, subject_id, destination, content, timeout_s=timeout_s)
        self.add_exchange(payment, answer.resource, subject_id, requester, answerer, began_at_ns)
        return answer

    def add_exchange(
        self, payment: PaymentResult, resource: str, subject_id: str, requester: str, answerer: str, since_ns: int = 0
    ) -> None:
        """Add the hops of a finished step to the payment."""
        hops = self._log.of(subject_id, since_ns)
        payment.add(*exchange_of(hops, Request(resource, requester, answerer, self._hub_name)))

    async def _request(self, payment: PaymentResult, intent: PaymentIntent, request: dict[str, Any]) -> str:
        """POST /transactionRequests by the payee's DFSP; return the transaction's id, made by the payer's DFSP."""
        request_id = request["transactionRequestId"]
        path = "/transactionRequests"
        answer = await self.request(payment, intent.payee.fsp, intent.payer.fsp, "POST", path, request_id, request)
        if answer.content.get("transactionRequestState") != "RECEIVED":
            payment.problems.append(f"request: answered {answer.content}")
        return str(answer.content.get("transactionId"))

    async def _quote(
        self, payment: PaymentResult, intent: PaymentIntent, transaction_id: str | None, request: dict[str, Any] | None
    ) -> TransferOrder:
        request_id = None if request is None else request["transactionRequestId"]
        content = quote_request(intent, transaction_id, request_id)
        payer, payee = intent.payer.fsp, intent.payee.fsp
        answer = await self.request(payment, payer, payee, "POST", "/quotes", content["quoteId"], content)
        deal = DEALS[payment.kind]
        payment.problems += quote_problems(answer.content, content, intent, deal)
        payment.transaction_id = content["transactionId"]
        terms = Terms(str(answer.content.get("ilpPacket")), str(answer.content.get("condition")))
        expiration = timestamp(LIFETIME_S)
        return TransferOrder(new_transfer_id(), payer, payee, deal.pays_units, intent.currency, terms, expiration)

    async def _authorize(self, payment: PaymentResult, intent: PaymentIntent, request_id: str) -> None:
        """Send the payer an OTP, which the payee's terminal must return; raises UnansweredError if it does not."""
        otp = f"{randbelow(OTP_END):06d}"
        self._dfsps[intent.payee.fsp].agreements.entered[request_id] = otp
        path = authorization_path(request_id, intent.money, RETRIES_LEFT)
        answer = await self.request(payment, intent.payer.fsp, intent.payee.fsp, "GET", path, request_id)
        information = answer.content.get("authenticationInfo")
        entered = information.get("authenticationValue") if isinstance(information, dict) else None
        if (answer.content.get("responseType"), entered) != ("ENTERED", otp):
            raise UnansweredError(f"OTP: the payee's terminal answered {answer.content}")
