"""An account's statement: what moved it in a period, from one balance to the other."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StatementEntry:
    """One movement of an account, booked at `at_ms`: by how much, and the value after it, in 1/10,000 of the unit.

    `transfer_id` is what caused it; `change_number` counts the account's movements from 1 without a gap.
    """

    change_number: int
    at_ms: int
    transfer_id: str
    entry_type: str
    change: int
    value: int


@dataclass(frozen=True, slots=True)
class Statement:
    """The entries of a period, oldest first, and `opening`, the balance before them.

    `is_whole` is False if there were more entries than one answer holds; the rest begins after the last of these.
    `kept_from_ms` is set if older records of the period are no longer kept: the time of the first that is.
    """

    opening: int
    entries: tuple[StatementEntry, ...]
    is_whole: bool
    kept_from_ms: int | None

    @property
    def closing(self) -> int:
        """The balance after the last entry."""
        return self.entries[-1].value if self.entries else self.opening
