"""The life of one transfer as the topics show it, and the movements that it must have made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from clearinghub.tools.audit.records import (
    FUNDS_IN,
    FUNDS_OUT,
    INTERCHANGE_FEE,
    POSITION,
    RECONCILIATION,
    SETTLEMENT,
    TRANSFER,
    FinalState,
    Terms,
    account_name,
)
from clearinghub.tools.audit.rules import Rule
from clearinghub.tools.client.money import shown_amount

SETTLED: Final = "SETTLED"  # settled at its commit, under an immediate gross model
COMMITTED: Final = frozenset({"COMMITTED", SETTLED})

Move = tuple[str, int]
"""An account's name, and by how much it was moved."""


@dataclass(slots=True)
class Life:
    """What was seen of one transfer, or of funds, so far. Times are those of the records.

    `requests` has the terms requested, as a rule once: funds that were refused may be requested again in other terms,
    and so may a bulk's item (`of_bulk`), for a bulk that is refused as a whole leaves nothing of its items.
    `is_partial`: it may have begun before the first record that is kept.
    """

    transfer_id: str
    partition: int
    first_ms: int
    last_ms: int
    is_partial: bool
    requests: tuple[Terms, ...] = ()
    of_bulk: bool = False
    final: FinalState | None = None
    moves: list[Move] = field(default_factory=list)
    answered_by: tuple[str, ...] = ()
    credits: int = 0
    dead_credits: int = 0

    @property
    def is_orphan(self) -> bool:
        """Whether nothing but movements was seen."""
        return not self.requests and self.final is None

    def concerns(self, participant: str, account_type: str) -> bool:
        """Return whether a movement of that account may be this transfer's."""
        terms = self.requests[0] if self.requests else None if self.final is None else self.final.terms
        if terms is None:
            return False
        if account_type == RECONCILIATION:
            return terms.kind != TRANSFER
        return participant in (terms.payer, terms.payee)


class Phase(Enum):
    """How far a transfer is."""

    UNDECIDED = "requested, and nothing else"
    IN_FLIGHT = "reserved"
    FINISHED = "final, and its movements are complete"
    AMISS = "something is missing, or wrong"


class Verdict(NamedTuple):
    """The phase of a transfer, and the rules that apply to it, each with what is wrong or None."""

    phase: Phase
    checks: tuple[tuple[Rule, str | None], ...]

    @property
    def faults(self) -> tuple[str, ...]:
        return tuple(fault for _rule, fault in self.checks if fault is not None)


def judge(life: Life, hub_name: str) -> Verdict:
    """Return how far a transfer is and which rules it keeps, by what was seen of it."""
    terms = _terms(life)
    if terms is None:
        moved = _listed(life.moves)
        return Verdict(Phase.AMISS, ((Rule.REQUESTED, f"{moved}: no such transfer is open and no funds are"),))
    checks: list[tuple[Rule, str | None]] = []
    if life.moves:
        is_missing = not life.requests and not life.is_partial
        checks.append((Rule.REQUESTED, f"{_listed(life.moves)}: nobody asked for it" if is_missing else None))
    final = life.final
    if final is None:
        if not life.moves:
            return Verdict(Phase.UNDECIDED, ())
        checks.append((Rule.IN_FLIGHT, _difference(life.moves, _reserved(terms))))
        return _verdict(checks, Phase.IN_FLIGHT)
    if life.requests:
        is_as_requested = final.terms in life.requests
        checks.append((Rule.AS_REQUESTED, None if is_as_requested else _otherwise(final.terms, life.requests)))
    if final.state in COMMITTED:
        expected = _committed(terms, hub_name) + _charged(terms, final.interchange_fee)
        expected += _settled(terms) if final.state == SETTLED else []
        fault = _difference(life.moves, expected)
        checks.append((Rule.COMMITTED, None if fault is None else fault + _credit_note(life)))
        if terms.kind == TRANSFER and not life.is_partial:
            checks.append((Rule.ANSWERED, _unanswered(life, terms)))
    else:
        checks.append((Rule.ABORTED, _not_unwound(life.moves, terms)))
    return _verdict(checks, Phase.FINISHED)


def due_moves(life: Life) -> list[Move]:
    """Return what the accounts must hold for a transfer at the cut: its amount if it is reserved, else nothing."""
    terms = _terms(life)
    return _reserved(terms) if terms is not None and life.final is None and life.moves else []


def _verdict(checks: list[tuple[Rule, str | None]], phase: Phase) -> Verdict:
    is_well = all(fault is None for _rule, fault in checks)
    return Verdict(phase if is_well else Phase.AMISS, tuple(checks))


def _terms(life: Life) -> Terms | None:
    """Return the terms that count: those requested, or of a partial life those of its end or its reservation."""
    if life.requests:
        if life.final is not None and life.final.terms in life.requests:
            return life.final.terms
        reserved = next((terms for terms in life.requests if life.moves[:1] == _reserved(terms)), None)
        return reserved or life.requests[0]
    if life.final is not None:
        return life.final.terms
    account, change = life.moves[0] if life.moves else ("", 0)
    if not life.is_partial or change <= 0:
        return None
    participant, currency, account_type = account.rsplit("/", 2)
    return Terms(TRANSFER if account_type == POSITION else FUNDS_OUT, participant, participant, change, currency)


def _reserved(terms: Terms) -> list[Move]:
    if terms.kind == FUNDS_IN:
        return []  # booked at once, never in flight
    account_type = POSITION if terms.kind == TRANSFER else SETTLEMENT
    return [(account_name(terms.payer, terms.currency, account_type), terms.amount)]


def _committed(terms: Terms, hub_name: str) -> list[Move]:
    if terms.kind == TRANSFER:
        return [*_reserved(terms), (account_name(terms.payee, terms.currency, POSITION), -terms.amount)]
    own = account_name(terms.payer, terms.currency, SETTLEMENT)
    mirror = account_name(hub_name, terms.currency, RECONCILIATION)
    change = -terms.amount if terms.kind == FUNDS_IN else terms.amount
    return [(own, change), (mirror, -change)]


def _charged(terms: Terms, fee: int) -> list[Move]:
    payer, payee = (account_name(name, terms.currency, INTERCHANGE_FEE) for name in (terms.payer, terms.payee))
    return [(payer, fee), (payee, -fee)] if fee else []


def _settled(terms: Terms) -> list[Move]:
    """Return the moves of an immediate settlement: both positions go back, both settlement accounts move instead."""
    payer, payee = (
        (account_name(name, terms.currency, POSITION), account_name(name, terms.currency, SETTLEMENT))
        for name in (terms.payer, terms.payee)
    )
    back, paid = terms.amount, -terms.amount
    return [(payer[0], paid), (payer[1], back), (payee[0], back), (payee[1], paid)]


def _not_unwound(moves: list[Move], terms: Terms) -> str | None:
    reserved = _reserved(terms)
    back = [(account, -change) for account, change in reserved]
    return None if not moves else _difference(moves, reserved + back)


def _difference(moves: list[Move], expected: list[Move]) -> str | None:
    missing, other = list(expected), []
    for move in moves:
        if move in missing:
            missing.remove(move)
        else:
            other.append(move)
    faults = [f"missing {_listed(missing)}"] if missing else []
    if other:
        faults.append(f"too much {_listed(other)}")
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


def _otherwise(final: Terms, requests: Iterable[Terms]) -> str:
    return f"told {_words(final)}, asked {' or '.join(map(_words, requests))}"


def _words(terms: Terms) -> str:
    return f"{terms.kind} {terms.payer} to {terms.payee} {shown_amount(terms.amount)} {terms.currency}"


def _listed(moves: Iterable[Move]) -> str:
    return ", ".join(f"{account} {shown_amount(change, signed=True)}" for account, change in moves)
