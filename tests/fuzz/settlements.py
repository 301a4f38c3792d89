"""The settlements that requests are steered to, as known from the hub's answers.

Without steering, a request would name a settlement that does not exist, or a step that is not next.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from schemathesis import Case, Response

from clearinghub.domain.settlement.settlement import STEPS, SettlementState
from tests.fuzz.hub import CURRENCIES, WINDOWS

OK = 200
NEXT_STEP_OF_TEN = 5


class Settlements:
    """The known settlements, and requests for their next steps."""

    def __init__(self, random: Random, shown: Sequence[dict[str, Any]]) -> None:
        """`shown` are settlements as the settlement API shows them, at least one."""
        self._random = random
        oldest_first = sorted(shown, key=lambda one: int(one["id"]))
        self._states = {str(one["id"]): SettlementState(one["state"]) for one in oldest_first}
        participants = [participant for one in shown for participant in one["participants"]]
        self._accounts = sorted({(one["id"], account["id"]) for one in participants for account in one["accounts"]})

    def __str__(self) -> str:
        return ", ".join(f"{number} {state.value}" for number, state in self._states.items())

    def learn(self, case: Case[Any], response: Response) -> None:
        """Note the state of a settlement from the answer to a request that made or changed it."""
        if case.method != "GET" and case.path.startswith("/v2/settlements") and response.status_code == OK:
            shown = response.json()
            self._states[str(shown["id"])] = SettlementState(shown["state"])

    def steer_path(self, case: Case[Any]) -> None:
        """Name a window or a settlement, and one of its participants with the account of that one."""
        participant_id, account_id = self._random.choice(self._accounts)
        known = {"id": self._number(case), "pid": str(participant_id), "aid": str(account_id)}
        case.path_parameters.update({name: known[name] for name in case.path_parameters})

    def steer_body(self, case: Case[Any], body: dict[str, Any]) -> None:
        """Name windows, or an account and often the next step of the settlement in the path."""
        if "settlementWindows" in body:
            body["settlementModel"] = f"DEFERREDNET{self._random.choice(CURRENCIES)}"
            body["settlementWindows"] = [{"id": self._random.randint(1, WINDOWS)}]
            return
        participant_id, account_id = self._random.choice(self._accounts)
        account = body
        if "participants" in account:
            account = account["participants"][0]
            account["id"] = participant_id
        if "accounts" in account:
            account = account["accounts"][0]
            account["id"] = account_id
        state = self._states.get(str(case.path_parameters["id"]))
        following = None if state is None else STEPS.get(state)
        if following is not None and not _may_abort(case) and self._random.randrange(10) < NEXT_STEP_OF_TEN:
            account["state"] = following.value

    def _number(self, case: Case[Any]) -> str:
        """Choose a window or settlement: the first for requests that may abort it, otherwise mostly the last."""
        if case.path.startswith("/v2/settlementWindows"):
            return str(self._random.randint(1, WINDOWS))
        numbers = list(self._states)
        return self._random.choice((numbers[0 if _may_abort(case) else -1], self._random.choice(numbers)))


def _may_abort(case: Case[Any]) -> bool:
    """Whether the request changes a settlement as a whole, and so may abort it."""
    is_whole = case.method == "PUT" and case.path.endswith("/settlements/{id}")
    return is_whole and not (isinstance(case.body, dict) and "participants" in case.body)
