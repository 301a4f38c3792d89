"""What each fault did to payments: for how long none ended, and how long those sent meanwhile took."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.chaos.injector import Injected
from tests.chaos.plan import DFSPS, FaultKind
from tests.chaos.transfers import COMMITTED, Kind, Transfer

# Payments in flight still end shortly after a fault: a gap that begins within this time before it counts as its gap.
BEFORE_S = 0.5


@dataclass(frozen=True, slots=True)
class Impact:
    """A fault and its effect on payments, without those of a DFSP that the fault itself stopped.

    `standstill_s` is the longest time without a final callback to any payer, `standstill_one_s` to one of the payers,
    and `again_s` the time from the fault to the end of the latter. None where nothing was measured.
    """

    injected: Injected
    standstill_s: float | None
    standstill_one_s: float | None
    again_s: float | None
    sent: int
    committed: int
    p50_s: float | None
    p99_s: float | None
    answers: str


def measure(injected: Injected, until_s: float, transfers: Sequence[Transfer], answers: str) -> Impact:
    """Return the effect of a fault in the time up to `until_s`, when the next one begins."""
    dead = injected.victim if injected.fault.kind is FaultKind.DFSP_DEAD else None
    others = [one for one in transfers if dead not in (one.order.payer, one.order.payee)]
    window = (injected.at_s - BEFORE_S, until_s - BEFORE_S)
    standstill = _longest_gap((one.ended_at_s for one in others), window)
    of_one = [
        _longest_gap((one.ended_at_s for one in others if one.order.payer == name), window)
        for name in DFSPS
        if name != dead
    ]
    worst = max((gap for gap in of_one if gap is not None), key=lambda gap: gap[1] - gap[0], default=None)
    sent = [
        one for one in others if injected.at_s <= one.sent_at_s < until_s and one.kind in (Kind.COMMIT, Kind.RESERVE)
    ]
    took = sorted(
        one.ended_at_s - one.sent_at_s for one in sent if one.ended_at_s is not None and COMMITTED in one.payer_notified
    )
    return Impact(
        injected,
        None if standstill is None else standstill[1] - standstill[0],
        None if worst is None else worst[1] - worst[0],
        None if worst is None else worst[1] - injected.at_s,
        len(sent),
        len(took),
        percentile(took, 50),
        percentile(took, 99),
        answers,
    )


def percentile(ordered: Sequence[float], percent: int) -> float | None:
    """Return the nearest-rank percentile of sorted values, or None without values."""
    if not ordered:
        return None
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def _longest_gap(ended: Iterable[float | None], window: tuple[float, float]) -> tuple[float, float] | None:
    """Return the longest gap between two ends, of the gaps that begin within the window."""
    times = sorted(at_s for at_s in ended if at_s is not None)
    gaps = [(one, two) for one, two in itertools.pairwise(times) if window[0] <= one < window[1]]
    return max(gaps, key=lambda gap: gap[1] - gap[0], default=None)
