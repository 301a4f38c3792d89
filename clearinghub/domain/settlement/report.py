"""What is reported of a closed window and of a settlement: who paid and was paid how much, and what does not fit.

A report is computed anew from the nets of the windows' contents. Where they contradict themselves or the settlement,
the report has faults: sentences for people, none if all is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from clearinghub.domain.money import format_amount
from clearinghub.domain.settlement.netting import AccountIds, ContentNets, Net, NettingGroup, Party, imbalance
from clearinghub.domain.settlement.settlement import Settlement, SettlementAccount
from clearinghub.domain.settlement.window import Window, WindowState

CLOSED: Final = frozenset(WindowState) - {WindowState.OPEN, WindowState.PROCESSING, WindowState.FAILED}
"""States of a window whose nets are final."""

WindowNets: TypeAlias = Mapping[int, Mapping[NettingGroup, ContentNets]]
"""The nets of several windows, by window id and netting group."""


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


def report_window(window: Window, nets: Mapping[NettingGroup, ContentNets]) -> SettlementReport:
    """Return the report of a closed window."""
    sections = tuple(
        Section(
            content.netting_group,
            tuple(
                ReportRow(one.party, one.account, one.net)
                for one in sorted(nets[content.netting_group].parties, key=lambda one: one.party)
            ),
        )
        for content in window.contents
    )
    counts = (
        f"{content.netting_group}: {content.transfers} transfers, {section.total.debit_count} debits"
        for content, section in zip(window.contents, sections, strict=True)
        if content.transfers != section.total.debit_count
    )
    return SettlementReport(sections, (*_imbalances(sections), *counts))


def report_settlement(settlement: Settlement, nets: WindowNets) -> SettlementReport:
    """Return the report of a settlement; `nets` are those of its windows, as far as these are still kept."""
    sections = tuple(
        _section(settlement, netting_group, nets)
        for netting_group in sorted({netting_group for _id, netting_group in settlement.contents})
    )
    gone = [str(window_id) for window_id in settlement.window_ids if window_id not in nets]
    if gone:
        return SettlementReport(sections, (f"no longer kept, and so not in here: windows {', '.join(gone)}",))
    return SettlementReport(sections, (*_imbalances(sections), *_disagreements(settlement, sections)))


def _section(settlement: Settlement, netting_group: NettingGroup, nets: WindowNets) -> Section:
    by_party: dict[Party, list[Net]] = {}
    ids: dict[str, AccountIds] = {}
    for window_id, of_window in settlement.contents:
        if of_window != netting_group or window_id not in nets:
            continue
        for one in nets[window_id][netting_group].parties:
            party = one.party if settlement.terms.by_pairs else Party(one.party.participant)
            by_party.setdefault(party, []).append(one.net)
            ids[party.participant] = one.account
    rows = tuple(
        ReportRow(
            party,
            ids[party.participant],
            summed(by_party[party]),
            settlement.account(ids[party.participant].account_id),
        )
        for party in sorted(by_party)
    )
    return Section(netting_group, rows)


def _imbalances(sections: Sequence[Section]) -> Iterator[str]:
    for section in sections:
        fault = imbalance(section.netting_group, {row.party: row.net for row in section.rows})
        if fault is not None:
            yield fault


def _disagreements(settlement: Settlement, sections: Sequence[Section]) -> Iterator[str]:
    """Return where the settlement settles something else than its windows hold."""
    owed = {
        (row.ids.account_id, row.party.counterparty): (row.party, section.netting_group, row.net.amount)
        for section in sections
        for row in section.rows
    }
    settled = {
        (account.account_id, leg.counterparty): leg.net for account in settlement.accounts for leg in account.legs
    }
    for key in sorted(owed.keys() | settled.keys()):
        if key not in owed:
            yield f"account {key[0]} is settled by {format_amount(settled[key])}, and no window says so"
            continue
        party, netting_group, amount = owed[key]
        if settled.get(key) != amount:
            instead = "nothing" if key not in settled else format_amount(settled[key])
            total = format_amount(amount)
            yield f"{netting_group.currency} of {party.participant}: its windows say {total}, settled is {instead}"
