"""The committed transfers of a settlement window, one by one, and whether they are what the window holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from clearinghub.domain.money import format_amount
from clearinghub.domain.participants.scheme import POSITION
from clearinghub.domain.settlement.interchange_fee import INTERCHANGE_FEE
from clearinghub.domain.settlement.netting import Net, NettingGroup, PartyNet

FAULTS_SHOWN_MAX: Final = 20  # one lost transfer makes two of them


class Place(NamedTuple):
    """Where on topic `transfers` a transfer is; transfers are listed in this order."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class WindowTransfer:
    """One committed transfer; amounts in 1/10,000 of the unit. A negative `interchange_fee` is owed to the payer."""

    place: Place
    transfer_id: str
    payer: str
    payee: str
    currency: str
    amount: int
    interchange_fee: int
    state: str
    prepared_at: str
    finished_at: str


class _Account(NamedTuple):
    currency: str
    account_type: str
    participant: str


class TransferSums:
    """Sums of transfers by account, in memory that grows with the accounts only."""

    def __init__(self) -> None:
        self._nets: dict[_Account, Net] = {}
        self._held: dict[_Account, Net] = {}

    def add(self, transfers: Iterable[WindowTransfer]) -> None:
        """Add some transfers to the sums."""
        for one in transfers:
            self._book(one.currency, POSITION, one.payer, one.payee, one.amount)
            fee = one.interchange_fee
            if fee:
                payer, payee = (one.payer, one.payee) if fee > 0 else (one.payee, one.payer)
                self._book(one.currency, INTERCHANGE_FEE, payer, payee, abs(fee))

    def totals(self) -> list[tuple[str, int, int]]:
        """Return for each currency, in order, how many transfers there are and the sum of their amounts."""
        found: dict[str, tuple[int, int]] = {}
        for account, net in self._nets.items():
            if account.account_type == POSITION:
                count, amount = found.get(account.currency, (0, 0))
                found[account.currency] = (count + net.debit_count, amount + net.debits)
        return [(currency, *found[currency]) for currency in sorted(found)]

    def hold(self, netting_group: NettingGroup, nets: Iterable[PartyNet]) -> None:
        """Add some of the nets that the window holds."""
        for one in nets:
            account = _Account(netting_group.currency, netting_group.account_type, one.party.participant)
            self._held[account] = self._held.get(account, Net()).plus(one.net)

    def faults(self) -> list[str]:
        """Return where these transfers, supposed to be all of a window, differ from all nets that it holds."""
        found = list(self._differences())
        more = len(found) - FAULTS_SHOWN_MAX
        return [*found[:FAULTS_SHOWN_MAX], f"and {more} more"] if more > 0 else found

    def _differences(self) -> Iterator[str]:
        for account in sorted(self._held.keys() | self._nets.keys()):
            expected, listed = self._held.get(account, Net()), self._nets.get(account, Net())
            if expected != listed:
                name = f"{account.currency} {account.account_type} of {account.participant}"
                yield f"{name}: the window holds {_words(expected)}, its transfers are {_words(listed)}"

    def _book(self, currency: str, account_type: str, payer: str, payee: str, amount: int) -> None:
        debited, credited = _Account(currency, account_type, payer), _Account(currency, account_type, payee)
        self._nets[debited] = self._nets.get(debited, Net()).debited(amount)
        self._nets[credited] = self._nets.get(credited, Net()).credited(amount)


def _words(net: Net) -> str:
    debits, credits_ = format_amount(net.debits), format_amount(net.credits)
    return f"{debits} in {net.debit_count} debits and {credits_} in {net.credit_count} credits"
