"""The rules that the books must keep, and what was found of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

SHOWN_MAX: Final = 1_000  # violations kept of each rule; all are counted


class Rule(Enum):
    """A rule: its name, and its sentence (docs/operators.md has both)."""

    RUNNING_BALANCE = (
        "running-balance",
        "Every change of an account continues it: value = previous value + change, and its number is one more, from 1.",
    )
    REQUESTED = (
        "asked-for",
        "Every change belongs to a transfer or to funds that were requested, or is an initial position.",
    )
    ONE_FINAL_STATE = ("one-final-state", "A transfer has at most one final state.")
    AS_REQUESTED = (
        "final-as-asked",
        "A final state names the payer, payee, amount and currency that were requested.",
    )
    ANSWERED = ("committed-as-answered", "A COMMITTED transfer was answered by its payee with a fulfil.")
    COMMITTED = (
        "committed",
        "A COMMITTED transfer is its payer's +amount and its payee's -amount and nothing else; funds likewise.",
    )
    ABORTED = (
        "aborted",
        "An ABORTED, EXPIRED or INVALID transfer nets to zero on its payer and touches nobody else; funds likewise.",
    )
    IN_FLIGHT = (
        "in-flight",
        "A transfer that is reserved and not final is +amount on its payer and nothing else; funds out likewise.",
    )
    FUNDS = ("within-funds", "No reservation took a position above the payer's funds at that time.")
    CAP = ("within-cap", "No reservation took a position above the payer's net debit cap at that time.")
    POSITIONS = (
        "positions-balance",
        "In a currency all accounts that are settled, and the hub's for it, are the amounts in flight and the initial.",
    )
    RECONCILIATION = (
        "reconciliation-balance",
        "In a currency HUB_RECONCILIATION is minus all SETTLEMENT accounts, but for funds reserved to go out.",
    )
    WINDOW_NETS = (
        "window-nets",
        "A closed window's nets are those of the transfers that name it, each transfer once, and add up to zero.",
    )
    SETTLEMENT = (
        "settlement",
        "A settlement's nets add up to zero, and it has moved what its accounts' states say, and the hub's against it.",
    )
    READABLE = ("readable", "Every record of the ledger can be read.")

    def __init__(self, label: str, sentence: str) -> None:
        self.label = label
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule was broken by `subject`: a transfer's id, an account, or a currency."""

    subject: str
    detail: str


@dataclass(slots=True)
class Tally:
    """How often a rule was checked and how often it was broken; `left_out` says why it could not be checked."""

    checked: int = 0
    violations: int = 0
    shown: list[Violation] = field(default_factory=list)
    left_out: str | None = None


class Findings:
    """What was found, by rule."""

    def __init__(self) -> None:
        self.tallies = {rule: Tally() for rule in Rule}

    @property
    def violations(self) -> int:
        """How often any rule was broken."""
        return sum(tally.violations for tally in self.tallies.values())

    def check(self, rule: Rule, subject: str, fault: str | None) -> None:
        """Count a check of a rule; `fault` is what is wrong, or None."""
        tally = self.tallies[rule]
        tally.checked += 1
        if fault is None:
            return
        tally.violations += 1
        if len(tally.shown) < SHOWN_MAX:
            tally.shown.append(Violation(subject, fault))

    def leave_out(self, rule: Rule, reason: str) -> None:
        """Record why a rule, or a part of it, cannot be checked."""
        self.tallies[rule].left_out = reason
