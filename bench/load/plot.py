"""Draw a run's figures as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.load.bench import WARM_UP
from bench.load.results import BROKER, GENERATOR, HUB_ROLES, Measured, Run, Second

mpl.use("agg")  # draws to files; needs no display

ROLES = (*HUB_ROLES, BROKER, GENERATOR)
COLOURS = dict(zip(ROLES, ("#4477aa", "#ee6677", "#228833", "#66ccee", "#aa3377", "#ccbb44", "#bbbbbb"), strict=True))
OVER_TIME_S = 60.0  # a scenario at least this long gets a plot over time
BUSY_PER_S = 100.0  # below this rate the CPU of idle processes, shared by few transfers, would dwarf the other bars
DOTS_PER_INCH = 110


def draw(run: Run, folder: Path) -> list[str]:
    """Draw all plots that the run has figures for; return the names of the files in `folder`."""
    runs = [one for one in run.measured if one.scenario != WARM_UP]
    whole = [one for one in runs if one.part is None]
    parts = [one for one in runs if one.part is not None]
    figures = {}
    if whole:
        figures["latency.png"] = _latency(whole)
        figures["cpu.png"] = _cpu([one for one in whole if one.figures.completed_per_s >= BUSY_PER_S] or whole)
    for number, one in enumerate(whole):
        if one.figures.duration_s >= OVER_TIME_S or one.scenario == "overload":
            figures[f"{number:02d}-{one.scenario}.png"] = _over_time(one)
    if parts:
        figures["million.png"] = _parts(parts)
    if run.samples:
        figures["memory.png"] = _memory(run)
    for name, figure in figures.items():
        figure.savefig(folder / name, dpi=DOTS_PER_INCH)
    return list(figures)


def _latency(runs: Sequence[Measured]) -> Figure:
    figure = Figure(figsize=(9, 7), layout="constrained")
    rates, times = figure.subplots(2, 1, sharex=True)
    places = range(len(runs))
    bars = rates.bar(places, [one.figures.completed_per_s for one in runs], color=COLOURS["ingress"])
    rates.bar_label(bars, fmt="%.0f")
    rates.set_ylabel("transfers/s")
    for quantile, marker in (("p50", "o"), ("p95", "s"), ("p99", "^"), ("max", "x")):
        values = [getattr(one.figures.latency, quantile) or float("nan") for one in runs]
        times.plot(places, values, marker, label=quantile)
    times.set_yscale("log")
    times.set_ylabel("ms, POST sent to PUT received")
    times.set_xticks(list(places), [one.name for one in runs], rotation=30, ha="right")
    _finish(times)
    return figure


def _cpu(runs: Sequence[Measured]) -> Figure:
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    below = [0.0] * len(runs)
    for role in ROLES:
        costs = [one.cpu_ms(role) for one in runs]
        axes.bar(range(len(runs)), costs, bottom=below, label=role, color=COLOURS[role])
        below = [one + more for one, more in zip(below, costs, strict=True)]
    axes.set_xticks(range(len(runs)), [one.name for one in runs], rotation=30, ha="right")
    axes.set_ylabel("ms of CPU per transfer")
    _finish(axes)
    return figure


def _over_time(one: Measured) -> Figure:
    figure = Figure(figsize=(10, 7), layout="constrained")
    rates, times = figure.subplots(2, 1, sharex=True)
    figure.suptitle(f"{one.name}: throughput and latency over time (0: the warm-up's end)")
    seconds = [second.at_s - one.began_at_s for second in one.series]
    rates.plot(seconds, _rates(one.series), label="completed/s", color=COLOURS["ingress"])
    refused = [after.refused_total - before.refused_total for before, after in _pairs(one.series)]
    if any(refused):
        rates.plot(seconds[1:], refused, label="refused/s", color=COLOURS["ledger"])
    rates.set_ylim(bottom=0)
    rates.set_ylabel("transfers/s")
    for quantile in ("p50", "p95", "p99"):
        values = [getattr(second.latency_ms, quantile) or float("nan") for second in one.series]
        times.plot(seconds, values, label=quantile)
    times.set_ylim(bottom=0)
    times.set_ylabel("ms, of what completed in each second")
    times.set_xlabel("s")
    for axes in (rates, times):
        _finish(axes)
    return figure


def _rates(series: Sequence[Second]) -> list[float]:
    gaps = [1.0, *(after.at_s - before.at_s for before, after in _pairs(series))]
    return [one.completed / gap if gap > 0 else float("nan") for one, gap in zip(series, gaps, strict=False)]


def _pairs(series: Sequence[Second]) -> list[tuple[Second, Second]]:
    return list(pairwise(series))


def _parts(parts: Sequence[Measured]) -> Figure:
    figure = Figure(figsize=(10, 8), layout="constrained")
    costs, times = figure.subplots(2, 1, sharex=True)
    counts = [one.accepted_before / 1_000 for one in parts]
    roles = (*HUB_ROLES, BROKER)
    values = [[one.cpu_ms(role) for one in parts] for role in roles]
    costs.stackplot(counts, *values, labels=roles, colors=[COLOURS[role] for role in roles])
    costs.set_ylabel("ms of CPU per transfer")
    for quantile in ("p50", "p95", "p99"):
        points = [getattr(one.figures.latency, quantile) or float("nan") for one in parts]
        times.plot(counts, points, marker=".", label=quantile)
    times.set_ylim(bottom=0)
    times.set_ylabel("ms, POST sent to PUT received")
    times.set_xlabel("thousand transfers in the tables")
    for axes in (costs, times):
        _finish(axes)
    return figure


def _memory(run: Run) -> Figure:
    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.subplots()
    start_s = run.samples[0].at_s
    minutes = [(one.at_s - start_s) / 60 for one in run.samples]
    for role in ROLES:
        sizes = [one.memory_mb.get(role) or float("nan") for one in run.samples]
        if any(size == size for size in sizes):  # noqa: PLR0124 - not a number
            axes.plot(minutes, sizes, label=role, color=COLOURS[role])
    axes.set_ylim(bottom=0)
    for one in run.measured:
        begin = (one.began_at_s - start_s) / 60
        axes.axvline(begin, color="#dddddd", zorder=0)
        axes.text(begin, axes.get_ylim()[1], one.name, rotation=90, va="top", fontsize=6, color="#777777")
    axes.set_ylabel("resident memory, MB")
    axes.set_xlabel("minutes")
    _finish(axes)
    return figure


def _finish(axes: Axes) -> None:
    axes.grid(axis="y", alpha=0.3)
    axes.legend(loc="best", fontsize=8)
