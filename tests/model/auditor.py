"""An independent model of transfers: it predicts the verdict on each message, and keeps no balance.

It knows only which transfers are held, paid or void, and adds up what a DFSP owes each time it is needed. A movement
that the hub makes twice, never, or with the wrong sign therefore has no counterpart here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.model.messages import Flags, Fulfil, Happening, Limits, Message, Prepare

SHOWN = {"held": "RESERVED", "paid": "COMMITTED", "void": "ABORTED"}


@dataclass
class Case:
    """A transfer that is `held`, `paid` or `void`, and the bodies of its first fulfil and its first error."""

    prepare: Prepare
    fate: str
    fulfil_body: str | None = None
    error_body: str | None = None


class Auditor:
    """Follows a history message by message.

    The payee's leg of a commit counts at once; with `credits_follow` it counts when `credit` is called, as on the hub,
    where it reaches the payee's own partition later.
    """

    def __init__(
        self,
        dfsps: Iterable[str],
        *,
        on_us_transfers: bool = False,
        credits_follow: bool = False,
        room: int | None = 100,
        payee_is_welcome: Callable[[str], bool] | None = None,
    ) -> None:
        self.on_us_transfers = on_us_transfers
        self.credits_follow = credits_follow
        self.cases: dict[str, Case] = {}
        self.caps: dict[str, int | None] = dict.fromkeys(dfsps, room)
        self.funds: dict[str, int] = dict.fromkeys(self.caps, room or 0)
        self.barred: set[str] = set()
        self.credits: dict[str, dict[str, int]] = {}
        self._settled: dict[str, dict[str, int]] = {}
        self._payee_is_welcome = payee_is_welcome or self._is_welcome

    def _is_welcome(self, dfsp: str) -> bool:
        return dfsp in self.caps and dfsp not in self.barred

    def credit(self, dfsp: str, transfer_id: str, amount: int) -> bool:
        """Count the payee's leg of a commit; return False if it was counted before."""
        received = self.credits.setdefault(dfsp, {})
        is_new = transfer_id not in received
        received.setdefault(transfer_id, amount)
        return is_new

    def settle(self, dfsp: str, transfer_id: str, owed: int) -> None:
        """Count a payment as settled at once: `owed`, negative for a payee, is owed no longer."""
        self._settled.setdefault(dfsp, {})[transfer_id] = owed

    def owes(self, dfsp: str) -> int:
        """What a DFSP owes: held or paid, less what it was paid, less what was settled at once."""
        prepares = [case.prepare for case in self.cases.values() if case.fate in ("held", "paid")]
        out = sum(prepare.amount for prepare in prepares if prepare.payer == dfsp)
        return out - sum(self.credits.get(dfsp, {}).values()) - sum(self._settled.get(dfsp, {}).values())

    def in_flight(self) -> int:
        return sum(case.prepare.amount for case in self.cases.values() if case.fate == "held")

    def predict(self, happening: Happening) -> str:
        """Return the verdict that is right for a message, and count the message as delivered."""
        message: Message = happening.message
        if isinstance(message, Prepare):
            return self._prepare(message, happening.at_ms)
        if isinstance(message, Fulfil):
            return self._fulfil(message, happening.at_ms)
        if isinstance(message, Limits):
            self.caps[message.dfsp], self.funds[message.dfsp] = message.net_debit_cap, message.funds
            return "done"
        if isinstance(message, Flags):
            barred = not (message.active and message.account_active)
            (self.barred.add if barred else self.barred.discard)(message.dfsp)
            return "done"
        case = self.cases.get(message.transfer_id)
        if case is None or case.fate != "held" or happening.at_ms <= case.prepare.expires_at_ms:
            return "not due"
        case.fate = "void"
        return "expired"

    def _prepare(self, message: Prepare, now_ms: int) -> str:
        known = self.cases.get(message.transfer_id)
        if known is not None:
            same = known.prepare.body() == message.body()
            return f"resent {SHOWN[known.fate]}" if same else "refused 3106"
        sound = (
            self._is_welcome(message.payer)
            and self._payee_is_welcome(message.payee)
            and message.source == message.payer
            and (self.on_us_transfers or message.payer != message.payee)
            and message.amount < 10**18
            and message.right_condition
            and message.expires_at_ms >= now_ms
        )
        verdict = self._room(message) if sound else "refused 3100"
        self.cases[message.transfer_id] = Case(message, "held" if verdict == "reserved" else "void")
        return verdict

    def _room(self, message: Prepare) -> str:
        cap = self.caps[message.payer]
        would_owe = self.owes(message.payer) + message.amount
        if would_owe > self.funds[message.payer]:
            return "refused 4001"
        return "refused 4200" if cap is None or would_owe > cap else "reserved"

    def _fulfil(self, message: Fulfil, now_ms: int) -> str:
        if (message.action, message.version) == ("reserve", "1.0"):
            return "ignored"
        case = self.cases.get(message.transfer_id)
        if case is None:
            return "refused 2001"
        if case.prepare.bulk_id != message.bulk_id:
            return "refused 3100"  # an item is answered with its bulk
        if message.source != case.prepare.payee:
            return "refused 3100"
        if message.destination not in (None, case.prepare.payer):
            return self._void(case, "3100")
        seen = case.error_body if message.action == "abort" else case.fulfil_body
        if seen is not None:
            if seen != message.body():
                return "refused 3106"
            return "ignored" if case.fate == "held" else f"resent {SHOWN[case.fate]}"
        return self._answer(case, message, late=now_ms >= case.prepare.expires_at_ms)

    def _answer(self, case: Case, message: Fulfil, *, late: bool) -> str:
        if message.action == "abort":
            case.error_body = message.body()
        else:
            case.fulfil_body = message.body()
        pays = message.action in ("commit", "reserve")
        if pays and not (message.right_fulfilment and case.prepare.right_condition):
            return self._void(case, "3100")
        if case.fate != "held":
            return "refused 3100"
        if late:
            return "refused 3303"
        if message.action == "reject":
            return "ignored"
        if message.action == "abort":
            return self._void(case, "3100" if message.error_code == "9999" else message.error_code)
        case.fate = "paid"
        if not self.credits_follow:
            self.credit(case.prepare.payee, message.transfer_id, case.prepare.amount)
        return "committed"

    @staticmethod
    def _void(case: Case, code: str) -> str:
        if case.fate != "held":
            return f"refused {code}"
        case.fate = "void"
        return f"aborted {code}"
