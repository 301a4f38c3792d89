"""What the DFSPs of a run know of each transfer: what they sent, its answer, and the callbacks."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from sandbox.dfsp.behaviour import Behaviour
from sandbox.dfsp.ilp import fulfilment_of
from sandbox.dfsp.wire import TransferOrder, agree_terms, new_transfer_id, timestamp
from tests.chaos.plan import DFSPS

CURRENCY: Final = "XTS"
UNIT: Final = 10_000
CAP_UNITS: Final = 10_000_000 * UNIT
FUNDS_UNITS: Final = 50_000_000 * UNIT
OVER_CAP_UNITS: Final = 2 * CAP_UNITS
SECRET: Final = b"secret of all payees"
COMMITTED: Final = "COMMITTED"
ABORTED: Final = "ABORTED"


class Kind(Enum):
    """Kinds of transfers: what the payee does, the share in per cent, and the seconds until expiry."""

    COMMIT = (Behaviour.COMMIT, 78, 30)
    RESERVE = (Behaviour.RESERVE, 9, 30)
    REJECT = (Behaviour.REJECT, 6, 30)
    SILENT = (Behaviour.SILENT, 4, 4)
    OVER_CAP = (Behaviour.COMMIT, 3, 30)

    def __init__(self, behaviour: Behaviour, share: int, lifetime_s: int) -> None:
        self.behaviour = behaviour
        self.share = share
        self.lifetime_s = lifetime_s


# Final states of topic `transfers` that each kind may end in. Whatever its payee does, a transfer expires when a fault
# keeps the answer away for too long; and one whose prepare comes too late is invalid.
MAY_END_IN: Final = {
    Kind.COMMIT: {COMMITTED, "EXPIRED_RESERVED", "EXPIRED_PREPARED", "INVALID"},
    Kind.RESERVE: {COMMITTED, "EXPIRED_RESERVED", "EXPIRED_PREPARED", "INVALID"},
    Kind.REJECT: {"ABORTED_ERROR", "EXPIRED_RESERVED", "EXPIRED_PREPARED", "INVALID"},
    Kind.SILENT: {"EXPIRED_RESERVED", "EXPIRED_PREPARED", "INVALID"},
    Kind.OVER_CAP: {"ABORTED_REJECTED", "EXPIRED_PREPARED", "INVALID"},
}
# In these states the payee had received the request, so it is notified of the end (protocol 3.6).
SENT_TO_PAYEE: Final = {COMMITTED, "ABORTED_ERROR", "EXPIRED_RESERVED"}


@dataclass(slots=True)
class Transfer:
    """A transfer. Times are of `time.monotonic`, in seconds."""

    kind: Kind
    order: TransferOrder
    sent_at_s: float
    expires_at_s: float
    accepted_at_s: float | None = None  # when a POST was answered 202
    answered_at_s: float = 0.0  # when the last POST was answered at all
    forwarded: int = 0  # how often the payee got the POST
    payer_notified: Counter[str] = field(default_factory=Counter)  # final states, by how often
    payee_notified: Counter[str] = field(default_factory=Counter)
    ended_at_s: float | None = None  # when the payer first received a final state
    on_get: str | None = None  # what the payer's query at the end was answered with

    @property
    def transfer_id(self) -> str:
        return self.order.transfer_id

    @property
    def fulfilment(self) -> str:
        return fulfilment_of(self.order.terms.ilp_packet, SECRET)

    @property
    def is_settled(self) -> bool:
        """Whether both sides are notified of the end, as far as they can know."""
        if not self.payer_notified:
            return False
        return not self.forwarded or bool(self.payee_notified)


class Transfers:
    """All transfers of a run; `anomalies` are what must never happen."""

    def __init__(self) -> None:
        self.by_id: dict[str, Transfer] = {}
        self.anomalies: list[str] = []
        self.is_querying = False  # from then on, PUTs of the hub answer GETs

    def new(self, chance: random.Random, now_s: float) -> Transfer:
        """Return a new transfer between two DFSPs; all but its id is drawn from `chance`."""
        kind = chance.choices(list(Kind), [kind.share for kind in Kind])[0]
        payer, payee = chance.sample(DFSPS, 2)
        amount_units = OVER_CAP_UNITS if kind is Kind.OVER_CAP else chance.randint(1, 100 * UNIT)
        transfer_id = new_transfer_id()
        terms = agree_terms(payer, payee, amount_units, CURRENCY, SECRET, transfer_id)
        order = TransferOrder(
            transfer_id, payer, payee, amount_units, CURRENCY, terms, timestamp(kind.lifetime_s), kind.behaviour
        )
        transfer = self.by_id[transfer_id] = Transfer(kind, order, now_s, now_s + kind.lifetime_s)
        return transfer

    def accepted(self) -> list[Transfer]:
        """Return the transfers that were answered 202."""
        return [one for one in self.by_id.values() if one.accepted_at_s is not None]

    def unsettled(self) -> list[Transfer]:
        """Return the transfers of which a side is still to be notified: accepted, or known to either side."""
        return [
            one
            for one in self.by_id.values()
            if not one.is_settled and (one.accepted_at_s is not None or one.payer_notified or one.forwarded)
        ]

    def books(self) -> Counter[str]:
        """Return what every DFSP's position must be, by the callbacks to the payers alone."""
        balances: Counter[str] = Counter(dict.fromkeys(DFSPS, 0))
        for one in self.by_id.values():
            if COMMITTED in one.payer_notified:
                balances[one.order.payer] += one.order.amount_units
                balances[one.order.payee] -= one.order.amount_units
        return balances
