"""What a run of the benchmarks gave, as it is kept in results.json and as reports are made from it.

Latency is in ms, memory in MB of 10^6 bytes, CPU in seconds of one core; names ending in `at_s` are Unix times.
"""

from __future__ import annotations

import math

from pydantic import BaseModel

SUPERVISOR = "supervisor"
HUB_ROLES = ("ingress", "ledger", "callbacks", SUPERVISOR)
BROKER = "kafka"
GENERATOR = "generator"


class Quantiles(BaseModel):
    """Of the latencies of `n` transfers; None where there was none."""

    n: int = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None


class Figures(BaseModel):
    """The generator's own report; `errors` and totals count from its start, the rest in the measured time."""

    rate: float
    concurrency: int
    hot: float
    duration_s: float
    completed: int
    completed_per_s: float
    sent_per_s: float
    latency_ms: Quantiles
    latency_from_schedule_ms: Quantiles | None = None  # open loop only
    post_202_ms: Quantiles = Quantiles()
    errors: dict[str, int]
    inflight_at_window_end: int
    not_completed_after_drain: int
    total_sent: int
    total_completed: int
    cpu_cores: dict[str, float] = {}
    system: dict[str, float] = {}
    per_second: list[int] = []

    @property
    def latency(self) -> Quantiles:
        """From the intended time of sending where there is one: nothing is hidden by a sender that stalls."""
        return self.latency_from_schedule_ms or self.latency_ms

    @property
    def accepted(self) -> int:
        """Transfers that were answered with 202."""
        return self.total_sent - self.errors["post"]

    @property
    def unfinished(self) -> int:
        """Accepted transfers whose payer has heard of no end, neither committed nor failed, not even late."""
        return self.accepted - self.total_completed - self.errors["error_callbacks"] - self.errors["late_after_timeout"]

    @property
    def failed(self) -> int:
        """Everything that did not go well, each kind counted once."""
        kinds = ("post", "put_fulfil", "error_callbacks", "timeouts", "duplicate_puts")
        return sum(self.errors[kind] for kind in kinds) + self.not_completed_after_drain


class Second(BaseModel):
    """What the generator saw complete in about a second, and its totals since its start."""

    at_s: float
    completed: int
    latency_ms: Quantiles
    in_flight: int
    sent_total: int
    refused_total: int


class Sample(BaseModel):
    """Processes by role at one time; CPU and context switches are totals since their start."""

    at_s: float
    cpu_s: dict[str, float]
    memory_mb: dict[str, float]
    switches: dict[str, int]
    steal_s: float
    busy_s: float
    load_average: float


class Memory(BaseModel):
    """Resident memory of a role in the measured time."""

    start_mb: float
    end_mb: float
    max_mb: float
    slope_mb_per_min: float  # least squares over the second half: what comes after the caches have filled


class Window(BaseModel):
    """What the processes used in the measured time."""

    seconds: float
    cpu_s: dict[str, float]
    switches: dict[str, int]
    memory: dict[str, Memory]
    busy_cores: float
    steal_cores: float
    load_average_max: float


class Measured(BaseModel):
    """One run of the generator. `part` counts the runs of a scenario that has several, from 0."""

    scenario: str
    part: int | None = None
    accepted_before: int  # transfers in the hub's tables from this run of the benchmarks, when it began
    began_at_s: float  # of the measured time
    figures: Figures
    refusals: dict[str, int]  # "POST 503" -> how often
    series: list[Second]
    window: Window
    died: list[str] = []

    @property
    def name(self) -> str:
        """The scenario's, with the part's number from 1."""
        return self.scenario if self.part is None else f"{self.scenario} {self.part + 1}"

    def cpu_ms(self, role: str) -> float:
        """CPU of a role per transfer that completed; not a number where none did."""
        completed = self.figures.completed
        return self.window.cpu_s.get(role, 0.0) * 1_000 / completed if completed else math.nan

    @property
    def hub_cpu_ms(self) -> float:
        """CPU of the hub and the broker together per transfer that completed."""
        return sum(self.cpu_ms(role) for role in (*HUB_ROLES, BROKER))


class Books(BaseModel):
    """The audit of the ledger's books behind everything: `finished` are the run's own transfers with a final state."""

    ok: bool
    broken: list[str]
    accepted: int
    without_answer: int  # POSTs that got none: each may be in the books or not
    finished: int
    in_flight: int
    undecided: int
    pending: int

    @property
    def lost(self) -> int:
        """Accepted transfers that have no final state in the books."""
        return max(0, self.accepted - self.finished)


class Run(BaseModel):
    """Everything."""

    facts: dict[str, str]
    measured: list[Measured]
    samples: list[Sample]
    books: Books | None = None

    def of(self, scenario: str) -> list[Measured]:
        """The runs of a scenario, in order."""
        return [one for one in self.measured if one.scenario == scenario]
