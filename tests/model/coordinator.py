"""The partition of the hub's name: it opens settlement windows, has them closed, and says what was in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tests.model.effects import Effect, Effects
from tests.model.journal import Breach
from tests.model.nets import ACCOUNT_TYPE, CURRENCY, Nets, Party, Sums

SCHEDULED: Final = "closed by schedule"
REFUSED: Final = "3100"
UNKNOWN: Final = "2001"


class Coordinator:
    """Follows what its partition is asked and told; on other partitions it has nothing to do."""

    def __init__(self, partitions: int, *, by_schedule: bool) -> None:
        self.states: dict[int, str] = {}
        self.closed: dict[int, Nets] = {}
        self.models: list[dict[str, Any]] = []
        self._partitions = partitions
        self._by_schedule = by_schedule
        self._used: set[int] = set()
        self._asked_again: set[int] = set()
        self._reports: dict[int, dict[int, Nets]] = {}
        self._reasons: dict[int, str | None] = {}

    # -- what nobody asks for

    def follow_punctuators(self, told: list[Effect], effects: Effects) -> None:
        """What the clock did, before the round took anything: the first window opens, others close by schedule."""
        for _kind, window, state, reason, _contents in [one for one in told if one[0] == "window"]:
            if state == "OPEN" and not self.states:
                self._open(1, effects)
            elif state == "PROCESSING" and reason == SCHEDULED:
                self._close_by_schedule(window, effects)

    def _close_by_schedule(self, window: int, effects: Effects) -> None:
        if not self._by_schedule or self._close(window, SCHEDULED, effects) is not None:
            raise Breach(f"window {window} was closed by a schedule, and must not")

    # -- commands; they give the code of the error that they are refused with, or None

    def command(self, line: dict[str, Any], effects: Effects) -> None:
        """Do what an operator asked."""
        command = line["command"]
        effects.add("reply", line["correlation_id"], COMMANDS[command["name"]](self, command, effects))

    def _close_by_hand(self, args: dict[str, Any], effects: Effects) -> str | None:
        return self._close(args["window"], args["reason"], effects)

    def _close(self, window: int, reason: str, effects: Effects) -> str | None:
        state = self.states.get(window)
        if state not in ("OPEN", "PROCESSING") or window not in self._used:
            return REFUSED
        self._tell(window, "PROCESSING", reason, effects)
        if state == "OPEN":
            self._open(window + 1, effects)
        else:
            self._asked_again.add(window)
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
        told = tuple((one["name"], one["active"]) for one in self.models)
        for partition in range(self._partitions):
            effects.add("settlement", partition, "scheme", told)

    # -- what the partitions tell

    def mark_used(self, window: int, effects: Effects) -> None:
        """A transfer is in it."""
        self._used.add(window)
        effects.touched.add(("settlement", row_key(window)))

    def take_report(self, window: int, partition: int, rows: list[list[Any]], effects: Effects) -> None:
        """A partition has told all that it has of a window; the last one closes it."""
        reports = self._reports.setdefault(window, {})
        nets_told = {Party(*row[2:5]): Sums(*row[7:]) for row in rows}
        if partition in reports:
            if window not in self._asked_again or reports[partition] != nets_told:
                raise Breach(f"partition {partition} has told twice of window {window}")
            return
        reports[partition] = nets_told
        if len(reports) < self._partitions:
            return
        nets: Nets = {}
        for told in reports.values():
            if nets.keys() & told.keys():
                raise Breach(f"two partitions have told of {nets.keys() & told.keys()} in window {window}")
            nets |= told
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
        self._tell(window, state, self._reasons[window], effects, tuple(contents))
        for partition in range(self._partitions):
            effects.add("settlement", partition, "forget-window", window)

    def _open(self, window: int, effects: Effects) -> None:
        self._tell(window, "OPEN", None, effects)

    def _tell(self, window: int, state: str, reason: str | None, effects: Effects, contents: Effect = ()) -> None:
        self.states[window] = state
        self._reasons[window] = reason
        effects.add("settlement-windows", "window", window, state, reason, contents)
        effects.touched.add(("settlement", row_key(window)))

    def check_row(self, row: dict[str, Any]) -> None:
        """Raises Breach if the ledger's row of a window is not as it must be."""
        window = row["id"]
        expected = (self.states[window], window in self._used)
        if (row["state"], row["used"]) != expected:
            raise Breach(f"row of window {window} is {row}, and must be {expected}")


def row_key(window: int) -> str:
    """Of a window's row in table `settlement`."""
    return f"window/{window:012d}"


def _check_balance(window: int, granularity: str, nets: Nets) -> None:
    """Nobody owes what nobody is owed."""
    owed = sum(sums.debits - sums.credits for sums in nets.values())
    legs = sum(sums.debit_count - sums.credit_count for sums in nets.values())
    if owed or legs:
        raise Breach(f"window {window}, {granularity}: the nets add up to {owed}, with {legs} debits more than credits")


COMMANDS: Final[dict[str, Callable[[Coordinator, dict[str, Any], Effects], str | None]]] = {
    "close-window": Coordinator._close_by_hand,
    "add-settlement-model": Coordinator._add_model,
    "set-settlement-model-active": Coordinator._set_model_active,
}
