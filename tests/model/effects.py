"""What follows from a verdict, as plain tuples by topic: callbacks, movements, and what is published.

positions           (participant, account type, change, value after it, transfer, entry)
transfers           (transfer, kind, COMMITTED, SETTLED or ABORTED, error code, window)
credit              (participant, account type, change, transfer, window, counterparty, account that settles it)
                    or (partition, window-marker, window, source, whether it is sent again)
settlement          (partition, kind, and the fields of that kind)
settlement-windows  (window, number, state, reason, contents) or (nets, number, netting_group, nets)
notification        (receiver, method, transfer, content)
lookup              (partition, kind, transfer, hops); bulk-fulfil: the same for a bulk
reply               (correlation, error code)
dead-letter         (topic, partition, offset)
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.model.bulk_callbacks import text_of
from tests.model.journal import Seen, body_of
from tests.model.nets import Leg

Effect = tuple[Any, ...]


class Effects:
    """The predicted effects of a round."""

    def __init__(self, *, confirm_to_payee: bool) -> None:
        self.by_topic: dict[str, list[Effect]] = defaultdict(list)
        self.touched: set[tuple[str, str]] = set()  # rows that must be there afterwards, by table and key
        self._confirm_to_payee = confirm_to_payee
        self._is_silent = False

    @contextmanager
    def without_callbacks(self) -> Iterator[None]:
        """Add no callbacks within this context."""
        self._is_silent = True
        yield
        self._is_silent = False

    def add(self, topic: str, *effect: Any) -> None:
        self.by_topic[topic].append(effect)

    def move(self, account: tuple[str, str], change: int, value: int, transfer_id: str, entry: str) -> None:
        self.add("positions", *account, change, value, transfer_id, entry)
        self.touched.add(("positions", f"{account[0]}/USD/{account[1]}"))

    def notify(self, receiver: str, method: str, transfer_id: str, content: str) -> None:
        if not self._is_silent:
            self.add("notification", receiver, method, transfer_id, content)

    def finish(self, transfer_id: str, kind: str, outcome: str, code: str | None, window: int | None = None) -> None:
        self.add("transfers", transfer_id, kind, outcome, code, window)
        self.touched.add(("transfers", transfer_id))

    def committed(self, debit: Leg, payee: str, *, reserve: bool) -> None:
        """Commit a transfer; `debit` is its payer's leg."""
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
            self.notify(payer, "PUT", transfer_id, "hub: COMMITTED")
            self.notify(payee, "PATCH", transfer_id, "hub: COMMITTED")
            return
        self.notify(payer, "PUT", transfer_id, "forward")
        if self._confirm_to_payee:
            self.notify(payee, "PUT", transfer_id, "hub: COMMITTED")

    def reconcile(self, amount: int, transfer_id: str) -> None:
        """Credit the hub's side of funds in or out, which is in no settlement."""
        self.add("credit", "Hub", "HUB_RECONCILIATION", amount, transfer_id, None, "", "")

    def aborted(self, transfer_id: str, payer: str, payee: str, code: str, *, forwarded: bool) -> None:
        """Abort a transfer by the payee's own error."""
        self.finish(transfer_id, "transfer", "ABORTED", code)
        self.notify(payer, "PUT", transfer_id, "forward" if forwarded else f"hub: error {code}")
        if self._confirm_to_payee:
            self.notify(payee, "PUT", transfer_id, f"hub: error {code}")

    def unwound(self, transfer_id: str, payer: str, payee: str, code: str, *, reserve: bool) -> None:
        """Abort a transfer by a wrong answer of the payee, or because its time is over."""
        self.finish(transfer_id, "transfer", "ABORTED", code)
        self.notify(payer, "PUT", transfer_id, f"hub: error {code}")
        self.notify(payee, "PUT", transfer_id, f"hub: error {code}")
        if reserve:
            self.notify(payee, "PATCH", transfer_id, "hub: ABORTED")

    def resent(self, transfer_id: str, payer: str, payee: str, sender: str, state: str, *, reserve: bool) -> None:
        if not reserve:
            self.notify(sender, "PUT", transfer_id, f"hub: {state}")
            return
        if state == "COMMITTED":
            self.notify(payer, "PUT", transfer_id, "hub: COMMITTED")
        self.notify(payee, "PATCH", transfer_id, f"hub: {state}")


def read_effects(emitted: Iterable[Seen], bodies: set[bytes]) -> dict[str, list[Effect]]:
    """Return what a round has written as the same tuples; `bodies` are the bodies of the messages that it decided."""
    found: dict[str, list[Effect]] = defaultdict(list)
    for seen in emitted:
        effect = _READERS[seen.topic](seen, bodies) if seen.topic in _READERS else None
        if effect is not None:
            found[seen.topic].append(effect)
    return found


def _header(seen: Seen) -> dict[str, Any]:
    assert seen.value is not None
    header: dict[str, Any] = json.loads(seen.value.partition(b"\n")[0])
    return header


def _position(seen: Seen, _bodies: set[bytes]) -> Effect:
    header = _header(seen)
    return (
        header["participant"],
        header["accountType"],
        header["change"],
        header["value"],
        header["transferId"],
        header["entryType"],
    )


def _transfer(seen: Seen, _bodies: set[bytes]) -> Effect:
    header = _header(seen)
    outcome = header["state"] if header["state"] in ("COMMITTED", "SETTLED") else "ABORTED"
    return header["transferId"], header["kind"], outcome, header["errorCode"], header["window"]


def _credit(seen: Seen, _bodies: set[bytes]) -> Effect:
    header = _header(seen)
    if header["kind"] == "window-marker":
        return seen.partition, "window-marker", header["window"], header["source"], header.get("again", False)
    return (
        header["participant"],
        header["account_type"],
        header["change"],
        header["id"],
        header["window"],
        header.get("counterparty", ""),
        header.get("settles_into", ""),
    )


def _settlement(seen: Seen, _bodies: set[bytes]) -> Effect:
    header = _header(seen)
    if header["kind"] == "scheme":
        models = tuple((one[1], one[2]) for one in header["models"])
        return seen.partition, "scheme", models, header["feature_level"]
    if header["kind"] == "window-report":
        nets = tuple(sorted((*group, *party, *sums) for group, (party, _ids, sums) in header["nets"]))
        return seen.partition, "window-report", header["window"], header["partition"], nets, header["is_last"]
    if header["kind"] in ("report-window", "publish-window") or header.get("after"):
        return seen.partition, header["kind"], header["window"], header["after"]
    return seen.partition, header["kind"], header["window"]


def _window(seen: Seen, _bodies: set[bytes]) -> Effect:
    header = json.loads(seen.value or b"")
    number = header["settlementWindowId"]
    if header["kind"] == "window":
        contents = tuple(
            (one["currency"], one["ledgerAccountType"], one["granularity"], one["state"], one["transfers"])
            for one in header["contents"]
        )
        return "window", number, header["state"], header["reason"], contents
    names = ("participant", "counterparty", "debits", "credits", "debitCount", "creditCount", "net")
    nets = tuple((header["granularity"], *(one[name] for name in names)) for one in header["nets"])
    return "nets", number, header["currency"], header["ledgerAccountType"], header["granularity"], nets


def _notification(seen: Seen, bodies: set[bytes]) -> Effect:
    header, body = _header(seen), body_of(seen.value)
    if header["resource"] == "bulkTransfers":
        content = text_of(json.loads(body))
    else:
        content = "forward" if not body or body in bodies else _content(json.loads(body))
    by_hub = "hub: " if header["source"] == "Hub" else ""
    return header["receiver"], header["method"], header["id"], by_hub + content


def _content(body: dict[str, Any]) -> str:
    if "errorInformation" in body:
        return f"error {body['errorInformation']['errorCode']}"
    return str(body.get("transferState", "no state"))


def _lookup(seen: Seen, _bodies: set[bytes]) -> Effect | None:
    """Read a request that is passed on. Reports of ids follow from no single record, and have tests of their own."""
    header = _header(seen)
    return None if header["kind"] == "claims" else (seen.partition, header["kind"], header["id"], header["hops"])


def _bulk_fulfil(seen: Seen, bodies: set[bytes]) -> Effect | None:
    """Read a message that is forwarded to the next partition; bulks.py judges reminders."""
    return None if _header(seen)["kind"] == "bulk-timeout" else _lookup(seen, bodies)


def _reply(seen: Seen, _bodies: set[bytes]) -> Effect:
    header = _header(seen)
    return header["correlation_id"], None if header["error"] is None else header["error"]["code"]


def _dead_letter(seen: Seen, _bodies: set[bytes]) -> Effect | None:
    header = _header(seen)
    return header["topic"], header["partition"], header["offset"]


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
