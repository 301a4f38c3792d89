"""Collects the differences between a day's books and what the hub returned, as sentences."""

from __future__ import annotations

from clearinghub.tools.client.money import shown_amount


class Problems:
    """The differences that were `found`, and how many comparisons were `checked`."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.checked = 0

    def check(self, what: str, expected: object, seen: object) -> bool:
        """Compare two values, note a difference, and return whether they are equal."""
        self.checked += 1
        if expected == seen:
            return True
        self.found.append(f"{what}: expected {expected}, seen {seen}")
        return False

    def check_amount(self, what: str, expected_units: int, seen_units: int | None) -> bool:
        """Compare two amounts in 1/10,000 as `check` does; `seen_units` is None if the hub has none."""
        seen = "nothing" if seen_units is None else shown_amount(seen_units)
        return self.check(what, shown_amount(expected_units), seen)

    def add(self, problem: str) -> None:
        """Note a problem that is no difference of two values."""
        self.checked += 1
        self.found.append(problem)
