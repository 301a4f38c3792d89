"""Nets: what each account owes or is owed in a settlement window, updated at every commit (protocol 9.2, design 7).

A transfer has two legs, and each is counted on its account's partition: the payer's debit at the commit, the payee's
credit when it arrives, both in the window and by the settlement method that the payer's partition decided. So a
window's nets are complete when its last credit has arrived, and closing the window only collects them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from clearinghub.domain.money import format_amount
from clearinghub.domain.participants.participant import SettlementModel
from clearinghub.rows import Row

NET: Final = "NET"
GROSS: Final = "GROSS"
IMBALANCES_SHOWN_MAX: Final = 3  # in a window's reason


class NettingGroup(NamedTuple):
    """What is netted together: a currency and a ledger account type.

    `granularity` tells whether the group waits for settlement (NET) or was settled transfer by transfer (GROSS).
    """

    currency: str
    account_type: str
    granularity: str

    def __str__(self) -> str:
        return f"{self.currency} {self.account_type} {self.granularity}"


class Party(NamedTuple):
    """Whose net it is: a participant's, against one counterparty where pairs are kept, else against all ("")."""

    participant: str
    counterparty: str = ""


class AccountIds(NamedTuple):
    """How the API names an account and its participant."""

    participant_id: int
    account_id: int


class Net(msgspec.Struct, frozen=True, array_like=True):
    """The debits and credits of one party in one netting group of one window, in 1/10,000 of the unit."""

    debits: int = 0
    credits: int = 0
    debit_count: int = 0
    credit_count: int = 0

    @property
    def amount(self) -> int:
        """Positive for what the party owes, negative for what it is owed (protocol 9.1)."""
        return self.debits - self.credits

    def plus(self, other: Net) -> Net:
        """Return the sum of both."""
        return Net(
            self.debits + other.debits,
            self.credits + other.credits,
            self.debit_count + other.debit_count,
            self.credit_count + other.credit_count,
        )

    def debited(self, amount: int) -> Net:
        """Return the net with one more debit."""
        assert amount >= 0
        return Net(self.debits + amount, self.credits, self.debit_count + 1, self.credit_count)

    def credited(self, amount: int) -> Net:
        """Return the net with one more credit."""
        assert amount >= 0
        return Net(self.debits, self.credits + amount, self.debit_count, self.credit_count + 1)


class PartyNet(msgspec.Struct, frozen=True, array_like=True):
    """The net of a party, with the account that it is of."""

    party: Party
    account: AccountIds
    net: Net


class ContentSums(Row, frozen=True, array_like=True):
    """The sums of one netting group in one window, kept with each entry, so that no decision has to read them all.

    `without_pairs` counts the entries against all others together; such a content cannot be settled by pairs.
    `disagreements` counts the pairs in which one does not owe what the other is owed.
    """

    net: Net = Net()
    entries: int = 0
    without_pairs: int = 0
    disagreements: int = 0

    def with_entry(self, party: Party, before: Net | None, after: Net, opposite: Net | None) -> ContentSums:
        """Return the sums after the entry of `party` has become `after`; `before` is None for a new one.

        `opposite` is the entry of its counterparty against it, if there is one.
        """
        old = before or Net()
        net = self.net
        changed = msgspec.structs.replace(
            self,
            net=Net(
                net.debits + after.debits - old.debits,
                net.credits + after.credits - old.credits,
                net.debit_count + after.debit_count - old.debit_count,
                net.credit_count + after.credit_count - old.credit_count,
            ),
        )
        if before is None:
            without = 0 if party.counterparty else 1
            changed = msgspec.structs.replace(
                changed, entries=self.entries + 1, without_pairs=self.without_pairs + without
            )
        if not party.counterparty or party.counterparty == party.participant:
            return changed
        owed = 0 if opposite is None else opposite.amount
        agreed, agrees = old.amount + owed == 0, after.amount + owed == 0
        assert self.disagreements + agreed - agrees >= 0
        return msgspec.structs.replace(changed, disagreements=self.disagreements + agreed - agrees)

    @property
    def lacks_pairs(self) -> bool:
        """Whether some party was netted against all, so that a bilateral settlement is impossible."""
        return self.without_pairs > 0


@dataclass(frozen=True, slots=True)
class SettlementMethod:
    """How the transfers of a currency are settled: netted against all, netted by pairs, or gross, each by itself.

    `settlement_account_type` is the account type into which a gross transfer moves; None for those that are netted.
    """

    settlement_account_type: str | None = None
    by_pairs: bool = False

    @property
    def is_gross(self) -> bool:
        """Whether a transfer is settled at its commit."""
        return self.settlement_account_type is not None

    @property
    def granularity(self) -> str:
        """The granularity of the netting group to which such transfers belong."""
        return GROSS if self.is_gross else NET


def settlement_method_of(models: Iterable[SettlementModel], currency: str, account_type: str) -> SettlementMethod:
    """Return how the model in force settles that group; without a model it is netted against all.

    A currency's own model comes before a model for all currencies, and the older of two before the younger.
    """
    apt = [model for model in models if model.active and model.ledger_account_type == account_type]
    own = [model for model in apt if model.currency == currency] or [model for model in apt if model.currency is None]
    if not own:
        return SettlementMethod()
    model = own[0]
    if (model.delay, model.granularity) == ("IMMEDIATE", "GROSS"):
        return SettlementMethod(settlement_account_type=model.settlement_account_type)
    return SettlementMethod(by_pairs=(model.granularity, model.interchange) == ("NET", "BILATERAL"))


def imbalance(netting_group: NettingGroup, sums: ContentSums) -> str | None:
    """Return why these sums cannot be those of a whole window: they do not add up to zero. None if they do.

    Counts are compared as well: a debit of 5 without its credit and a credit of 5 without its debit are no balance.
    """
    net = sums.net
    if net.amount or net.debit_count != net.credit_count:
        counts = f"{net.debit_count} debits, {net.credit_count} credits"
        return f"{netting_group}: {counts}, together {format_amount(net.amount)}"
    if sums.disagreements:
        return f"{netting_group}: {sums.disagreements} pairs of participants do not agree"
    return None


def sums_of(nets: Mapping[Party, Net]) -> ContentSums:
    """Return the sums of all entries of a content."""
    sums = ContentSums()
    seen: dict[Party, Net] = {}
    for party, net in nets.items():
        sums = sums.with_entry(party, None, net, seen.get(Party(party.counterparty, party.participant)))
        seen[party] = net
    return sums


def joined(imbalances: Sequence[str]) -> str:
    """Return several imbalances as one reason, the first few in full."""
    shown = imbalances[:IMBALANCES_SHOWN_MAX]
    more = f"; and {len(imbalances) - len(shown)} more" if len(imbalances) > len(shown) else ""
    return "; ".join(shown) + more
