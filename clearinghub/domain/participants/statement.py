"""An account's statement: what moved it in a period, from one balance to the other."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One change of an account. `change` and the `value` behind it in 1/10,000 of the unit; `at_ms` when it was booked.

    `transfer_id` is what caused it; `change_number` counts the account's changes from 1 without a gap.
    """

    change_number: int
    at_ms: int
    transfer_id: str
    entry_type: str
    change: int
    value: int


@dataclass(frozen=True, slots=True)
class Statement:
    """The lines of a period, oldest first, and `opening`, the balance before them.

    `is_whole` is False when there were more lines than one answer takes; the rest follows behind the last of these.
    `kept_from_ms` is set when older records of the period are no longer kept: the time of the first that is.
    """

    opening: int
    lines: tuple[StatementLine, ...]
    is_whole: bool
    kept_from_ms: int | None

    @property
    def closing(self) -> int:
        """The balance behind the last line."""
        return self.lines[-1].value if self.lines else self.opening
