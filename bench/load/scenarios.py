"""Which load is run, under which name.

`closed-N` keeps N transfers in flight, `open-N` sends N a second whatever comes back; with `-hot` behind it one payer
has 70% of the load. The others have names of their own, and some names stand for sets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bench.load.errors import BenchError

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
    """A load. Open loop where `rate` is set, in transfers/s, closed with `concurrency` in flight otherwise.

    `of_best`: the rate is so many times the best that was measured before. `fill_to`: repeat until so many transfers
    were accepted. `expiry_s` is the transfers' lifetime; what has not ended then is told by an error callback, so
    `patience_s` (timeout and drain) beyond it tells what ended late from what was lost.
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
    """What the command line says about all scenarios; None where it says nothing."""

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
    """The scenarios of these names, in this order.

    Raises:
        BenchError: there is no such name.
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
