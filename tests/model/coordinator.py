"""The coordinator of settlement: the partition that opens windows, has them closed, and publishes their nets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tests.model.effects import Effect, Effects
from tests.model.journal import Breach
from tests.model.nets import ACCOUNT_TYPE, CURRENCY, Nets, Party, Sums

SCHEDULED: Final = "closed by schedule"
REFUSED: Final = "3100"
UNKNOWN: Final = "2001"
NOT_LOWERED: Final = "3100"


class Coordinator:
    """Follows the commands and reports that reach the coordinator; on other partitions there are none."""

    def __init__(self, partitions: int, *, by_schedule: bool) -> None:
        self.states: dict[int, str] = {}
        self.closed: dict[int, Nets] = {}
        self.models: list[dict[str, Any]] = []
        self.feature_level = 1
        self._partitions = partitions
        self._by_schedule = by_schedule
        self._used: set[int] = set()
        self._closed_again: set[int] = set()
        self._reports: dict[int, dict[int, Nets]] = {}
        self._reasons: dict[int, str | None] = {}

    # -- punctuators

    def follow_punctuators(self, written: list[Effect], effects: Effects) -> None:
        """Follow the punctuators, which run before a round's first record: they open window 1 and close by schedule."""
        for _kind, window, state, reason, _contents in [one for one in written if one[0] == "window"]:
            if state == "OPEN" and not self.states:
                self._open(1, effects)
            elif state == "PROCESSING" and reason == SCHEDULED:
                self._close_by_schedule(window, effects)

    def _close_by_schedule(self, window: int, effects: Effects) -> None:
        if not self._by_schedule or self._close(window, SCHEDULED, effects) is not None:
            raise Breach(f"window {window} was closed by a schedule, and must not")

    # -- commands; each returns the code of the error that refuses it, or None

    def command(self, message: dict[str, Any], effects: Effects) -> None:
        command = message["command"]
        effects.add("reply", message["correlation_id"], COMMANDS[command["name"]](self, command, effects))

    def _close_by_hand(self, args: dict[str, Any], effects: Effects) -> str | None:
        return self._close(args["window"], args["reason"], effects)

    def _close(self, window: int, reason: str, effects: Effects) -> str | None:
        state = self.states.get(window)
        if state not in ("OPEN", "PROCESSING") or window not in self._used:
            return REFUSED
        self._publish(window, "PROCESSING", reason, effects)
        if state == "OPEN":
            self._open(window + 1, effects)
        else:
            self._closed_again.add(window)
        for partition in range(self._partitions):
            effects.add("settlement", partition, "close-window", window)
        return None

    def _add_model(self, args: dict[str, Any], effects: Effects) -> str | None:
        self.models.append({**args["model"], "active": True})
        self._broadcast_models(effects)
        return None

    def _set_model_active(self, args: dict[str, Any], effects: Effects) -> str | None:
        model = next((one for one in self.models if one["name"] == args["model_name"]), None)
        if model is None:
            return UNKNOWN
        model["active"] = args["active"]
        self._broadcast_models(effects)
        return None

    def _broadcast_models(self, effects: Effects) -> None:
        models = tuple((one["name"], one["active"]) for one in self.models)
        for partition in range(self._partitions):
            effects.add("settlement", partition, "scheme", models, self.feature_level)

    def _raise_feature_level(self, args: dict[str, Any], effects: Effects) -> str | None:
        if args["level"] <= self.feature_level:
            return NOT_LOWERED
        self.feature_level = args["level"]
        self._broadcast_models(effects)
        return None

    # -- reports of the partitions

    def mark_used(self, window: int, effects: Effects) -> None:
        """Note that a partition has a transfer in the window."""
        self._used.add(window)
        effects.touched.add(("settlement", row_key(window)))

    def add_report(self, window: int, partition: int, rows: list[list[Any]], effects: Effects) -> None:
        """Add a partition's nets of a window; the last report closes the window."""
        reports = self._reports.setdefault(window, {})
        reported = {Party(*row[2:5]): Sums(*row[7:]) for row in rows}
        if partition in reports:
            if window not in self._closed_again or reports[partition] != reported:
                raise Breach(f"partition {partition} has reported window {window} twice")
            return
        reports[partition] = reported
        if len(reports) < self._partitions:
            return
        nets: Nets = {}
        for part in reports.values():
            if nets.keys() & part.keys():
                raise Breach(f"two partitions have reported {nets.keys() & part.keys()} in window {window}")
            nets |= part
        self._finish(window, nets, effects)

    def _finish(self, window: int, nets: Nets, effects: Effects) -> None:
        contents = []
        for granularity in sorted({party.granularity for party in nets}):
            of_netting_group = {party: sums for party, sums in nets.items() if party.granularity == granularity}
            _check_balance(window, granularity, of_netting_group)
            state = "SETTLED" if granularity == "GROSS" else "CLOSED"
            transfers = sum(sums.debit_count for sums in of_netting_group.values())
            contents.append((CURRENCY, ACCOUNT_TYPE, granularity, state, transfers))
            parties = tuple(
                sorted((*party, *sums, sums.debits - sums.credits) for party, sums in of_netting_group.items())
            )
            effects.add("settlement-windows", "nets", window, CURRENCY, ACCOUNT_TYPE, granularity, parties)
        self.closed[window] = nets
        state = "SETTLED" if {one[3] for one in contents} == {"SETTLED"} else "CLOSED"
        self._publish(window, state, self._reasons[window], effects, tuple(contents))
        for partition in range(self._partitions):
            effects.add("settlement", partition, "forget-window", window)

    def _open(self, window: int, effects: Effects) -> None:
        self._publish(window, "OPEN", None, effects)

    def _publish(self, window: int, state: str, reason: str | None, effects: Effects, contents: Effect = ()) -> None:
        self.states[window] = state
        self._reasons[window] = reason
        effects.add("settlement-windows", "window", window, state, reason, contents)
        effects.touched.add(("settlement", row_key(window)))

    def check_row(self, row: list[Any]) -> None:
        """Raise Breach unless the ledger's row of a window is right."""
        _width, window, state, _reason, _created_at_ms, _changed_at_ms, used, *_rest = row
        expected = (self.states[window], window in self._used)
        if (state, used) != expected:
            raise Breach(f"row of window {window} is {row}, and must be {expected}")


def row_key(window: int) -> str:
    """The key of a window's row in table `settlement`."""
    return f"window/{window:012d}"


def _check_balance(window: int, granularity: str, nets: Nets) -> None:
    """Raise Breach unless debits and credits of a window are equal, in amount and in number."""
    owed = sum(sums.debits - sums.credits for sums in nets.values())
    legs = sum(sums.debit_count - sums.credit_count for sums in nets.values())
    if owed or legs:
        raise Breach(f"window {window}, {granularity}: the nets add up to {owed}, with {legs} debits more than credits")


COMMANDS: Final[dict[str, Callable[[Coordinator, dict[str, Any], Effects], str | None]]] = {
    "close-window": Coordinator._close_by_hand,
    "add-settlement-model": Coordinator._add_model,
    "set-settlement-model-active": Coordinator._set_model_active,
    "raise-feature-level": Coordinator._raise_feature_level,
}
