"""An independent model of the ledger: predicts each verdict, and keeps no balance.

It knows only what was promised: which transfers are held, paid or void. What a DFSP owes it adds up anew each time, so
that a movement made twice, or not at all, or with the wrong sign in the code under test has no counterpart here.
"""

from __future__ import annotations

from dataclasses import dataclass

from clearinghub.domain.fulfil import Action
from tests.property.messages import DFSPS, Flags, Fulfil, Happening, Limits, Message, Prepare

SHOWN = {"held": "RESERVED", "paid": "COMMITTED", "void": "ABORTED"}


@dataclass
class Case:
    """What became of a transfer: `held`, `paid` or `void`; and the bodies that have been seen of it."""

    prepare: Prepare
    fate: str
    fulfil_body: str | None = None
    error_body: str | None = None


class Auditor:
    """Follows a history message by message."""

    def __init__(self, *, on_us_transfers: bool = False) -> None:
        self.on_us_transfers = on_us_transfers
        self.cases: dict[str, Case] = {}
        self.caps: dict[str, int | None] = dict.fromkeys(DFSPS, 100)
        self.funds = dict.fromkeys(DFSPS, 100)
        self.barred: set[str] = set()

    def owes(self, dfsp: str) -> int:
        """Held or paid out, less what was paid in."""
        prepares = [(case.prepare, case.fate) for case in self.cases.values()]
        out = sum(prepare.amount for prepare, fate in prepares if fate in ("held", "paid") and prepare.payer == dfsp)
        return out - sum(prepare.amount for prepare, fate in prepares if fate == "paid" and prepare.payee == dfsp)

    def in_flight(self) -> int:
        return sum(case.prepare.amount for case in self.cases.values() if case.fate == "held")

    def predict(self, happening: Happening) -> str:
        """The verdict that is right for a message. From now on the message counts as delivered."""
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
        welcome = set(DFSPS) - self.barred
        sound = (
            {message.payer, message.payee} <= welcome
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
        if (message.action, message.version) == (Action.RESERVE, "1.0"):
            return "ignored"
        case = self.cases.get(message.transfer_id)
        if case is None:
            return "refused 2001"
        if message.source != case.prepare.payee:
            return "refused 3100"
        if message.destination not in (None, case.prepare.payer):
            return self._void(case, "3100")
        seen = case.error_body if message.action is Action.ABORT else case.fulfil_body
        if seen is not None:
            if seen != message.body():
                return "refused 3106"
            return "ignored" if case.fate == "held" else f"resent {SHOWN[case.fate]}"
        return self._answer(case, message, late=now_ms >= case.prepare.expires_at_ms)

    def _answer(self, case: Case, message: Fulfil, *, late: bool) -> str:
        if message.action is Action.ABORT:
            case.error_body = message.body()
        else:
            case.fulfil_body = message.body()
        pays = message.action in (Action.COMMIT, Action.RESERVE)
        if pays and not (message.right_fulfilment and case.prepare.right_condition):
            return self._void(case, "3100")
        if case.fate != "held":
            return "refused 3100"
        if late:
            return "refused 3303"
        if message.action is Action.REJECT:
            return "ignored"
        if message.action is Action.ABORT:
            return self._void(case, "3100" if message.error_code == "9999" else message.error_code)
        case.fate = "paid"
        return "committed"

    @staticmethod
    def _void(case: Case, code: str) -> str:
        if case.fate != "held":
            return f"refused {code}"
        case.fate = "void"
        return f"aborted {code}"
