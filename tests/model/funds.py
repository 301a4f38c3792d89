"""The operators' commands on a partition: limits, flags, and the funds that the scheme holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.model.auditor import Auditor
from tests.model.effects import Effects

INACTIVE = "2001"


class Funds:
    """Follows the commands of a partition; funds are a list of what came in and went out, never a balance."""

    def __init__(self, auditor: Auditor) -> None:
        self._auditor = auditor
        self._movements: dict[str, dict[str, int]] = {}  # participant -> funds transfer -> what it adds to the funds
        self._outs: dict[str, str] = {}  # funds-out transfer -> reserved, out, back or refused
        self._amounts: dict[str, int] = {}
        self._seen: set[str] = set()
        self._reconciled: dict[str, int] = {}
        self._inactive: set[str] = set()
        self._account_inactive: set[str] = set()

    def value(self, participant: str, account_type: str) -> int:
        """Return an account's value: SETTLEMENT is negative while the scheme holds funds; the hub's mirrors all."""
        if account_type == "SETTLEMENT":
            return -sum(self._movements.get(participant, {}).values())
        return sum(self._reconciled.values())

    def is_active(self, participant: str) -> bool:
        """Whether operators have not deactivated the participant."""
        return participant not in self._inactive

    @property
    def reserved(self) -> int:
        """The sum of all funds-out that are reserved and not committed."""
        return sum(self._amounts[out] for out, state in self._outs.items() if state == "reserved")

    def all_settlements(self) -> int:
        """The sum of this partition's SETTLEMENT accounts."""
        return sum(self.value(name, "SETTLEMENT") for name in self._movements)

    def reconcile(self, transfer_id: str, change: int) -> None:
        """Count the hub's leg of a funds transfer; a second one would show in the account's value."""
        self._reconciled[transfer_id] = change

    def command(self, message: dict[str, Any], effects: Effects) -> None:
        command = message["command"]
        code = _COMMANDS[command["name"]](self, message["participant"], command, effects)
        effects.add("reply", message["correlation_id"], code)

    def _note_activity(self, name: str) -> None:
        is_welcome = name not in self._inactive | self._account_inactive
        (self._auditor.barred.discard if is_welcome else self._auditor.barred.add)(name)

    def _nothing(self, _name: str, _args: dict[str, Any], _effects: Effects) -> None:
        return None

    def _set_limit(self, name: str, args: dict[str, Any], effects: Effects) -> None:
        self._auditor.caps[name] = args["net_debit_cap"]
        self._note_activity(name)
        effects.touched.add(("positions", f"{name}/USD/POSITION"))

    def _set_active(self, name: str, args: dict[str, Any], _effects: Effects) -> None:
        (self._inactive.discard if args["active"] else self._inactive.add)(name)
        self._note_activity(name)

    def _set_account_active(self, name: str, args: dict[str, Any], effects: Effects) -> None:
        (self._account_inactive.discard if args["active"] else self._account_inactive.add)(name)
        self._note_activity(name)
        effects.touched.add(("positions", f"{name}/USD/POSITION"))

    def move(self, name: str, transfer_id: str, change: int, entry: str, effects: Effects) -> None:
        """Set what a transfer adds to the funds in all to `change`; the account moves by the difference."""
        before = self.value(name, "SETTLEMENT")
        self._movements.setdefault(name, {})[transfer_id] = change
        value = self.value(name, "SETTLEMENT")
        self._auditor.funds[name] = -value
        effects.move((name, "SETTLEMENT"), value - before, value, transfer_id, entry)

    def _funds_in(self, name: str, args: dict[str, Any], effects: Effects) -> str | None:
        request = args["request"]
        transfer_id, amount = request["transfer_id"], request["amount"]
        if name in self._inactive:
            return INACTIVE
        if transfer_id not in self._seen:
            self._seen.add(transfer_id)
            self.move(name, transfer_id, amount, "RECORD_FUNDS_IN", effects)
            effects.finish(transfer_id, "funds-in", "COMMITTED", None)
            effects.reconcile(amount, transfer_id)
        return None

    def _reserve_out(self, name: str, args: dict[str, Any], effects: Effects) -> str | None:
        request = args["request"]
        transfer_id, amount = request["transfer_id"], request["amount"]
        if name in self._inactive:
            return INACTIVE
        if transfer_id in self._seen:
            return None
        self._seen.add(transfer_id)
        self._amounts[transfer_id] = amount
        if amount > -self.value(name, "SETTLEMENT"):
            self._outs[transfer_id] = "refused"
            effects.finish(transfer_id, "funds-out", "ABORTED", "4001")
            return None
        self._outs[transfer_id] = "reserved"
        self.move(name, transfer_id, -amount, "RECORD_FUNDS_OUT", effects)
        effects.touched.add(("transfers", transfer_id))
        return None

    def _commit_out(self, name: str, args: dict[str, Any], effects: Effects) -> str | None:
        transfer_id = args["transfer_id"]
        if name in self._inactive:
            return INACTIVE
        if self._outs.get(transfer_id) == "reserved":
            self._outs[transfer_id] = "out"
            effects.finish(transfer_id, "funds-out", "COMMITTED", None)
            effects.reconcile(-self._amounts[transfer_id], transfer_id)
        return None

    def _abort_out(self, name: str, args: dict[str, Any], effects: Effects) -> str | None:
        transfer_id = args["transfer_id"]
        if name in self._inactive:
            return INACTIVE
        if self._outs.get(transfer_id) == "reserved":
            self._outs[transfer_id] = "back"
            self.move(name, transfer_id, 0, "RECORD_FUNDS_OUT", effects)
            effects.finish(transfer_id, "funds-out", "ABORTED", None)
        return None


_COMMANDS: dict[str, Callable[[Funds, str, dict[str, Any], Effects], str | None]] = {
    "register-participant": Funds._nothing,
    "open-hub-account": Funds._nothing,
    "set-endpoint": Funds._nothing,
    "set-initial-limit": Funds._set_limit,
    "adjust-limit": Funds._set_limit,
    "set-active": Funds._set_active,
    "set-account-active": Funds._set_account_active,
    "record-funds-in": Funds._funds_in,
    "reserve-funds-out": Funds._reserve_out,
    "commit-funds-out": Funds._commit_out,
    "abort-funds-out": Funds._abort_out,
}
