"""What must be true after a run: each check is a sentence, the number of things checked, and those that break it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from tests.chaos.impact import Impact
from tests.chaos.plan import OF_THREE_BROKERS, FaultKind
from tests.chaos.transfers import ABORTED, COMMITTED, MAY_END_IN, SENT_TO_PAYEE, Transfer, Transfers

SHOWN_MAX: Final = 5
ACCEPTED_SHARE_MIN: Final = 0.9
SENT_SHARE_MIN: Final = 0.5  # on a busy machine the DFSPs get what is left
STANDSTILL_S_MAX: Final = 15.0
NOT_FOUND: Final = "error 3208"
Judge = Callable[[Transfer, list[str]], "str | None"]


@dataclass(frozen=True, slots=True)
class Check:
    """A promise, the number of things that it was checked on, and a sentence for each that broke it."""

    promise: str
    checked: int
    problems: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.problems


def check_transfers(transfers: Transfers, finals: Mapping[str, list[str]]) -> list[Check]:
    """Check the promises about transfers; `finals` are the final states on topic `transfers`, by transfer."""
    accepted = transfers.accepted()
    ended = [one for one in transfers.by_id.values() if one.transfer_id in finals]
    unanswered = [one for one in transfers.by_id.values() if one.accepted_at_s is None]
    return [
        _check("every request that got 202 is final, once (topic `transfers`)", accepted, _final_once, finals),
        _check("and GET /transfers/{id} reports that state to its payer", accepted, _reported_on_get, finals),
        _check("each ended as its payee decided, or expired", ended, _as_decided, finals),
        _check("every final state was called back to the payer, and no other", ended, _payer_notified, finals),
        _check("and to the payee where it had received the request", ended, _payee_notified, finals),
        _check(
            "what never got 202 did not happen, or both sides were notified of its end",
            unanswered,
            _whole,
            finals,
        ),
        Check("nothing was forwarded changed, refused, or sent to a stranger", len(ended), tuple(transfers.anomalies)),
        _accepted_enough(len(accepted), len(transfers.by_id)),
    ]


def check_positions(expected: Mapping[str, int], seen: Mapping[str, Mapping[str, int | None]]) -> Check:
    """Compare the positions that each ingress reports with those expected from the payers' callbacks."""
    problems = [
        f"{name} at {source}: {position}, expected {expected[name]}"
        for source, positions in seen.items()
        for name, position in positions.items()
        if position != expected[name]
    ]
    checked = sum(len(positions) for positions in seen.values())
    return Check("positions equal the DFSPs' own books", checked, tuple(problems))


def check_dead_letters(letters: Counter[str]) -> Check:
    """Check that no callback was dead-lettered: every DFSP was dead for less time than callbacks are repeated."""
    problems = tuple(f"{what}: {number}" for what, number in letters.items())
    return Check("the dead letter is empty", letters.total(), problems)


def check_processes(
    exits: Mapping[tuple[str, int], int], killed: Mapping[str, int], not_running: Iterable[str], lost: str | None
) -> Check:
    """Check that every process runs at the end, and each that was killed was restarted."""
    problems = [f"{name} does not run" for name in not_running]
    if lost is not None:
        problems.append(f"abandoned by the supervisor: {lost}")
    for name, times in killed.items():
        restarts = sum(number for (one, _code), number in exits.items() if one == name)
        if restarts < times:
            problems.append(f"{name} was killed {times} times and started again {restarts} times")
    return Check("no process ended for good, and none needed an operator", sum(exits.values()), tuple(problems))


def check_faults(planned: int, carried_out: Counter[FaultKind]) -> Check:
    """Check that every planned fault was carried out."""
    missing = planned - carried_out.total()
    problems = (f"{missing} found no process to hit",) if missing else ()
    return Check("every planned fault was carried out", carried_out.total(), problems)


def check_answers(odd: Counter[str], checked: int) -> Check:
    """Check the answers to DFSPs: a fault may lose one or make it 503 or 504; a 500 would be a bug."""
    problems = tuple(f"{what}: {number}" for what, number in odd.items())
    return Check("every answer was 200, 202, 503 or 504", checked, problems)


def check_standstills(impacts: Iterable[Impact]) -> Check:
    """Check that payments continued while one broker of three was dead."""
    of_brokers = [one for one in impacts if one.injected.fault.kind in OF_THREE_BROKERS]
    problems = tuple(
        f"{one.injected.fault.kind.value}: nothing ended for {one.standstill_s} s"
        for one in of_brokers
        if one.standstill_s is None or one.standstill_s >= STANDSTILL_S_MAX
    )
    longest_s = max((one.standstill_s or 0.0 for one in of_brokers), default=0.0)
    promise = f"with one broker of three dead something ends at least every {STANDSTILL_S_MAX:.0f} s"
    return Check(f"{promise} (longest standstill {longest_s:.1f} s)", len(of_brokers), problems)


def check_load(sent: int, planned: int) -> Check:
    """Check that the DFSPs could send enough load for the faults to hit a busy hub."""
    promise = f"at least {SENT_SHARE_MIN:.0%} of the planned load was sent"
    return Check(promise, sent, () if sent >= SENT_SHARE_MIN * planned else (f"{sent} of {planned}",))


def _check(
    promise: str,
    transfers: list[Transfer],
    problem_of: Judge,
    finals: Mapping[str, list[str]],
) -> Check:
    problems = []
    for one in transfers:
        problem = problem_of(one, finals.get(one.transfer_id, []))
        if problem is not None:
            problems.append(f"{one.transfer_id} ({one.kind.name.lower()}): {problem}")
    return Check(promise, len(transfers), tuple(problems))


def _external(state: str) -> str:
    """Return a final state as DFSPs see it (protocol 3.9)."""
    return COMMITTED if state == COMMITTED else ABORTED


def _final_once(_one: Transfer, states: list[str]) -> str | None:
    return None if len(states) == 1 else f"final states {states}"


def _reported_on_get(one: Transfer, states: list[str]) -> str | None:
    expected = _external(states[-1]) if states else "a final state"
    return None if one.on_get == expected else f"GET reported {one.on_get}, expected {expected}"


def _as_decided(one: Transfer, states: list[str]) -> str | None:
    return None if set(states) <= MAY_END_IN[one.kind] else f"ended {states}"


def _payer_notified(one: Transfer, states: list[str]) -> str | None:
    expected = {_external(state) for state in states}
    return (
        None
        if set(one.payer_notified) == expected
        else f"payer was notified of {dict(one.payer_notified)}, ended {states}"
    )


def _payee_notified(one: Transfer, states: list[str]) -> str | None:
    expected = {_external(state) for state in states if state in SENT_TO_PAYEE}
    return (
        None
        if set(one.payee_notified) == expected
        else f"payee was notified of {dict(one.payee_notified)}, ended {states}"
    )


def _whole(one: Transfer, states: list[str]) -> str | None:
    if len(states) == 1:
        return None  # the checks of ended transfers cover the rest
    if states:
        return f"final states {states}"
    if one.forwarded or one.payer_notified or one.payee_notified:
        return f"not final, although notified: payer {dict(one.payer_notified)}, payee {dict(one.payee_notified)}"
    return None if one.on_get == NOT_FOUND else f"GET reported {one.on_get}"


def _accepted_enough(accepted: int, sent: int) -> Check:
    promise = f"at least {ACCEPTED_SHARE_MIN:.0%} of what was sent got 202 in the end"
    enough = sent > 0 and accepted >= ACCEPTED_SHARE_MIN * sent
    return Check(promise, sent, () if enough else (f"{accepted} of {sent}",))
