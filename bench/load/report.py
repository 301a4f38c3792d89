"""Write the report of a run as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from bench.load.bench import WARM_UP
from bench.load.goals import Check
from bench.load.results import BROKER, GENERATOR, HUB_ROLES, Measured, Quantiles, Run

Row = Sequence[str]
ABOUT: Final = """\
Hub, broker and generator share the machine. Latency runs from POST sent to PUT received; in open loop from when the
POST was to be sent. Figures count the measured time after each scenario's warm-up; errors count all of its time."""
ABOUT_REFERENCE: Final = """\
Measured with the same generator in earlier runs, not in this one: Mojaloop's ml-api-adapter and central-ledger on 2
cores. Its best single run reached 70 transfers/s."""


class Reference(NamedTuple):
    """The reference implementation under a load, from an earlier run; `latency` is p50 / p95 / p99 in ms."""

    load: str
    scenarios: tuple[str, ...]
    rate: str
    latency: str
    cpu: str


REFERENCE: Final = (
    Reference("closed, 10", ("closed-10",), "24", "412 / 609 / 687", ""),
    Reference("closed, 50", ("closed-50",), "41", "1,202 / 1,672 / 1,913", ""),
    Reference(
        "closed, 100 (two runs)",
        ("closed-100",),
        "48, 59",
        "2,059 / 2,665 / 2,913 and 1,703 / 2,219 / 2,461",
        "24-37 ms",
    ),
    Reference(
        "closed, 200 (two runs)", ("closed-200",), "46, 58", "4,263 / 5,171 / 5,501 and 3,432 / 4,315 / 4,556", ""
    ),
    Reference("closed, 100, one payer has 70%", ("closed-100-hot",), "48", "2,058 / 2,829 / 3,706", ""),
    Reference("open, 20/s", ("open-20",), "20", "300 / 647 / 840", ""),
    Reference("open, 30/s", ("open-30",), "30", "570 / 975 / 1,159", ""),
    Reference("open, 40/s", ("open-40",), "34-40", "930 / 2,103 / 2,613", ""),
)


def markdown(run: Run, checks: Sequence[Check], plots: Iterable[str]) -> str:
    """Return the whole report; `plots` are the names of image files in the same folder."""
    runs = [one for one in run.measured if one.scenario != WARM_UP]
    whole = [one for one in runs if one.part is None]
    parts = [one for one in runs if one.part is not None]
    sections = [
        "# Benchmarks of the clearing hub",
        ABOUT,
        _table(("", ""), [(name, value) for name, value in run.facts.items() if value]),
        "## Goals",
        _table(("goal", "measured", ""), checks) if checks else "None of these scenarios has a goal.",
        "## Throughput and latency",
        _table(
            ("scenario", "transfers/s", "p50 ms", "p95 ms", "p99 ms", "max ms", "errors", "without an end"),
            [_throughput(one) for one in runs if one.part is None],
        ),
        "## Errors, refusals and late callbacks",
        _errors(runs),
        "## CPU per transfer, ms",
        _table(
            ("scenario", "hub and broker", *HUB_ROLES, BROKER, GENERATOR, "machine, cores", "stolen, cores", "load"),
            [_cpu(one) for one in whole],
        ),
        "## Context switches per transfer",
        _table(("scenario", *HUB_ROLES, BROKER, GENERATOR), [_switches(one) for one in whole]),
        "## Memory, MB: at the begin, at the end, most; growth per minute in the second half",
        _table(("scenario", *HUB_ROLES, BROKER), [_memory(one) for one in whole]),
        *(["## Filling the tables", _parts(parts)] if parts else []),
        "## The reference implementation under the same generator",
        ABOUT_REFERENCE,
        _table(
            ("load", "reference, transfers/s", "ms", "CPU per transfer", "here, transfers/s", "ms", "CPU"),
            [_beside(one, runs) for one in REFERENCE],
        ),
        *(["## Books", _books(run)] if run.books else []),
        *(f"![{name}]({name})" for name in plots),
    ]
    return "\n\n".join(sections) + "\n"


def _table(head: Row, rows: Iterable[Row]) -> str:
    rows = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows)


def _throughput(one: Measured) -> Row:
    figures, latency = one.figures, one.figures.latency
    times = [_ms(value) for value in (latency.p50, latency.p95, latency.p99, latency.max)]
    return (_load(one), f"{figures.completed_per_s:,.1f}", *times, f"{figures.failed:,}", f"{figures.unfinished:,}")


def _load(one: Measured) -> str:
    """Return the scenario's name with its load and length, which the name alone need not say."""
    figures = one.figures
    load = f"open {figures.rate:g}/s" if figures.rate else f"closed {figures.concurrency}"
    return f"{one.name} ({load}{', hot' if figures.hot else ''}, {figures.duration_s:g} s)"


def _errors(runs: Sequence[Measured]) -> str:
    rows = []
    for one in runs:
        others = {key: one.figures.errors[key] for key in ("late_after_timeout", "unknown_callbacks", "duplicate_puts")}
        others["not_completed_after_drain"] = one.figures.not_completed_after_drain
        kinds = one.refusals | {key.replace("_", " "): count for key, count in others.items() if count}
        if kinds or one.died:
            died = [f"ended by itself: {name}" for name in one.died]
            counts = [f"{kind}: {count:,}" for kind, count in sorted(kinds.items())]
            rows.append((one.name, f"{one.figures.accepted:,}", "; ".join(counts + died)))
    return _table(("scenario", "accepted", "what"), rows) if rows else "None."


def _cpu(one: Measured) -> Row:
    window = one.window
    machine = (f"{window.busy_cores:.2f}", f"{window.steal_cores:.2f}", f"{window.load_average_max:.1f}")
    roles = [_cost(one, role) for role in (*HUB_ROLES, BROKER, GENERATOR)]
    return (one.name, f"{one.hub_cpu_ms:.2f}", *roles, *machine)


def _cost(one: Measured, role: str) -> str:
    return f"{one.cpu_ms(role):.2f}" if role in one.window.cpu_s else "not seen"


def _switches(one: Measured) -> Row:
    completed = max(one.figures.completed, 1)
    return (
        one.name,
        *(f"{one.window.switches.get(role, 0) / completed:.1f}" for role in (*HUB_ROLES, BROKER, GENERATOR)),
    )


def _memory(one: Measured) -> Row:
    cells = []
    for role in (*HUB_ROLES, BROKER):
        memory = one.window.memory.get(role)
        cells.append(
            f"{memory.start_mb:,.0f}, {memory.end_mb:,.0f}, {memory.max_mb:,.0f}; {memory.slope_mb_per_min:+.1f}"
            if memory
            else "not seen"
        )
    return (one.name, *cells)


def _parts(parts: Sequence[Measured]) -> str:
    head = (
        "transfers before",
        "transfers/s",
        "p50 ms",
        "p99 ms",
        "errors",
        "hub and broker, CPU ms",
        *HUB_ROLES,
        BROKER,
    )
    rows = []
    for one in parts:
        latency = one.figures.latency
        costs = [f"{one.hub_cpu_ms:.2f}", *(_cost(one, role) for role in (*HUB_ROLES, BROKER))]
        figures = (f"{one.figures.completed_per_s:,.1f}", _ms(latency.p50), _ms(latency.p99), f"{one.figures.failed:,}")
        rows.append((f"{one.accepted_before:,}", *figures, *costs))
    return _table(head, rows)


def _beside(reference: Reference, runs: Sequence[Measured]) -> Row:
    ours = next((one for one in runs if one.scenario in reference.scenarios), None)
    theirs = (reference.load, reference.rate, reference.latency, reference.cpu)
    if ours is None:
        return (*theirs, "", "", "")
    return (*theirs, f"{ours.figures.completed_per_s:,.1f}", _three(ours.figures.latency), f"{ours.hub_cpu_ms:.2f} ms")


def _books(run: Run) -> str:
    books = run.books
    assert books is not None
    return (
        f"`clearinghub audit` after all scenarios, warm-up included: {books.accepted:,} transfers accepted, "
        f"{books.finished:,} with a final state, {books.lost:,} lost, {books.in_flight:,} reserved, "
        f"{books.undecided:,} undecided, {books.pending:,} with a record on its way. "
        f"{'No rule is broken.' if books.ok else 'Broken: ' + '; '.join(books.broken)}"
    )


def _three(latency: Quantiles) -> str:
    return " / ".join(_ms(value) for value in (latency.p50, latency.p95, latency.p99))


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"
