"""What must hold behind the chaos; each check is a sentence with its figure and with who breaks it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from tests.chaos.impact import Impact
from tests.chaos.plan import OF_THREE_BROKERS, FaultKind
from tests.chaos.transfers import ABORTED, COMMITTED, MAY_END_IN, TOLD_TO_PAYEE, Transfer, Transfers

SHOWN_MAX: Final = 5
ACCEPTED_SHARE_MIN: Final = 0.9
SENT_SHARE_MIN: Final = 0.5  # of a machine with other work the DFSPs get what is left
STANDSTILL_S_MAX: Final = 15.0
NOT_FOUND: Final = "error 3208"
Judge = Callable[[Transfer, list[str]], "str | None"]


@dataclass(frozen=True, slots=True)
class Check:
    """One promise: how many it was checked on, and what broke it."""

    promise: str
    checked: int
    problems: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing broke it."""
        return not self.problems


def check_transfers(transfers: Transfers, finals: Mapping[str, list[str]]) -> list[Check]:
    """The promises about transfers; `finals` is what topic `transfers` has of each."""
    accepted = transfers.accepted()
    ended = [one for one in transfers.by_id.values() if one.transfer_id in finals]
    unheard = [one for one in transfers.by_id.values() if one.accepted_at_s is None]
    return [
        _check("every request that got 202 is final, once (topic `transfers`)", accepted, _final_once, finals),
        _check("and so says GET /transfers/{id} to its payer", accepted, _told_on_get, finals),
        _check("each ended as its payee wanted, or expired", ended, _as_wanted, finals),
        _check("every final state was called back to the payer, and no other", ended, _payer_told, finals),
        _check("and to the payee where it had been asked", ended, _payee_told, finals),
        _check("what never got 202 either did not happen or is final and told to all", unheard, _whole, finals),
        Check("nothing was forwarded changed, refused or told to a stranger", len(ended), tuple(transfers.anomalies)),
        _accepted_enough(len(accepted), len(transfers.by_id)),
    ]


def check_positions(expected: Mapping[str, int], seen: Mapping[str, Mapping[str, int | None]]) -> Check:
    """Positions by ingress that was asked, against what the payers were told."""
    problems = [
        f"{name} at {source}: {position}, expected {expected[name]}"
        for source, positions in seen.items()
        for name, position in positions.items()
        if position != expected[name]
    ]
    checked = sum(len(positions) for positions in seen.values())
    return Check("positions equal the DFSPs' own books", checked, tuple(problems))


def check_dead_letters(letters: Counter[str]) -> Check:
    """Nothing was given up: every DFSP was dead for less than the callbacks wait."""
    problems = tuple(f"{what}: {number}" for what, number in letters.items())
    return Check("the dead letter is empty", letters.total(), problems)


def check_processes(
    exits: Mapping[tuple[str, int], int], killed: Mapping[str, int], not_running: Iterable[str], lost: str | None
) -> Check:
    """Every process runs at the end, and each that was killed was started again."""
    problems = [f"{name} does not run" for name in not_running]
    if lost is not None:
        problems.append(f"given up by the supervisor: {lost}")
    for name, times in killed.items():
        restarts = sum(number for (one, _code), number in exits.items() if one == name)
        if restarts < times:
            problems.append(f"{name} was killed {times} times and started again {restarts} times")
    return Check("no process ended for good, none needed a hand", sum(exits.values()), tuple(problems))


def check_faults(wanted: int, carried_out: Counter[FaultKind]) -> Check:
    """All that was planned happened."""
    missing = wanted - carried_out.total()
    problems = (f"{missing} found nobody to hit",) if missing else ()
    return Check("every planned fault was carried out", carried_out.total(), problems)


def check_answers(odd: Counter[str], checked: int) -> Check:
    """A fault may cost an answer or make it 503 or 504, nothing else: 500 would be a bug."""
    problems = tuple(f"{what}: {number}" for what, number in odd.items())
    return Check("every answer was 200, 202, 503 or 504", checked, problems)


def check_standstills(impacts: Iterable[Impact]) -> Check:
    """Payments continue while one broker of three is dead."""
    of_brokers = [one for one in impacts if one.injected.fault.kind in OF_THREE_BROKERS]
    problems = tuple(
        f"{one.injected.fault.kind.value}: nothing ended for {one.standstill_s} s"
        for one in of_brokers
        if one.standstill_s is None or one.standstill_s >= STANDSTILL_S_MAX
    )
    longest_s = max((one.standstill_s or 0.0 for one in of_brokers), default=0.0)
    promise = f"with one broker of three dead something ends at least every {STANDSTILL_S_MAX:.0f} s"
    return Check(f"{promise} (longest standstill {longest_s:.1f} s)", len(of_brokers), problems)


def check_load(sent: int, wanted: int) -> Check:
    """The faults hit a hub at work: the DFSPs found the time to send."""
    promise = f"at least {SENT_SHARE_MIN:.0%} of the wanted load was sent"
    return Check(promise, sent, () if sent >= SENT_SHARE_MIN * wanted else (f"{sent} of {wanted}",))


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
    """A final state as DFSPs are told it (protocol 3.9)."""
    return COMMITTED if state == COMMITTED else ABORTED


def _final_once(_one: Transfer, states: list[str]) -> str | None:
    return None if len(states) == 1 else f"final states {states}"


def _told_on_get(one: Transfer, states: list[str]) -> str | None:
    expected = _external(states[-1]) if states else "a final state"
    return None if one.on_get == expected else f"told {one.on_get}, expected {expected}"


def _as_wanted(one: Transfer, states: list[str]) -> str | None:
    return None if set(states) <= MAY_END_IN[one.kind] else f"ended {states}"


def _payer_told(one: Transfer, states: list[str]) -> str | None:
    expected = {_external(state) for state in states}
    return None if set(one.told_payer) == expected else f"payer was told {dict(one.told_payer)}, ended {states}"


def _payee_told(one: Transfer, states: list[str]) -> str | None:
    expected = {_external(state) for state in states if state in TOLD_TO_PAYEE}
    return None if set(one.told_payee) == expected else f"payee was told {dict(one.told_payee)}, ended {states}"


def _whole(one: Transfer, states: list[str]) -> str | None:
    if len(states) == 1:
        return None  # the checks of those that ended say the rest
    if states:
        return f"final states {states}"
    if one.forwarded or one.told_payer or one.told_payee:
        return f"heard of, yet not final: payer {dict(one.told_payer)}, payee {dict(one.told_payee)}"
    return None if one.on_get == NOT_FOUND else f"told {one.on_get} on GET"


def _accepted_enough(accepted: int, sent: int) -> Check:
    promise = f"at least {ACCEPTED_SHARE_MIN:.0%} of what was sent got 202 in the end"
    enough = sent > 0 and accepted >= ACCEPTED_SHARE_MIN * sent
    return Check(promise, sent, () if enough else (f"{accepted} of {sent}",))
