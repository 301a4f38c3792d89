"""Settlement windows on one partition: which transfer is in which window, and what follows when a window closes.

A committed transfer is in one window, together with its credit. No sum is kept: each time that the ledger reports a
net, it is added up again from the transfers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.model.effects import Effects
from tests.model.journal import Breach
from tests.model.nets import ACCOUNT_TYPE, CURRENCY, Leg, Nets, Party, Sums, nets_of

_END = "~"  # after all rows


def row_key(window: int, party: Party) -> str:
    """The key of a net's row in table `nets`."""
    return f"net/{window}/" + "/".join((CURRENCY, ACCOUNT_TYPE, *party))


class PartitionWindows:
    """The windows of one partition, and the settlement models that it knows."""

    def __init__(self, partition: int, partitions: int, hub_partition: int, at_once: int = 500) -> None:
        """`at_once` nets are in one record at most, and removed with one record."""
        self.open = 1
        self.legs: dict[tuple[str, str], Leg] = {}
        self.models: list[dict[str, Any]] = []  # the settlement models that this partition has been notified of
        self._partition = partition
        self._partitions = partitions
        self._hub_partition = hub_partition
        self._at_once = at_once
        self._announced = 0  # the last window that the coordinator was notified of as not empty
        self._markers: dict[int, set[int]] = {}
        self._forgotten: dict[int, str] = {}  # windows that are closed, and up to which row their nets are removed
        self._touched: set[int] = set()
        self._rows: dict[str, Any] = {}
        self._ends: set[tuple[int, int]] = set()  # (partition, window): no credit of the window may follow there

    @property
    def model(self) -> dict[str, Any]:
        """The settlement model in force: one for the currency before one for all currencies, then the older one."""
        apt = [one for one in self.models if one["active"] and one["ledger_account_type"] == ACCOUNT_TYPE]
        own = [one for one in apt if one["currency"] == CURRENCY]
        return (own or [one for one in apt if one["currency"] is None] or [{}])[0]

    @property
    def is_gross(self) -> bool:
        return self.model.get("delay") == "IMMEDIATE"

    @property
    def is_by_pairs(self) -> bool:
        return (self.model.get("delay"), self.model.get("interchange")) == ("DEFERRED", "BILATERAL")

    # -- transfers

    def commit(self, transfer_id: str, payer: str, payee: str, amount: int, effects: Effects) -> Leg:
        """Commit a transfer in the open window; return the payer's leg."""
        leg = Leg(
            transfer_id,
            "debit",
            self.open,
            "GROSS" if self.is_gross else "NET",
            payer,
            payee if self.is_by_pairs else "",
            amount,
        )
        self._book(leg)
        if self._announced != self.open:
            self._announced = self.open
            effects.add("settlement", self._hub_partition, "window-used", self.open)
        return leg

    def credit(self, message: dict[str, Any]) -> None:
        """Add the payee's leg, in the window of its credit."""
        window = message["window"]
        if len(self._markers.get(window, ())) == self._partitions:
            raise Breach(f"partition {self._partition}: a credit of window {window} came after all its markers")
        granularity = "GROSS" if message.get("settles_into") else "NET"
        counterparty = message.get("counterparty", "")
        self._book(
            Leg(message["id"], "credit", window, granularity, message["participant"], counterparty, -message["change"])
        )

    def _book(self, leg: Leg) -> None:
        place = leg.transfer_id, leg.side
        if place in self.legs:
            raise Breach(f"partition {self._partition}: {place} is in windows {self.legs[place].window}, {leg.window}")
        self.legs[place] = leg
        self._touched.add(leg.window)

    # -- closing

    def leave(self, window: int, effects: Effects) -> None:
        """Leave a window that closes: later commits are in the next one, and a marker ends this one's credits."""
        again = (
            window < self.open and window not in self._forgotten
        )  # closing was requested again before it was complete
        if window != self.open and not again:
            raise Breach(f"partition {self._partition} is in window {self.open} and is to leave {window}")
        for partition in range(self._partitions):
            effects.add("credit", partition, "window-marker", window, self._partition, again)
        if again:
            self._report_if_whole(window, effects)
        else:
            self.open += 1

    def add_marker(self, window: int, source: int, effects: Effects, *, again: bool) -> None:
        """Note that all credits of the window from `source` are here; after the last source, report the nets."""
        seen = self._markers.setdefault(window, set())
        if again != (source in seen):  # nothing is lost here: a repeated marker has come before
            raise Breach(f"partition {self._partition}: second marker of {source} for window {window}")
        if not again:
            seen.add(source)
            self._report_if_whole(window, effects)

    def _report_if_whole(self, window: int, effects: Effects) -> None:
        if len(self._markers.get(window, ())) == self._partitions:
            self.report(window, "", effects)

    def report(self, window: int, after: str, effects: Effects) -> None:
        """Report the nets of a window whose rows come after the row `after`, as many as one record takes."""
        left = [one for one in self._rows_of(window) if one[0] > after]
        nets = sorted((CURRENCY, ACCOUNT_TYPE, *party, *sums) for _key, party, sums in left[: self._at_once])
        is_last = len(left) <= self._at_once
        effects.add("settlement", self._hub_partition, "window-report", window, self._partition, tuple(nets), is_last)

    def forget(self, window: int, after: str, effects: Effects) -> None:
        """Remove rows of a window that is closed, as many as one record takes; the next record removes the next."""
        if self._forgotten.get(window, "") != after:
            raise Breach(f"partition {self._partition}: window {window} is removed from {after}, out of order")
        keys = [key for key, _party, _sums in self._rows_of(window) if key > after][: self._at_once]
        self._forgotten[window] = keys[-1] if keys else _END
        if len(keys) == self._at_once:
            effects.add("settlement", self._partition, "forget-window", window, keys[-1])
        else:
            self._forgotten[window] = _END
        self._touched.add(window)

    def _rows_of(self, window: int) -> list[tuple[str, Party, Sums]]:
        """Return the nets of a window with their row keys, in order."""
        return sorted((row_key(window, party), party, sums) for party, sums in self.nets(window).items())

    def nets(self, window: int) -> Nets:
        """Return the nets of this partition's accounts in a window."""
        return nets_of(leg for leg in self.legs.values() if leg.window == window)

    # -- checks of what the ledger has written

    def check_rows(self, rows: dict[tuple[str, str], Any]) -> None:
        """Compare the changelogs with the open window and the nets of all windows that are not closed.

        Raises:
            Breach: a row is wrong.
        """
        self._rows.update({f"{table}:{key}": row for (table, key), row in rows.items() if table in ("nets", "windows")})
        for name, expected in (("open", self.open), ("used", self._announced)):
            row = self._rows.get(f"windows:{name}", [1, expected])
            if row != [1, expected]:
                raise Breach(f"partition {self._partition}: row {name} is {self._rows[f'windows:{name}']}")
        for window in self._touched:
            prefix = f"nets:net/{window}/"
            written = {key: row for key, row in self._rows.items() if key.startswith(prefix) and row is not None}
            gone = self._forgotten.get(window, "")
            expected_rows = {f"nets:{key}": [1, [*sums]] for key, _party, sums in self._rows_of(window) if key > gone}
            if written != expected_rows:
                raise Breach(f"partition {self._partition}: window {window} holds {written}, and must {expected_rows}")
        self._touched.clear()

    def check_order(self, credits_: Iterable[tuple[Any, ...]], partitions: Iterable[int]) -> None:
        """Check that no credit of a window follows the window's marker; both lists are in order of writing.

        Raises:
            Breach: a partition does.
        """
        for effect, partition in zip(credits_, partitions, strict=True):
            if effect[1] == "window-marker":
                self._ends.add((partition, effect[2]))
            elif (partition, effect[4]) in self._ends:
                raise Breach(f"partition {self._partition}: {effect[3]} is credited after its window's marker")
