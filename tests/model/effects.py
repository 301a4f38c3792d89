"""What follows from a verdict: who is told what, which account moves, what is published. In plain tuples, by topic.

positions           (participant, account type, change, value behind it, transfer, entry)
transfers           (transfer, kind, COMMITTED, SETTLED or ABORTED, error code, window)
credit              (participant, account type, change, transfer, window, counterparty, account that settles it)
                    or (partition, window-marker, window, source, whether it is sent again)
settlement          (partition, kind, and what that kind tells)
settlement-windows  (window, number, state, reason, contents) or (nets, number, netting_group, nets)
notification        (receiver, method, transfer, what is told)
lookup              (partition, kind, transfer, hops); bulk-fulfil the same, of a bulk
reply               (correlation, error code)
dead-letter         (topic, partition, offset)
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.model.bulk_words import told_of
from tests.model.journal import Seen, body_of
from tests.model.nets import Leg

Effect = tuple[Any, ...]


class Effects:
    """Those of a round, as predicted."""

    def __init__(self, *, confirm_to_payee: bool) -> None:
        self.by_topic: dict[str, list[Effect]] = defaultdict(list)
        self.touched: set[tuple[str, str]] = set()  # rows that must stand there afterwards, by table and key
        self._confirm_to_payee = confirm_to_payee
        self._is_hushed = False

    @contextmanager
    def hushed(self) -> Iterator[None]:
        """Within, nobody is told anything."""
        self._is_hushed = True
        yield
        self._is_hushed = False

    def add(self, topic: str, *effect: Any) -> None:
        self.by_topic[topic].append(effect)

    def move(self, account: tuple[str, str], change: int, value: int, transfer_id: str, entry: str) -> None:
        self.add("positions", *account, change, value, transfer_id, entry)
        self.touched.add(("positions", f"{account[0]}/USD/{account[1]}"))

    def tell(self, receiver: str, method: str, transfer_id: str, told: str) -> None:
        if not self._is_hushed:
            self.add("notification", receiver, method, transfer_id, told)

    def finish(self, transfer_id: str, kind: str, outcome: str, code: str | None, window: int | None = None) -> None:
        self.add("transfers", transfer_id, kind, outcome, code, window)
        self.touched.add(("transfers", transfer_id))

    def committed(self, debit: Leg, payee: str, *, reserve: bool) -> None:
        """`debit` is the payer's leg."""
        transfer_id, payer, is_gross = debit.transfer_id, debit.participant, debit.granularity == "GROSS"
        self.finish(transfer_id, "transfer", "SETTLED" if is_gross else "COMMITTED", None, debit.window)
        self.add(
            "credit",
            payee,
            "POSITION",
            -debit.amount,
            transfer_id,
            debit.window,
            payer if debit.counterparty else "",
            "SETTLEMENT" if is_gross else "",
        )
        if reserve:
            self.tell(payer, "PUT", transfer_id, "hub: COMMITTED")
            self.tell(payee, "PATCH", transfer_id, "hub: COMMITTED")
            return
        self.tell(payer, "PUT", transfer_id, "forward")
        if self._confirm_to_payee:
            self.tell(payee, "PUT", transfer_id, "hub: forward")

    def reconcile(self, amount: int, transfer_id: str) -> None:
        """The hub's side of funds in or out: no part of any settlement."""
        self.add("credit", "Hub", "HUB_RECONCILIATION", amount, transfer_id, None, "", "")

    def aborted(self, transfer_id: str, payer: str, payee: str, code: str, *, forwarded: bool) -> None:
        """By the payee's own error."""
        self.finish(transfer_id, "transfer", "ABORTED", code)
        self.tell(payer, "PUT", transfer_id, "forward" if forwarded else f"hub: error {code}")
        if self._confirm_to_payee:
            self.tell(payee, "PUT", transfer_id, f"hub: error {code}")

    def unwound(self, transfer_id: str, payer: str, payee: str, code: str, *, reserve: bool) -> None:
        """By the payee's mistake, or by the clock."""
        self.finish(transfer_id, "transfer", "ABORTED", code)
        self.tell(payer, "PUT", transfer_id, f"hub: error {code}")
        self.tell(payee, "PUT", transfer_id, f"hub: error {code}")
        if reserve:
            self.tell(payee, "PATCH", transfer_id, "hub: ABORTED")

    def resent(self, transfer_id: str, payer: str, payee: str, sender: str, state: str, *, reserve: bool) -> None:
        if not reserve:
            self.tell(sender, "PUT", transfer_id, f"hub: {state}")
            return
        if state == "COMMITTED":
            self.tell(payer, "PUT", transfer_id, "hub: COMMITTED")
        self.tell(payee, "PATCH", transfer_id, f"hub: {state}")


def read_effects(emitted: Iterable[Seen], bodies: set[bytes]) -> dict[str, list[Effect]]:
    """What a round has written, in the same tuples; `bodies` are those of the messages that it decided."""
    found: dict[str, list[Effect]] = defaultdict(list)
    for seen in emitted:
        effect = _READERS[seen.topic](seen, bodies) if seen.topic in _READERS else None
        if effect is not None:
            found[seen.topic].append(effect)
    return found


def _line(seen: Seen) -> dict[str, Any]:
    assert seen.value is not None
    line: dict[str, Any] = json.loads(seen.value.partition(b"\n")[0])
    return line


def _position(seen: Seen, _bodies: set[bytes]) -> Effect:
    line = _line(seen)
    return (
        line["participant"],
        line["accountType"],
        line["change"],
        line["value"],
        line["transferId"],
        line["entryType"],
    )


def _transfer(seen: Seen, _bodies: set[bytes]) -> Effect:
    line = _line(seen)
    outcome = line["state"] if line["state"] in ("COMMITTED", "SETTLED") else "ABORTED"
    return line["transferId"], line["kind"], outcome, line["errorCode"], line["window"]


def _credit(seen: Seen, _bodies: set[bytes]) -> Effect:
    line = _line(seen)
    if line["kind"] == "window-marker":
        return seen.partition, "window-marker", line["window"], line["source"], line.get("again", False)
    return (
        line["participant"],
        line["account_type"],
        line["change"],
        line["id"],
        line["window"],
        line.get("counterparty", ""),
        line.get("settles_into", ""),
    )


def _settlement(seen: Seen, _bodies: set[bytes]) -> Effect:
    line = _line(seen)
    if line["kind"] == "scheme":
        return seen.partition, "scheme", tuple((one["name"], one["active"]) for one in line["scheme"]["models"])
    if line["kind"] == "window-report":
        nets = tuple(sorted((*row[:5], *row[7:]) for row in line["nets"]))
        return seen.partition, "window-report", line["window"], line["partition"], nets, line["is_last"]
    return seen.partition, line["kind"], line["window"]


def _window(seen: Seen, _bodies: set[bytes]) -> Effect:
    line = json.loads(seen.value or b"")
    number = line["settlementWindowId"]
    if line["kind"] == "window":
        contents = tuple(
            (one["currency"], one["ledgerAccountType"], one["granularity"], one["state"], one["transfers"])
            for one in line["contents"]
        )
        return "window", number, line["state"], line["reason"], contents
    names = ("participant", "counterparty", "debits", "credits", "debitCount", "creditCount", "net")
    nets = tuple((line["granularity"], *(one[name] for name in names)) for one in line["nets"])
    return "nets", number, line["currency"], line["ledgerAccountType"], line["granularity"], nets


def _notification(seen: Seen, bodies: set[bytes]) -> Effect:
    line, body = _line(seen), body_of(seen.value)
    if line["resource"] == "bulkTransfers":
        told = told_of(json.loads(body))
    else:
        told = "forward" if body in bodies else _told(json.loads(body))
    by_hub = "hub: " if line["source"] == "Hub" else ""
    return line["receiver"], line["method"], line["id"], by_hub + told


def _told(body: dict[str, Any]) -> str:
    if "errorInformation" in body:
        return f"error {body['errorInformation']['errorCode']}"
    return str(body.get("transferState", "what nobody said"))


def _lookup(seen: Seen, _bodies: set[bytes]) -> Effect:
    line = _line(seen)
    return seen.partition, line["kind"], line["id"], line["hops"]


def _bulk_fulfil(seen: Seen, bodies: set[bytes]) -> Effect | None:
    """What walks on; reminders are judged apart (bulks.py)."""
    return None if _line(seen)["kind"] == "bulk-timeout" else _lookup(seen, bodies)


def _reply(seen: Seen, _bodies: set[bytes]) -> Effect:
    line = _line(seen)
    return line["correlation_id"], None if line["error"] is None else line["error"]["code"]


def _dead_letter(seen: Seen, _bodies: set[bytes]) -> Effect | None:
    line = _line(seen)
    return line["topic"], line["partition"], line["offset"]


_READERS = {
    "positions": _position,
    "transfers": _transfer,
    "credit": _credit,
    "settlement": _settlement,
    "settlement-windows": _window,
    "notification": _notification,
    "lookup": _lookup,
    "bulk-fulfil": _bulk_fulfil,
    "reply": _reply,
    "dead-letter": _dead_letter,
}
