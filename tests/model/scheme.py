"""Checks over all partitions, once everything has ended."""

from __future__ import annotations

from collections.abc import Iterable

from tests.model.books import PartitionBooks
from tests.model.journal import Breach
from tests.model.nets import nets_of


def check_scheme(books: Iterable[PartitionBooks]) -> None:
    """Check that every transfer has ended, each commit has credited its payee once, and no money was made or lost.

    Raises:
        Breach: one of these is not so.
    """
    all_books = list(books)
    paid: dict[str, int] = {}
    credited: dict[str, int] = {}
    for one in all_books:
        for transfer_id, case in one.auditor.cases.items():
            if case.fate == "held":
                raise Breach(f"{transfer_id} has no final state")
            if case.fate == "paid":
                paid[transfer_id] = case.prepare.amount
        credited |= one.credited
    if paid != credited:
        raise Breach(f"paid and not credited, or credited and not paid: {set(paid.items()) ^ set(credited.items())}")
    owed = sum(one.auditor.owes(dfsp) for one in all_books for dfsp in one.auditor.caps)
    if owed != 0:
        raise Breach(f"the positions add up to {owed}")
    reconciled = sum(one.funds.value("Hub", "HUB_RECONCILIATION") for one in all_books)
    held = -sum(one.funds.all_settlements() for one in all_books) + sum(one.funds.reserved for one in all_books)
    if reconciled != held:
        raise Breach(f"the scheme's bank holds {reconciled}, the DFSPs' funds are {held}")
    _check_windows(all_books)


def _check_windows(all_books: list[PartitionBooks]) -> None:
    """Check that each committed transfer is in one window, the same on both sides, and in that window's nets."""
    legs = [leg for one in all_books for leg in one.windows.legs.values()]
    debits = {leg.transfer_id: leg.window for leg in legs if leg.side == "debit"}
    credits_ = {leg.transfer_id: leg.window for leg in legs if leg.side == "credit"}
    paid = {name for one in all_books for name, case in one.auditor.cases.items() if case.fate == "paid"}
    if debits != credits_ or debits.keys() != paid:
        raise Breach(f"in one window on one side only: {set(debits.items()) ^ set(credits_.items())}, of {len(paid)}")
    states = {number: state for one in all_books for number, state in one.coordinator.states.items()}
    closed = {number: nets for one in all_books for number, nets in one.coordinator.closed.items()}
    unfinished = {number for number, state in states.items() if state == "PROCESSING"}
    if unfinished or set(debits.values()) - closed.keys() - {max(states, default=0)}:
        raise Breach(f"windows {unfinished} are not closed; {sorted(closed)} are; transfers in {set(debits.values())}")
    for number, nets in closed.items():
        if nets != nets_of(leg for leg in legs if leg.window == number):
            raise Breach(f"window {number} was closed with {nets}")
