"""The faults of a run, drawn from its seed: what happens when, to which process, and for how long."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Final, NamedTuple

from clearinghub.roles.all import ROLES
from tests.integration.hub_under_test import PARTITIONS

BROKERS: Final = 3  # of a cluster
INSTANCES: Final = 2  # of each role: no process is a single point of failure
# Two on each of four partitions.
DFSPS: Final = (
    "westbank",
    "gammabank",
    "eastbank",
    "alphabank",
    "northbank",
    "deltabank",
    "southbank",
    "greenbank",
)


class FaultKind(Enum):
    """The kinds of faults; the values are for reports."""

    LEDGER_KILLED = "kill -9 of a ledger worker"
    INGRESS_KILLED = "kill -9 of an ingress"
    CALLBACKS_KILLED = "kill -9 of a callbacks worker"
    WORKER_STOPPED = "SIGSTOP past the session timeout"
    BROKER_KILLED = "kill -9 of the broker"
    DFSP_DEAD = "a DFSP goes dead"
    ONE_BROKER_KILLED = "kill -9 of one broker of three"
    ONE_BROKER_STOPPED = "SIGTERM of one broker of three"
    CONTROLLER_KILLED = "kill -9 of the active controller"
    CONTROLLER_STOPPED = "SIGTERM of the active controller"
    LEADER_KILLED = "kill -9 of the leader of a hot partition"
    LEADER_STOPPED = "SIGTERM of the leader of a hot partition"
    ONE_BROKER_HANGS = "SIGSTOP of one broker of three"
    CONTROLLER_HANGS = "SIGSTOP of the active controller"
    LEADER_HANGS = "SIGSTOP of the leader of a hot partition"
    BLACKOUT = "kill -9 of everything at once"


OF_THREE_BROKERS: Final = (
    FaultKind.ONE_BROKER_KILLED,
    FaultKind.ONE_BROKER_STOPPED,
    FaultKind.CONTROLLER_KILLED,
    FaultKind.CONTROLLER_STOPPED,
    FaultKind.LEADER_KILLED,
    FaultKind.LEADER_STOPPED,
    FaultKind.ONE_BROKER_HANGS,
    FaultKind.CONTROLLER_HANGS,
    FaultKind.LEADER_HANGS,
)
BROKER_DEAD_S: Final = 12.0  # longer than Kafka's clients and the hub's transactions wait for anything


def kinds_of(brokers: int) -> list[FaultKind]:
    """Return the kinds of faults that a hub on so many brokers is to survive."""
    left_out = (
        (*OF_THREE_BROKERS, FaultKind.BLACKOUT) if brokers == 1 else (FaultKind.BROKER_KILLED, FaultKind.BLACKOUT)
    )
    return [kind for kind in FaultKind if kind not in left_out]


class Fault(NamedTuple):
    """One fault. `at_s` counts from the end of the warm-up; the supervisor restarts what is killed."""

    at_s: float
    kind: FaultKind
    victim: str  # a process by the supervisor's name, a DFSP, `broker`, `broker-N`, `controller` or `prepare/N`
    lasts_s: float = 0.0  # how long a process is stopped, or a DFSP or one broker of three is dead
    hangs: bool = False  # a dead DFSP accepts connections silently; otherwise it refuses them


def plan_faults(seed: int, seconds: int, interval_s: int, session_timeout_s: float, brokers: int = 1) -> list[Fault]:
    """Return a fault every `interval_s`, the first after half of it; each kind comes once before any comes again."""
    chance = random.Random(seed)
    kinds = _kinds(chance, kinds_of(brokers))
    times = range(interval_s // 2, seconds, interval_s)
    return [_fault(float(at_s), next(kinds), chance, session_timeout_s) for at_s in times]


def plan_blackouts(times: int, interval_s: int) -> list[Fault]:
    """Return that many blackouts, one every `interval_s`, the first after a third of it."""
    return [Fault(number * interval_s + interval_s / 3, FaultKind.BLACKOUT, "everything") for number in range(times)]


def other_of(victim: str) -> str:
    """Return the other process of the same role."""
    role, _, number = victim.rpartition("-")
    return f"{role}-{(int(number) + 1) % INSTANCES}"


def process_names() -> Sequence[str]:
    """Return all processes of the hub, readers of a topic before its writers."""
    return [f"{role}-{number}" for role in ROLES for number in range(INSTANCES)]


def _kinds(chance: random.Random, kinds: list[FaultKind]) -> Iterator[FaultKind]:
    while True:
        yield from chance.sample(kinds, len(kinds))


def _fault(at_s: float, kind: FaultKind, chance: random.Random, session_timeout_s: float) -> Fault:
    instance = chance.randrange(INSTANCES)
    match kind:
        case FaultKind.BROKER_KILLED:
            return Fault(at_s, kind, "broker")
        case FaultKind.ONE_BROKER_KILLED | FaultKind.ONE_BROKER_STOPPED | FaultKind.ONE_BROKER_HANGS:
            return Fault(at_s, kind, f"broker-{chance.randint(1, BROKERS)}", BROKER_DEAD_S)
        case FaultKind.CONTROLLER_KILLED | FaultKind.CONTROLLER_STOPPED | FaultKind.CONTROLLER_HANGS:
            return Fault(at_s, kind, "controller", BROKER_DEAD_S)
        case FaultKind.LEADER_KILLED | FaultKind.LEADER_STOPPED | FaultKind.LEADER_HANGS:
            return Fault(at_s, kind, f"prepare/{chance.randrange(PARTITIONS)}", BROKER_DEAD_S)
        case FaultKind.DFSP_DEAD:
            return Fault(at_s, kind, chance.choice(DFSPS), chance.uniform(8, 20), hangs=chance.random() < 0.5)
        case FaultKind.WORKER_STOPPED:
            role = chance.choice(("ledger", "ledger", "callbacks"))  # the ledger twice: it must not write late
            return Fault(at_s, kind, f"{role}-{instance}", session_timeout_s + chance.uniform(1.5, 4))
        case _:
            role = kind.name.partition("_")[0].lower()
            return Fault(at_s, kind, f"{role}-{instance}")
