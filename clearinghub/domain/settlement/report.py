"""What is reported of a closed window and of a settlement: who paid and was paid how much, and what does not fit.

A report is computed anew from the nets of the windows' contents. Where they contradict themselves or the settlement,
the report has faults: sentences for people, none if all is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from clearinghub.domain.money import format_amount
from clearinghub.domain.settlement.netting import AccountIds, Net, NettingGroup, Party, PartyNet, imbalance, sums_of
from clearinghub.domain.settlement.settlement import Settlement, SettlementAccount
from clearinghub.domain.settlement.window import Window, WindowState

CLOSED: Final = frozenset(WindowState) - {WindowState.OPEN, WindowState.PROCESSING, WindowState.FAILED}
"""States of a window whose nets are final."""

ContentNets: TypeAlias = Mapping[NettingGroup, Sequence[PartyNet]]
"""The nets of one window by netting group."""
WindowNets: TypeAlias = Mapping[int, ContentNets]
"""The nets of several windows by window id."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A settlement with its accounts by id, and their legs by account id and counterparty."""

    settlement: Settlement
    accounts: Mapping[int, SettlementAccount]
    legs: Mapping[tuple[int, str], int]


@dataclass(frozen=True, slots=True)
class ReportRow:
    """What one party has paid and was paid; `account` is its account in the settlement, None in a window's report."""

    party: Party
    ids: AccountIds
    net: Net
    account: SettlementAccount | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """One netting group: its rows in the order of the parties' names."""

    netting_group: NettingGroup
    rows: tuple[ReportRow, ...]

    @property
    def total(self) -> Net:
        """The sum of all rows; its debits equal its credits unless something is wrong."""
        return summed(row.net for row in self.rows)


@dataclass(frozen=True, slots=True)
class SettlementReport:
    """The sections, and what does not fit."""

    sections: tuple[Section, ...]
    faults: tuple[str, ...]


def summed(nets: Iterable[Net]) -> Net:
    """Return the sum of some nets."""
    total = Net()
    for net in nets:
        total = total.plus(net)
    return total


def report_window(window: Window, nets: ContentNets, *, is_whole: bool = True) -> SettlementReport:
    """Return the report of a closed window; without `is_whole`, of some of its participants, which need not balance."""
    sections = tuple(
        Section(
            content.netting_group,
            tuple(
                ReportRow(one.party, one.account, one.net)
                for one in sorted(nets.get(content.netting_group, ()), key=lambda one: one.party)
            ),
        )
        for content in window.contents
    )
    if not is_whole:
        return SettlementReport(sections, ())
    counts = (
        f"{content.netting_group}: {content.transfers} transfers, {section.total.debit_count} debits"
        for content, section in zip(window.contents, sections, strict=True)
        if content.transfers != section.total.debit_count
    )
    return SettlementReport(sections, (*_imbalances(sections), *counts))


def report_settlement(settled: Settled, nets: WindowNets, *, is_whole: bool = True) -> SettlementReport:
    """Return the report of a settlement; `nets` are those of its windows, as far as these are still kept.

    Without `is_whole` it is of some of its participants, which need not balance.
    """
    settlement = settled.settlement
    sections = tuple(
        _section(settled, netting_group, nets)
        for netting_group in sorted({netting_group for _id, netting_group in settlement.contents})
    )
    gone = [str(window_id) for window_id in settlement.window_ids if window_id not in nets]
    if gone:
        return SettlementReport(sections, (f"no longer kept, and so not in here: windows {', '.join(gone)}",))
    imbalances = _imbalances(sections) if is_whole else ()
    return SettlementReport(sections, (*imbalances, *_disagreements(settled, sections)))


def _section(settled: Settled, netting_group: NettingGroup, nets: WindowNets) -> Section:
    by_party: dict[Party, list[Net]] = {}
    ids: dict[str, AccountIds] = {}
    for window_id, of_window in settled.settlement.contents:
        if of_window != netting_group or window_id not in nets:
            continue
        for one in nets[window_id].get(netting_group, ()):
            party = one.party if settled.settlement.terms.by_pairs else Party(one.party.participant)
            by_party.setdefault(party, []).append(one.net)
            ids[party.participant] = one.account
    rows = tuple(
        ReportRow(
            party,
            ids[party.participant],
            summed(by_party[party]),
            settled.accounts.get(ids[party.participant].account_id),
        )
        for party in sorted(by_party)
    )
    return Section(netting_group, rows)


def _imbalances(sections: Sequence[Section]) -> Iterator[str]:
    for section in sections:
        fault = imbalance(section.netting_group, sums_of({row.party: row.net for row in section.rows}))
        if fault is not None:
            yield fault


def _disagreements(settled: Settled, sections: Sequence[Section]) -> Iterator[str]:
    """Return where the settlement settles something else than its windows hold."""
    owed = {
        (row.ids.account_id, row.party.counterparty): (row.party, section.netting_group, row.net.amount)
        for section in sections
        for row in section.rows
    }
    legs = settled.legs
    for key in sorted(owed.keys() | legs.keys()):
        if key not in owed:
            yield f"account {key[0]} is settled by {format_amount(legs[key])}, and no window says so"
            continue
        party, netting_group, amount = owed[key]
        if legs.get(key) != amount:
            instead = "nothing" if key not in legs else format_amount(legs[key])
            total = format_amount(amount)
            yield f"{netting_group.currency} of {party.participant}: its windows say {total}, settled is {instead}"
