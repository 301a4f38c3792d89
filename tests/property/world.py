"""The domain's decisions applied to dicts, as the agents apply them to tables; no agent, no message, no engine."""

from __future__ import annotations

from typing import TypeAlias

from msgspec.structs import replace

from clearinghub.domain.errors import ErrorInformation
from clearinghub.domain.participants.position import Position
from clearinghub.domain.transfers import fulfil, prepare, timeout
from clearinghub.domain.transfers.transfer import Transfer
from tests.model.messages import Flags, Fulfil, Happening, Limits, Prepare, Timeout
from tests.property.messages import DFSPS
from tests.unit.domain.samples import CONDITION, FULFILMENT, OTHER_FULFILMENT

Outcome: TypeAlias = prepare.PrepareOutcome | fulfil.FulfilOutcome | timeout.TimeoutOutcome | None
FULFILMENTS = {True: FULFILMENT, False: OTHER_FULFILMENT, None: None}


class World:
    """A scheme of one currency; every DFSP starts active, with a cap and funds of 100."""

    def __init__(self, *, on_us_transfers: bool = False) -> None:
        self.policy = prepare.PreparePolicy(on_us_transfers)
        self.active = dict.fromkeys(DFSPS, True)
        self.positions = {
            name: Position(name, "USD", "POSITION", number, net_debit_cap=100, active=True)
            for number, name in enumerate(DFSPS)
        }
        self.settlements = {
            name: Position(name, "USD", "SETTLEMENT", 100 + number, value=-100) for number, name in enumerate(DFSPS)
        }
        self.transfers: dict[str, Transfer] = {}

    def decide(self, happening: Happening) -> Outcome:
        """Return what the domain decides about a message; change nothing."""
        message, now_ms = happening.message, happening.at_ms
        if isinstance(message, Prepare):
            return prepare.decide_prepare(
                self._prepare_request(message),
                self.transfers.get(message.transfer_id),
                self._payer(message.payer),
                self._payee(message.payee),
                self.policy,
                now_ms,
            )
        if isinstance(message, Fulfil):
            stored = self.transfers.get(message.transfer_id)
            return fulfil.decide_fulfil(self._fulfil_request(message), stored, window=1, now_ms=now_ms)
        if isinstance(message, Timeout):
            return timeout.decide_timeout(self.transfers.get(message.transfer_id), now_ms)
        return None

    def apply(self, happening: Happening) -> Outcome:
        """Decide a message, store the result, and move the positions."""
        message, now_ms = happening.message, happening.at_ms
        if isinstance(message, Limits):
            position = self.positions[message.dfsp]
            self.positions[message.dfsp] = replace(position, net_debit_cap=message.net_debit_cap)
            self.settlements[message.dfsp] = replace(self.settlements[message.dfsp], value=-message.funds)
        elif isinstance(message, Flags):
            self.active[message.dfsp] = message.active
            self.positions[message.dfsp] = replace(self.positions[message.dfsp], active=message.account_active)
        outcome = self.decide(happening)
        row: Transfer | None = getattr(outcome, "transfer", None)
        if row is None:
            return outcome
        self.transfers[row.transfer_id] = row
        if isinstance(outcome, prepare.Reserved):
            self.positions[row.payer] = outcome.position
        elif isinstance(outcome, fulfil.Committed):
            self._move(row.payee, -row.amount, now_ms)
        elif isinstance(outcome, fulfil.Aborted | fulfil.AbortedInvalid) or (
            isinstance(outcome, timeout.Expired) and outcome.was_reserved
        ):
            self._move(row.payer, -row.amount, now_ms)
        return outcome

    def _move(self, name: str, change: int, now_ms: int) -> None:
        self.positions[name] = self.positions[name].changed_by(change, now_ms)

    def _payer(self, name: str) -> prepare.PayerEligibility:
        active = self.active.get(name, False)
        return prepare.PayerEligibility(name in DFSPS, active, self.positions.get(name), self.settlements.get(name))

    def _payee(self, name: str) -> prepare.PayeeEligibility:
        account = self.positions.get(name)
        account_active = account is not None and account.active
        return prepare.PayeeEligibility(
            name in DFSPS, self.active.get(name, False), account is not None, account_active
        )

    @staticmethod
    def _prepare_request(message: Prepare) -> prepare.PrepareRequest:
        return prepare.PrepareRequest(
            transfer_id=message.transfer_id,
            source=message.source,
            payer=message.payer,
            payee=message.payee,
            amount=message.amount,
            currency="USD",
            condition=CONDITION if message.right_condition else "no condition",
            expires_at_ms=message.expires_at_ms,
            hash=message.body(),
        )

    @staticmethod
    def _fulfil_request(message: Fulfil) -> fulfil.FulfilRequest:
        return fulfil.FulfilRequest(
            transfer_id=message.transfer_id,
            action=fulfil.Action(message.action),
            source=message.source,
            destination=message.destination,
            fulfilment=FULFILMENTS[message.right_fulfilment],
            completed_timestamp=None,
            hash=message.body(),
            content_version=message.version,
            error=ErrorInformation(message.error_code, "the payee's words"),
        )
