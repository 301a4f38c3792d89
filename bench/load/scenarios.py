"""The scenarios: each is a load with a name.

`closed-N` keeps N transfers in flight; `open-N` sends N a second, whatever comes back; with `-hot` after it one payer
sends 70% of the load. Other scenarios have names of their own, and some names mean a set of scenarios.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bench.load import BenchError

HOT_SHARE = 0.7
DURATION_S = 30.0
WARMUP_S = 10.0
SHORT_DURATION_S = 15.0
SHORT_WARMUP_S = 5.0
SUSTAINED_S = 600.0
PART_S = 60.0
BEST_OF_DURATION_S = 20.0
CONCURRENCY = 300
MILLION = 1_000_000


@dataclass(frozen=True)
class Scenario:
    """A load: an open loop at `rate` transfers/s or, if that is 0, a closed loop with `concurrency` in flight.

    With `of_best` the rate is that multiple of the best rate measured before. With `fill_to` the scenario is repeated
    until so many transfers were accepted. `expiry_s` is the transfers' lifetime: afterwards the hub reports an error.
    `patience_s`, the generator's timeout and drain, must be longer to distinguish late transfers from lost ones.
    """

    name: str
    concurrency: int = 1
    rate: float = 0.0
    hot: float = 0.0
    warmup_s: float = WARMUP_S
    duration_s: float = DURATION_S
    of_best: float = 0.0
    fill_to: int = 0
    expiry_s: float = 300.0
    patience_s: float = 30.0


@dataclass(frozen=True)
class Choice:
    """The options of the command line that change scenarios; None keeps the scenario's own value."""

    duration_s: float | None = None
    warmup_s: float | None = None
    concurrency: int = CONCURRENCY  # of sustained and million
    rate: float = 0.0  # of sustained: open loop
    transfers: int = MILLION


REST = Scenario("rest", concurrency=1, warmup_s=3.0)
OVERLOAD = Scenario("overload", of_best=2.0, expiry_s=60.0, patience_s=150.0)
SETS = {
    "default": "rest closed-10 closed-100 closed-300 closed-600 hot open-200 overload",
    "short": "rest open-200 closed-100 hot",
    "full": "default open-1000 sustained sustained-hot million",
}
KNOWN = "rest hot overload sustained sustained-hot million closed-N open-N closed-N-hot open-N-hot"
GENERIC = re.compile(r"(closed|open)-(\d{1,5})(-hot)?")


def chosen_scenarios(names: Sequence[str], choice: Choice) -> list[Scenario]:
    """Return the scenarios of these names, sets expanded, in this order.

    Raises:
        BenchError: a name is unknown.
    """
    return [_with_choice(one, choice) for name in names for one in _expanded(name, choice)]


def _expanded(name: str, choice: Choice) -> Iterator[Scenario]:
    if name not in SETS:
        yield _named(name, choice)
        return
    for part in SETS[name].split():
        for one in _expanded(part, choice):
            is_short = name == "short"
            yield replace(one, duration_s=SHORT_DURATION_S, warmup_s=SHORT_WARMUP_S) if is_short else one


def _named(name: str, choice: Choice) -> Scenario:
    if match := GENERIC.fullmatch(name):
        kind, number, hot = match.groups()
        load = Scenario(name, hot=HOT_SHARE if hot else 0.0)
        if int(number) > 0:
            value = int(number)
            return replace(load, rate=float(value)) if kind == "open" else replace(load, concurrency=value)
    elif name in ("sustained", "sustained-hot"):
        hot_share = HOT_SHARE if name.endswith("hot") else 0.0
        return Scenario(name, choice.concurrency, choice.rate, hot_share, duration_s=SUSTAINED_S)
    elif name == "million":
        return Scenario(name, choice.concurrency, warmup_s=2.0, duration_s=PART_S, fill_to=choice.transfers)
    elif name in ("rest", "overload"):
        return REST if name == "rest" else OVERLOAD
    elif name == "hot":
        return Scenario(name, CONCURRENCY, hot=HOT_SHARE)
    raise BenchError(f"No scenario {name!r}. There are: {KNOWN}; sets: {', '.join(SETS)}.")


def _with_choice(scenario: Scenario, choice: Choice) -> Scenario:
    return replace(
        scenario,
        duration_s=scenario.duration_s if choice.duration_s is None else choice.duration_s,
        warmup_s=scenario.warmup_s if choice.warmup_s is None else choice.warmup_s,
    )
