"""Compares what both sides of every transfer saw with what they must have seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sandbox.callback import Callback, CallbackKind
from sandbox.demo.kinds import EXPECTED
from sandbox.demo.labels import Labels
from sandbox.demo.stage import Played
from sandbox.dfsp import SimulatedDfsp
from sandbox.ilp import is_fulfilled


@dataclass(slots=True)
class Verdict:
    """What became of one transfer. `ending` is the end state that GET told the payer; without problems, all is right.

    `callbacks` counts those of both sides, `repeats` those that came more often than they had to: allowed, since
    delivery is at least once.
    """

    played: Played
    ending: str
    problems: list[str] = field(default_factory=list)
    repeats: int = 0
    callbacks: int = 0
    latency_ns: int | None = None


def judge(played: Played, dfsps: Mapping[str, SimulatedDfsp], labels: Labels) -> Verdict:
    """The verdict on one transfer, after both sides have asked for it by GET."""
    case, order = played.case, played.order
    expected = EXPECTED[case.kind]
    by_payer = dfsps[case.payer].callbacks_of(order.transfer_id)
    by_payee = dfsps[case.payee].callbacks_of(order.transfer_id)
    verdict = Verdict(played, _ending(by_payer), list(played.problems))
    for role, callbacks, wanted in (
        ("payer", by_payer, labels.expected_by_payer(case)),
        ("payee", by_payee, labels.expected_by_payee(case)),
    ):
        wanted[expected.answer_to_get] += 1
        seen = Counter(labels.of(callback, case) for callback in callbacks)
        verdict.problems += [f"{role} missed {label}" for label in (wanted - seen).elements()]
        verdict.problems += [f"{role} got {label}, unexpected" for label in seen if label not in wanted]
        verdict.repeats += sum(count - wanted[label] for label, count in seen.items() if 0 < wanted[label] < count)
        if _ending(callbacks) != expected.ending:
            verdict.problems.append(f"{role} was told {_ending(callbacks)} on GET, not {expected.ending}")
        verdict.problems += [f"{role}: {problem}" for problem in _content_problems(callbacks, played)]
    verdict.callbacks = len(by_payer) + len(by_payee)
    verdict.latency_ns = _latency_ns(played, by_payer)
    return verdict


def _ending(callbacks: Sequence[Callback]) -> str:
    """The end state as the last PUT tells it, which is the answer to GET: `COMMITTED`, `ABORTED (4200)`."""
    last = next((each for each in reversed(callbacks) if each.kind is CallbackKind.FULFIL), None)
    if last is None:
        return "nothing"
    cause = (last.cause or "").partition(":")[0]
    return f"{last.outcome} ({cause})" if cause else last.outcome


def _content_problems(callbacks: Sequence[Callback], played: Played) -> list[str]:
    """What is wrong inside callbacks whose labels may be right."""
    problems = []
    for callback in callbacks:
        fulfilment = callback.content.get("fulfilment")
        if callback.kind is CallbackKind.PREPARE and callback.body != played.order.body():
            problems.append("the POST was not forwarded byte by byte")
        if callback.label == "PUT COMMITTED" and not (
            isinstance(fulfilment, str) and is_fulfilled(played.order.terms.condition, fulfilment)
        ):
            problems.append(f"fulfilment {fulfilment!r} does not fit the condition")
        if callback.kind is CallbackKind.NOTICE and fulfilment is not None:
            problems.append("the PATCH carries the fulfilment")
    return problems


def _latency_ns(played: Played, by_payer: Sequence[Callback]) -> int | None:
    """From the POST sent to the first PUT received by the payer, of a transfer that committed."""
    if played.posted is None or not EXPECTED[played.case.kind].is_committed:
        return None
    first = next((each for each in by_payer if each.label == "PUT COMMITTED"), None)
    return first.arrived_at_ns - played.posted.sent_at_ns if first is not None else None
