"""The results of a benchmark run: the content of results.json, from which reports are made.

Latency is in ms, memory in MB of 10^6 bytes, CPU in seconds of one core; names ending in `at_s` are Unix times.
"""

from __future__ import annotations

import math

from pydantic import BaseModel

SUPERVISOR = "supervisor"
HUB_ROLES = ("ingress", "ledger", "callbacks", "admin-api", SUPERVISOR)
BROKER = "kafka"
GENERATOR = "generator"


class Quantiles(BaseModel):
    """Quantiles of the latencies of `n` transfers; None if there were none."""

    n: int = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None


class Figures(BaseModel):
    """The generator's report. `errors` and totals count from its start, everything else in the measured time."""

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
        """Latency from the intended time of sending (open loop), so that a sender that stalls hides nothing."""
        return self.latency_from_schedule_ms or self.latency_ms

    @property
    def accepted(self) -> int:
        """The number of transfers that were answered with 202."""
        return self.total_sent - self.errors["post"]

    @property
    def unfinished(self) -> int:
        """The number of accepted transfers whose payer received no outcome, neither success nor error, even late."""
        return self.accepted - self.total_completed - self.errors["error_callbacks"] - self.errors["late_after_timeout"]

    @property
    def failed(self) -> int:
        """The number of errors of all kinds."""
        kinds = ("post", "put_fulfil", "error_callbacks", "timeouts", "duplicate_puts")
        return sum(self.errors[kind] for kind in kinds) + self.not_completed_after_drain


class Second(BaseModel):
    """What completed in one second (about), and the generator's totals since its start."""

    at_s: float
    completed: int
    latency_ms: Quantiles
    in_flight: int
    sent_total: int
    refused_total: int


class Sample(BaseModel):
    """The processes by role at one time; CPU and context switches are totals since their start."""

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
    slope_mb_per_min: float  # least squares over the second half, when caches are full


class Window(BaseModel):
    """What all processes used in the measured time."""

    seconds: float
    cpu_s: dict[str, float]
    switches: dict[str, int]
    memory: dict[str, Memory]
    busy_cores: float
    steal_cores: float
    load_average_max: float


class Measured(BaseModel):
    """One run of the generator. A scenario of several runs numbers them by `part`, from 0."""

    scenario: str
    part: int | None = None
    accepted_before: int  # transfers that the earlier runs have put into the hub's tables
    began_at_s: float  # of the measured time
    figures: Figures
    refusals: dict[str, int]  # "POST 503" -> how often
    series: list[Second]
    window: Window
    died: list[str] = []

    @property
    def name(self) -> str:
        """The scenario's name, with the part's number from 1 if it has parts."""
        return self.scenario if self.part is None else f"{self.scenario} {self.part + 1}"

    def cpu_ms(self, role: str) -> float:
        """Return the CPU of a role in ms per completed transfer; not a number if none completed."""
        completed = self.figures.completed
        return self.window.cpu_s.get(role, 0.0) * 1_000 / completed if completed else math.nan

    @property
    def hub_cpu_ms(self) -> float:
        """The CPU of hub and broker together, in ms per completed transfer."""
        return sum(self.cpu_ms(role) for role in (*HUB_ROLES, BROKER))


class Books(BaseModel):
    """The audit of the ledger's books after all scenarios; `finished` are this run's transfers with a final state."""

    ok: bool
    broken: list[str]
    accepted: int
    without_answer: int  # POSTs without an answer: each may or may not be in the books
    finished: int
    in_flight: int
    undecided: int
    pending: int

    @property
    def lost(self) -> int:
        """The number of accepted transfers without a final state in the books."""
        return max(0, self.accepted - self.finished)


class Run(BaseModel):
    """All results of one `make bench`."""

    facts: dict[str, str]
    measured: list[Measured]
    samples: list[Sample]
    books: Books | None = None

    def of(self, scenario: str) -> list[Measured]:
        """Return the runs of a scenario in their order."""
        return [one for one in self.measured if one.scenario == scenario]
