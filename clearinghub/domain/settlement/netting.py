"""Nets: what each account owes or is owed in a settlement window, updated at every commit (protocol 9.2, design 7).

A transfer has two legs, and each is counted where its account lives: the payer's debit at the commit, the payee's
credit when it arrives, both in the window and in the way that the payer's partition decided. So a window's nets are
done when its last credit is, and closing it only collects them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from clearinghub.domain.money import format_amount
from clearinghub.domain.participants.participant import SettlementModel

NET: Final = "NET"
GROSS: Final = "GROSS"
TOLD_MAX: Final = 3  # imbalances that a window's reason names


class NettingGroup(NamedTuple):
    """What is netted together: a currency and a ledger account type.

    `granularity` tells whether it waits for settlement (NET) or was settled transfer by transfer (GROSS).
    """

    currency: str
    account_type: str
    granularity: str


class Party(NamedTuple):
    """Whose net: a participant's, against one other where pairs are kept, else against all (`counterparty` "")."""

    participant: str
    counterparty: str = ""


class Net(NamedTuple):
    """The debits and credits of one party in one netting_group of one window, in 1/10,000 of the unit."""

    debits: int = 0
    credits: int = 0
    debit_count: int = 0
    credit_count: int = 0

    @property
    def amount(self) -> int:
        """Positive for what the party owes, negative for what it is owed (protocol 9.1)."""
        return self.debits - self.credits

    def plus(self, other: Net) -> Net:
        """Both together."""
        return Net(
            self.debits + other.debits,
            self.credits + other.credits,
            self.debit_count + other.debit_count,
            self.credit_count + other.credit_count,
        )

    def debited(self, amount: int) -> Net:
        """With one more debit."""
        return self._replace(debits=self.debits + amount, debit_count=self.debit_count + 1)

    def credited(self, amount: int) -> Net:
        """With one more credit."""
        return self._replace(credits=self.credits + amount, credit_count=self.credit_count + 1)


@dataclass(frozen=True, slots=True)
class SettlementMethod:
    """How the transfers of a currency are settled: netted against all, netted by pairs, or gross, one by one.

    `settlement_account_type` is where a gross one moves to; None for those that are netted.
    """

    settlement_account_type: str | None = None
    by_pairs: bool = False

    @property
    def is_gross(self) -> bool:
        """Settled at its commit."""
        return self.settlement_account_type is not None

    @property
    def granularity(self) -> str:
        """Of the netting_group that it belongs to."""
        return GROSS if self.is_gross else NET


def settlement_method_of(models: Iterable[SettlementModel], currency: str, account_type: str) -> SettlementMethod:
    """How the model in force settles that group; without a model it is netted against all, for whom it may come.

    A currency's own model comes before one for all currencies, and the older of two before the younger.
    """
    apt = [model for model in models if model.active and model.ledger_account_type == account_type]
    own = [model for model in apt if model.currency == currency] or [model for model in apt if model.currency is None]
    if not own:
        return SettlementMethod()
    model = own[0]
    if (model.delay, model.granularity) == ("IMMEDIATE", "GROSS"):
        return SettlementMethod(settlement_account_type=model.settlement_account_type)
    return SettlementMethod(by_pairs=(model.granularity, model.interchange) == ("NET", "BILATERAL"))


def imbalance(netting_group: NettingGroup, nets: Mapping[Party, Net]) -> str | None:
    """Why these nets cannot be all of a window's: they do not add up to zero; None if they do.

    Counts are compared as well: a debit of 5 without its credit beside a credit of 5 without its debit is no balance.
    """
    total = sum(net.amount for net in nets.values())
    debits = sum(net.debit_count for net in nets.values())
    credits_ = sum(net.credit_count for net in nets.values())
    if total == 0 and debits == credits_:
        return _pair_imbalance(netting_group, nets)
    return f"{_words(netting_group)}: {debits} debits, {credits_} credits, together {format_amount(total)}"


def _pair_imbalance(netting_group: NettingGroup, nets: Mapping[Party, Net]) -> str | None:
    """Between two, what the one owes is what the other is owed."""
    for party, net in nets.items():
        other = nets.get(Party(party.counterparty, party.participant), Net()) if party.counterparty else None
        if other is not None and other.amount != -net.amount and party.participant != party.counterparty:
            return f"{_words(netting_group)}: {party.participant} and {party.counterparty} do not agree"
    return None


def told(faults: Sequence[str]) -> str:
    """Several faults as a window's reason."""
    more = f"; and {len(faults) - TOLD_MAX} more" if len(faults) > TOLD_MAX else ""
    return "; ".join(faults[:TOLD_MAX]) + more


def _words(netting_group: NettingGroup) -> str:
    return f"{netting_group.currency} {netting_group.account_type} {netting_group.granularity}"
