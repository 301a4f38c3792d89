"""Compares the callbacks that both sides of a transfer received with those that they must have received."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sandbox.demo.transfers.expectations import EXPECTED, CallbackLabels
from sandbox.demo.transfers.session import TransferResult
from sandbox.dfsp.ilp import is_fulfilled
from sandbox.dfsp.messages import Callback, CallbackKind
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp


@dataclass(slots=True)
class Verdict:
    """The check of one transfer; it is right if there are no `problems`.

    `ending` is the end state in the answer to the payer's GET. `callbacks` counts those of both sides, `repeats` those
    that came more often than they had to, which at-least-once delivery allows. `latency_ns` is from the payer's POST to
    its PUT.
    """

    result: TransferResult
    ending: str
    problems: list[str] = field(default_factory=list)
    repeats: int = 0
    callbacks: int = 0
    latency_ns: int | None = None


def check_transfer(result: TransferResult, dfsps: Mapping[str, SimulatedDfsp], labels: CallbackLabels) -> Verdict:
    """Check one transfer after both sides' GETs of it were answered."""
    case, order = result.case, result.order
    expected = EXPECTED[case.kind]
    by_payer = dfsps[case.payer].callbacks_of(order.transfer_id)
    by_payee = dfsps[case.payee].callbacks_of(order.transfer_id)
    verdict = Verdict(result, _ending(by_payer), list(result.problems))
    for role, callbacks, required in (
        ("payer", by_payer, labels.expected_by_payer(case)),
        ("payee", by_payee, labels.expected_by_payee(case)),
    ):
        required[expected.answer_to_get] += 1
        seen = Counter(labels.of(callback, case) for callback in callbacks)
        verdict.problems += [f"{role} missed {label}" for label in (required - seen).elements()]
        verdict.problems += [f"{role} got {label}, unexpected" for label in seen if label not in required]
        verdict.repeats += sum(count - required[label] for label, count in seen.items() if 0 < required[label] < count)
        if _ending(callbacks) != expected.ending:
            verdict.problems.append(f"{role} got {_ending(callbacks)} on GET, not {expected.ending}")
        verdict.problems += [f"{role}: {problem}" for problem in _content_problems(callbacks, result)]
    verdict.callbacks = len(by_payer) + len(by_payee)
    verdict.latency_ns = _latency_ns(result, by_payer)
    return verdict


def _ending(callbacks: Sequence[Callback]) -> str:
    """Return the end state in the last PUT, which answers the GET: `COMMITTED`, `ABORTED (4200)`."""
    last = next((callback for callback in reversed(callbacks) if callback.kind is CallbackKind.FULFIL), None)
    if last is None:
        return "nothing"
    cause = (last.cause or "").partition(":")[0]
    return f"{last.outcome} ({cause})" if cause else last.outcome


def _content_problems(callbacks: Sequence[Callback], result: TransferResult) -> list[str]:
    """Return what is wrong in the bodies of the callbacks; their labels are checked elsewhere."""
    problems = []
    for callback in callbacks:
        fulfilment = callback.content.get("fulfilment")
        if callback.kind is CallbackKind.PREPARE and callback.body != result.order.body():
            problems.append("the POST was not forwarded byte by byte")
        if callback.label == "PUT COMMITTED" and not (
            isinstance(fulfilment, str) and is_fulfilled(result.order.terms.condition, fulfilment)
        ):
            problems.append(f"fulfilment {fulfilment!r} does not fit the condition")
        if callback.kind is CallbackKind.NOTICE and fulfilment is not None:
            problems.append("the PATCH carries the fulfilment")
    return problems


def _latency_ns(result: TransferResult, by_payer: Sequence[Callback]) -> int | None:
    """Return the time from the payer's POST to its first PUT; None for a transfer that must not or did not commit."""
    if result.posted is None or not EXPECTED[result.case.kind].is_committed:
        return None
    first = next((callback for callback in by_payer if callback.label == "PUT COMMITTED"), None)
    return first.arrived_at_ns - result.posted.sent_at_ns if first is not None else None
