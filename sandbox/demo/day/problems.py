"""What differs from the day's books, as sentences."""

from __future__ import annotations

from clearinghub.tools.client.money import shown_amount


class Problems:
    """Collects what is not as it must be; empty at the end of a good day."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.checked = 0

    def check(self, what: str, expected: object, seen: object) -> bool:
        """One comparison; gives whether they are equal."""
        self.checked += 1
        if expected == seen:
            return True
        self.told.append(f"{what}: expected {expected}, seen {seen}")
        return False

    def check_amount(self, what: str, expected_units: int, seen_units: int | None) -> bool:
        """The same for amounts in 1/10,000; None where the hub knows none."""
        seen = "nothing" if seen_units is None else shown_amount(seen_units)
        return self.check(what, shown_amount(expected_units), seen)

    def add(self, problem: str) -> None:
        """Something that is wrong in itself."""
        self.checked += 1
        self.told.append(problem)
