"""The life of one transfer as the topics tell it, and what its movements must be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from clearinghub.tools.audit.money import shown
from clearinghub.tools.audit.records import (
    FUNDS_IN,
    FUNDS_OUT,
    INTERCHANGE_FEE,
    POSITION,
    RECONCILIATION,
    SETTLEMENT,
    TRANSFER,
    Ending,
    Terms,
    account_name,
)
from clearinghub.tools.audit.rules import Rule

SETTLED: Final = "SETTLED"  # at its commit, under an immediate gross model
COMMITTED: Final = frozenset({"COMMITTED", SETTLED})

Move = tuple[str, int]
"""An account's name, and by how much it was moved."""


@dataclass(slots=True)
class Life:
    """What was seen of one transfer, or of funds, so far. Times are those of the records.

    `asked` holds what was asked for, as a rule once: funds that were refused may be asked for again in other terms, and
    so may a bulk's line (`of_bulk`), for a bulk that is refused as a whole leaves nothing of its lines.
    `is_partial`: it may have begun before the first record that is kept.
    """

    transfer_id: str
    partition: int
    first_ms: int
    last_ms: int
    is_partial: bool
    asked: tuple[Terms, ...] = ()
    of_bulk: bool = False
    ending: Ending | None = None
    moves: list[Move] = field(default_factory=list)
    answered_by: tuple[str, ...] = ()
    credits: int = 0
    dead_credits: int = 0

    @property
    def is_orphan(self) -> bool:
        """Nothing but movements was seen."""
        return not self.asked and self.ending is None

    def concerns(self, participant: str, account_type: str) -> bool:
        """Whether a movement of that account may be this transfer's."""
        terms = self.asked[0] if self.asked else None if self.ending is None else self.ending.terms
        if terms is None:
            return False
        if account_type == RECONCILIATION:
            return terms.kind != TRANSFER
        return participant in (terms.payer, terms.payee)


class Standing(Enum):
    """Where a transfer is."""

    UNDECIDED = "asked for, and nothing else"
    IN_FLIGHT = "reserved"
    FINISHED = "final, and its movements are complete"
    AMISS = "something is missing, or wrong"


class Verdict(NamedTuple):
    """`looked_at` are the rules that apply, each with what is wrong or None."""

    standing: Standing
    looked_at: tuple[tuple[Rule, str | None], ...]

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong."""
        return tuple(fault for _rule, fault in self.looked_at if fault is not None)


def judge(life: Life, hub_name: str) -> Verdict:
    """How a transfer stands by what was seen of it."""
    terms = _terms(life)
    if terms is None:
        moved = _told(life.moves)
        return Verdict(Standing.AMISS, ((Rule.ASKED_FOR, f"{moved}: no such transfer is open and no funds are"),))
    looked_at: list[tuple[Rule, str | None]] = []
    if life.moves:
        unasked = not life.asked and not life.is_partial
        looked_at.append((Rule.ASKED_FOR, f"{_told(life.moves)}: nobody asked for it" if unasked else None))
    ending = life.ending
    if ending is None:
        if not life.moves:
            return Verdict(Standing.UNDECIDED, ())
        held = _held(terms)
        looked_at.append((Rule.IN_FLIGHT, _difference(life.moves, held)))
        return _verdict(looked_at, Standing.IN_FLIGHT)
    if life.asked:
        looked_at.append((Rule.AS_ASKED, None if ending.terms in life.asked else _otherwise(ending.terms, life.asked)))
    if ending.state in COMMITTED:
        expected = _committed(terms, hub_name) + _charged(terms, ending.interchange_fee)
        expected += _settled(terms) if ending.state == SETTLED else []
        fault = _difference(life.moves, expected)
        looked_at.append((Rule.COMMITTED, None if fault is None else fault + _credit_note(life)))
        if terms.kind == TRANSFER and not life.is_partial:
            looked_at.append((Rule.ANSWERED, _unanswered(life, terms)))
    else:
        looked_at.append((Rule.ABORTED, _not_unwound(life.moves, terms)))
    return _verdict(looked_at, Standing.FINISHED)


def due_moves(life: Life) -> list[Move]:
    """What the accounts must hold for it at the cut: nothing for what is final, the amount for what is reserved."""
    terms = _terms(life)
    return _held(terms) if terms is not None and life.ending is None and life.moves else []


def _verdict(looked_at: list[tuple[Rule, str | None]], standing: Standing) -> Verdict:
    is_well = all(fault is None for _rule, fault in looked_at)
    return Verdict(standing if is_well else Standing.AMISS, tuple(looked_at))


def _terms(life: Life) -> Terms | None:
    """The terms that hold: as asked; of a partial life as its end or its reservation tells."""
    if life.asked:
        if life.ending is not None and life.ending.terms in life.asked:
            return life.ending.terms
        held = next((terms for terms in life.asked if life.moves[:1] == _held(terms)), None)
        return held or life.asked[0]
    if life.ending is not None:
        return life.ending.terms
    account, change = life.moves[0] if life.moves else ("", 0)
    if not life.is_partial or change <= 0:
        return None
    participant, currency, account_type = account.rsplit("/", 2)
    return Terms(TRANSFER if account_type == POSITION else FUNDS_OUT, participant, participant, change, currency)


def _held(terms: Terms) -> list[Move]:
    if terms.kind == FUNDS_IN:
        return []  # booked at once, never in flight
    account_type = POSITION if terms.kind == TRANSFER else SETTLEMENT
    return [(account_name(terms.payer, terms.currency, account_type), terms.amount)]


def _committed(terms: Terms, hub_name: str) -> list[Move]:
    if terms.kind == TRANSFER:
        return [*_held(terms), (account_name(terms.payee, terms.currency, POSITION), -terms.amount)]
    own = account_name(terms.payer, terms.currency, SETTLEMENT)
    mirror = account_name(hub_name, terms.currency, RECONCILIATION)
    change = -terms.amount if terms.kind == FUNDS_IN else terms.amount
    return [(own, change), (mirror, -change)]


def _charged(terms: Terms, fee: int) -> list[Move]:
    payer, payee = (account_name(name, terms.currency, INTERCHANGE_FEE) for name in (terms.payer, terms.payee))
    return [(payer, fee), (payee, -fee)] if fee else []


def _settled(terms: Terms) -> list[Move]:
    """Both positions go back, and both settlement accounts move instead."""
    payer, payee = (
        (account_name(name, terms.currency, POSITION), account_name(name, terms.currency, SETTLEMENT))
        for name in (terms.payer, terms.payee)
    )
    back, paid = terms.amount, -terms.amount
    return [(payer[0], paid), (payer[1], back), (payee[0], back), (payee[1], paid)]


def _not_unwound(moves: list[Move], terms: Terms) -> str | None:
    held = _held(terms)
    back = [(account, -change) for account, change in held]
    return None if not moves else _difference(moves, held + back)


def _difference(moves: list[Move], expected: list[Move]) -> str | None:
    missing, other = list(expected), []
    for move in moves:
        if move in missing:
            missing.remove(move)
        else:
            other.append(move)
    faults = [f"missing {_told(missing)}"] if missing else []
    if other:
        faults.append(f"too much {_told(other)}")
    return "; ".join(faults) or None


def _credit_note(life: Life) -> str:
    if life.dead_credits:
        return " (its credit is a dead letter)"
    return " (a credit is recorded)" if life.credits else " (no credit is recorded)"


def _unanswered(life: Life, terms: Terms) -> str | None:
    if any(source.lower() == terms.payee.lower() for source in life.answered_by):
        return None
    others = f", only by {', '.join(life.answered_by)}" if life.answered_by else ""
    return f"no fulfil by {terms.payee}{others}"


def _otherwise(told: Terms, asked: Iterable[Terms]) -> str:
    return f"told {_words(told)}, asked {' or '.join(map(_words, asked))}"


def _words(terms: Terms) -> str:
    return f"{terms.kind} {terms.payer} to {terms.payee} {shown(terms.amount)} {terms.currency}"


def _told(moves: Iterable[Move]) -> str:
    return ", ".join(f"{account} {shown(change, signed=True)}" for account, change in moves)
