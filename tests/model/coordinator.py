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

    def __init__(self, partition: int, partitions: int, *, by_schedule: bool, at_once: int = 500) -> None:
        """`at_once` nets are published with one record at most."""
        self.states: dict[int, str] = {}
        self.closed: dict[int, Nets] = {}
        self.models: list[dict[str, Any]] = []
        self._partition = partition
        self.feature_level = 1
        self._partitions = partitions
        self._at_once = at_once
        self._by_schedule = by_schedule
        self._used: set[int] = set()
        self._closed_again: set[int] = set()
        self._reports: dict[tuple[int, int], Nets] = {}  # by window and partition
        self._reported_to: dict[tuple[int, int], str] = {}
        self._whole: set[tuple[int, int]] = set()
        self._published_to: dict[int, str] = {}  # windows whose nets are being published, and up to which row
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
        if window in self._published_to:  # the record that goes on may have been lost
            effects.add("settlement", self._partition, "publish-window", window, self._published_to[window])
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

    def add_report(self, message: dict[str, Any], rows: list[list[Any]], effects: Effects) -> None:
        """Add some of a partition's nets of a window; what is missing is requested, and the last report closes it."""
        window, partition = message["window"], message["partition"]
        place, after, to = (window, partition), message.get("after", ""), message.get("to", "")
        reported = {Party(*row[2:5]): Sums(*row[7:]) for row in rows}
        known = self._reports.setdefault(place, {})
        is_repeated = place in self._whole or after != self._reported_to.get(place, "")
        if is_repeated:
            if window not in self._closed_again or any(known.get(one) != sums for one, sums in reported.items()):
                raise Breach(f"partition {partition} has reported window {window} twice")
            if place not in self._whole and not after:
                effects.add("settlement", partition, "report-window", window, self._reported_to[place])
            return
        if known.keys() & reported.keys():
            raise Breach(f"partition {partition} has reported {known.keys() & reported.keys()} of {window} twice")
        known |= reported
        if not message["is_last"]:
            self._reported_to[place] = to
            effects.add("settlement", partition, "report-window", window, to)
            return
        self._whole.add(place)
        if all((window, number) in self._whole for number in range(self._partitions)):
            self._complete(window, effects)

    def _complete(self, window: int, effects: Effects) -> None:
        nets: Nets = {}
        for number in range(self._partitions):
            part = self._reports[window, number]
            if nets.keys() & part.keys():
                raise Breach(f"two partitions have reported {nets.keys() & part.keys()} in window {window}")
            nets |= part
        for granularity in sorted({party.granularity for party in nets}):
            of_group = {party: sums for party, sums in nets.items() if party.granularity == granularity}
            _check_balance(window, granularity, of_group)
        self.closed[window] = nets
        self._published_to[window] = ""
        self.publish(window, "", effects)

    def publish(self, window: int, after: str, effects: Effects) -> None:
        """Publish the nets of a window after the row `after`, as many as one record may; close it at the end."""
        if self._published_to.get(window) != after:
            if window not in self._closed_again:
                raise Breach(f"window {window} is published from {after}, out of order")
            return
        rows = sorted((entry_key(window, party), party, sums) for party, sums in self.closed[window].items())
        some = [one for one in rows if one[0] > after][: self._at_once]
        for granularity in sorted({party.granularity for _key, party, _sums in some}):
            parties = tuple(
                sorted(
                    (*party, *sums, sums.debits - sums.credits)
                    for _key, party, sums in some
                    if party.granularity == granularity
                )
            )
            effects.add("settlement-windows", "nets", window, CURRENCY, ACCOUNT_TYPE, granularity, parties)
        if len(some) == self._at_once:
            self._published_to[window] = some[-1][0]
            effects.add("settlement", self._partition, "publish-window", window, some[-1][0])
        else:
            del self._published_to[window]
            self._finish(window, self.closed[window], effects)

    def _finish(self, window: int, nets: Nets, effects: Effects) -> None:
        contents = []
        for granularity in sorted({party.granularity for party in nets}):
            state = "SETTLED" if granularity == "GROSS" else "CLOSED"
            transfers = sum(sums.debit_count for party, sums in nets.items() if party.granularity == granularity)
            contents.append((CURRENCY, ACCOUNT_TYPE, granularity, state, transfers))
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


def entry_key(window: int, party: Party) -> str:
    """The key of a net's row in table `settlement`."""
    return f"entry/{window}/" + "/".join((CURRENCY, ACCOUNT_TYPE, *party))


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
