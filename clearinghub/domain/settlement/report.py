"""What is reported of a closed window and of a settlement: who paid and was paid how much, and what does not fit.

A report is made anew from the nets of the windows' contents. What it finds at odds with itself, or with what the
settlement says, are its faults: sentences for people, none if all is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from clearinghub.domain.money import format_amount
from clearinghub.domain.settlement.creation import AccountIds, ContentNets
from clearinghub.domain.settlement.netting import Net, NettingGroup, Party, imbalance
from clearinghub.domain.settlement.settlement import Line, Settlement
from clearinghub.domain.settlement.window import Window, WindowState

CLOSED: Final = frozenset(WindowState) - {WindowState.OPEN, WindowState.PROCESSING, WindowState.FAILED}
"""States of a window whose nets are final."""

WindowNets = Mapping[int, Mapping[NettingGroup, ContentNets]]
"""By the number of a window what it holds."""


@dataclass(frozen=True, slots=True)
class ReportLine:
    """What one party has paid and was paid; `account` is its settlement's line, None in the report of a window."""

    party: Party
    ids: AccountIds
    net: Net
    account: Line | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """One netting_group: its lines in the order of the parties' names, and all of them together."""

    netting_group: NettingGroup
    lines: tuple[ReportLine, ...]

    @property
    def total(self) -> Net:
        """The sum of all lines; its debits are its credits unless something is wrong."""
        return summed(line.net for line in self.lines)


@dataclass(frozen=True, slots=True)
class SettlementReport:
    """The sections, and what does not fit."""

    sections: tuple[Section, ...]
    faults: tuple[str, ...]


def summed(nets: Iterable[Net]) -> Net:
    """All of them together."""
    total = Net()
    for net in nets:
        total = total.plus(net)
    return total


def report_window(window: Window, nets: Mapping[NettingGroup, ContentNets]) -> SettlementReport:
    """The report of a closed window."""
    sections = tuple(
        Section(
            content.netting_group,
            tuple(
                ReportLine(party, nets[content.netting_group].accounts[party.participant], net)
                for party, net in sorted(nets[content.netting_group].nets.items())
            ),
        )
        for content in window.contents
    )
    counts = (
        f"{_words(content.netting_group)}: {content.transfers} transfers, {section.total.debit_count} debits"
        for content, section in zip(window.contents, sections, strict=True)
        if content.transfers != section.total.debit_count
    )
    return SettlementReport(sections, (*_imbalances(sections), *counts))


def report_settlement(settlement: Settlement, nets: WindowNets) -> SettlementReport:
    """The report of a settlement; `nets` are those of its windows, as far as these are still kept."""
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
        content = nets[window_id][netting_group]
        ids.update(content.accounts)
        for party, net in content.nets.items():
            kept = party if settlement.terms.by_pairs else Party(party.participant)
            by_party.setdefault(kept, []).append(net)
    lines = tuple(
        ReportLine(
            party, ids[party.participant], summed(by_party[party]), settlement.line(ids[party.participant].account_id)
        )
        for party in sorted(by_party)
    )
    return Section(netting_group, lines)


def _imbalances(sections: Sequence[Section]) -> Iterator[str]:
    for section in sections:
        fault = imbalance(section.netting_group, {line.party: line.net for line in section.lines})
        if fault is not None:
            yield fault


def _disagreements(settlement: Settlement, sections: Sequence[Section]) -> Iterator[str]:
    """Where the settlement settles something else than its windows hold."""
    owed = {
        (line.ids.account_id, line.party.counterparty): (line.party, section.netting_group, line.net.amount)
        for section in sections
        for line in section.lines
    }
    settled = {(line.account_id, leg.counterparty): leg.net for line in settlement.lines for leg in line.legs}
    for key in sorted(owed.keys() | settled.keys()):
        if key not in owed:
            yield f"account {key[0]} is settled by {format_amount(settled[key])}, and no window says so"
            continue
        party, netting_group, amount = owed[key]
        if settled.get(key) != amount:
            told = "nothing" if key not in settled else format_amount(settled[key])
            total = format_amount(amount)
            yield f"{netting_group.currency} of {party.participant}: its windows say {total}, settled is {told}"


def _words(netting_group: NettingGroup) -> str:
    return f"{netting_group.currency} {netting_group.account_type} {netting_group.granularity}"
