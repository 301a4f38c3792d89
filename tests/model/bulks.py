"""A partition's bulks, judged again: no table of states and no counters, only the outcome of each item.

Items are transfers, and `PartitionBooks` judges them as such; here is judged when it must, and which callbacks follow.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.model import bulk_callbacks, ring
from tests.model.effects import Effects
from tests.model.journal import Breach, Seen, body_of, header_of

HUB = "Hub"
FATES = ("refused", "pending", "committed", "aborted", "expired")  # in the order of the counters in the row


@dataclass
class Item:
    """An item. `result` is its fulfilment or error code; `is_id_in_use`: another transfer has its id."""

    transfer_id: str
    is_id_in_use: bool
    fate: str
    result: str | None = None


@dataclass
class Bulk:
    """A bulk. `body`, `fulfil_body` and `error_body` are the hashes of its first messages of each kind."""

    payer: str
    payee: str
    expires_at_ms: int
    body: str
    is_void: bool = False  # the whole bulk was refused
    is_answered: bool = False  # the payee has answered at least some items
    is_aborted_whole: bool = False
    items: list[Item] = field(default_factory=list)
    fulfil_body: str | None = None
    error_body: str | None = None
    ended_ms: int | None = None

    @property
    def pending(self) -> list[Item]:
        return [item for item in self.items if item.fate == "pending"]

    @property
    def state(self) -> str:
        """The state that DFSPs are shown."""
        if self.pending:
            return "PROCESSING" if self.is_answered else "ACCEPTED"
        is_rejected = self.is_void or self.is_aborted_whole or all(item.fate == "refused" for item in self.items)
        return "REJECTED" if is_rejected else "COMPLETED"

    def shown(self, *, to_payee: bool) -> str:
        """Return the text of PUT /bulkTransfers/{ID}; a payee is shown only the items that it was sent."""
        seen = [(one.transfer_id, one.result) for one in self.items if not to_payee or one.fate != "refused"]
        return "hub: " + bulk_callbacks.state_text(self.state, self.ended_ms, None if self.is_void else seen)


class ItemJudge(Protocol):
    """The part of `PartitionBooks` that bulks need."""

    def decide_item(self, header: dict[str, Any], seen: Seen, effects: Effects, refused: set[str]) -> str:
        """Return the verdict on an item, as on a transfer, without its callbacks."""
        ...

    def has_joined(self, name: str) -> bool:
        """Whether a DFSP of that name has joined."""
        ...

    def is_active_here(self, name: str) -> bool:
        """Whether a DFSP of this partition may pay."""
        ...


class PartitionBulks:
    """The bulks of one partition; the arguments are those of `PartitionBooks`."""

    def __init__(self, judge: ItemJudge, partition: int, partitions: int, activity: Callable[[str], set[bool]]) -> None:
        self.cases: dict[str, Bulk] = {}
        self._judge = judge
        self._partition = partition
        self._partitions = partitions
        self._activity = activity

    def decide(self, header: dict[str, Any], seen: Seen, effects: Effects, refused: set[str]) -> None:
        """Decide a record about a bulk again.

        `refused` are the ids that the ledger has refused because of their payee. Whether a payee is active is known
        late on other partitions: where both answers may be right, the ledger's counts.
        """
        bulk_id = header["id"]
        if header["kind"] == "bulk-prepare":
            self._prepare(header, seen, effects, refused)
        elif header["kind"] == "bulk-timeout":
            self._expire(bulk_id, seen, effects)
        elif (step := ring.onward(self._partition, self._partitions, header, self._nearness(header, seen))) is not None:
            effects.add("bulk-fulfil", step[0], header["kind"], bulk_id, step[1])
        elif header["kind"] == "bulk-get":
            self._get(bulk_id, header["source"], effects)
        else:
            self._answer(header, seen, effects)
        if bulk_id in self.cases:
            effects.touched.add(("bulks", bulk_id))

    def _nearness(self, header: dict[str, Any], seen: Seen) -> int | None:
        """Return how near the bulk of that id is to a GET or to its payee's answer."""
        bulk = self.cases.get(header["id"])
        if header["kind"] == "bulk-get":
            if bulk is None:
                return None
            return ring.FITS if header["source"] in (bulk.payer, bulk.payee) else ring.ID
        if bulk is None or bulk.is_void:
            return None
        if header["source"] != bulk.payee:
            return ring.ID
        answered = {one["transferId"] for one in json.loads(body_of(seen.value)).get("individualTransferResults", ())}
        is_of_it = not answered or any(item.transfer_id in answered for item in bulk.items)
        return ring.FITS if is_of_it and header["destination"] in (None, bulk.payer, "Hub") else ring.PAYEE

    # -- prepare

    def _prepare(self, header: dict[str, Any], seen: Seen, effects: Effects, refused: set[str]) -> None:
        bulk_id, known = header["id"], self.cases.get(header["id"])
        if known is not None:
            if known.body != header["hash"]:
                effects.notify(header["source"], "PUT", bulk_id, "hub: error 3106")
            elif not known.pending:
                effects.notify(known.payer, "PUT", bulk_id, known.shown(to_payee=False))
            return
        code = self._fault(header, seen.at_ms, refused)
        bulk = self.cases[bulk_id] = Bulk(
            header["payer"], header["payee"], header["expires_at_ms"], header["hash"], is_void=code is not None
        )
        if code is not None:
            bulk.ended_ms = seen.at_ms
            effects.notify(header["source"], "PUT", bulk_id, f"hub: error {code}")
            return
        content = json.loads(body_of(seen.value))
        requested = content["individualTransfers"]
        for one, amount, digest in zip(requested, header["amounts"], header["hashes"], strict=True):
            bulk.items.append(self._prepare_item(header, one, amount, digest, seen, effects, refused))
        sent = [one for one, item in zip(requested, bulk.items, strict=True) if item.fate == "pending"]
        if sent:
            shown = bulk_callbacks.request({**content, "individualTransfers": sent})
            effects.notify(bulk.payee, "POST", bulk_id, f"hub: {shown}")
        else:
            bulk.ended_ms = seen.at_ms
            effects.notify(bulk.payer, "PUT", bulk_id, bulk.shown(to_payee=False))

    def _fault(self, header: dict[str, Any], now_ms: int, refused: set[str]) -> str | None:
        """Return the error code of the whole bulk, by the order of protocol 8.1, or None."""
        payer, payee, destination = header["payer"], header["payee"], header["destination"]
        if header["source"] != payer or header["expires_at_ms"] < now_ms or payer == payee:
            return "3100"
        if not self._judge.is_active_here(payer):
            return "3202"
        if destination not in (None, HUB) and not self._judge.has_joined(destination):
            return "3203"
        activity = self._activity(payee)
        is_welcome = header["id"] not in refused if len(activity) > 1 else activity == {True}
        return None if is_welcome else "3203"

    def _prepare_item(
        self,
        header: dict[str, Any],
        one: dict[str, Any],
        amount: int,
        digest: str,
        seen: Seen,
        effects: Effects,
        refused: set[str],
    ) -> Item:
        transfer_id = one["transferId"]
        single = {
            "kind": "prepare",
            "id": transfer_id,
            "source": header["source"],
            "payer": header["payer"],
            "payee": header["payee"],
            "amount": amount,
            "condition": one["condition"],
            "expires_at_ms": header["expires_at_ms"],
            "hash": digest,
            "bulk_id": header["id"],
        }
        verdict, _, detail = self._judge.decide_item(single, seen, effects, refused).partition(" ")
        if verdict == "reserved":
            return Item(transfer_id, is_id_in_use=False, fate="pending")
        if verdict == "resent" or detail == "3106":
            return Item(transfer_id, is_id_in_use=True, fate="refused", result="3106")
        return Item(transfer_id, is_id_in_use=False, fate="refused", result=detail)

    # -- fulfil

    def _answer(self, header: dict[str, Any], seen: Seen, effects: Effects) -> None:
        bulk_id, sender = header["id"], header["source"]
        bulk = self.cases.get(bulk_id)
        if bulk is None or bulk.is_void:
            effects.notify(sender, "PUT", bulk_id, "hub: error 3210")
            return
        if sender != bulk.payee:
            effects.notify(sender, "PUT", bulk_id, "hub: error 3100")
            return
        had = bulk.error_body if header["action"] == "abort" else bulk.fulfil_body
        if had is not None:
            if had != header["hash"]:
                effects.notify(sender, "PUT", bulk_id, "hub: error 3106")
            elif not bulk.pending:
                effects.notify(sender, "PUT", bulk_id, bulk.shown(to_payee=True))
        elif seen.at_ms < bulk.expires_at_ms:
            if bulk.pending:
                self._follow_answer(bulk, header, seen, effects)
            else:
                effects.notify(sender, "PUT", bulk_id, "hub: error 3100")

    def _follow_answer(self, bulk: Bulk, header: dict[str, Any], seen: Seen, effects: Effects) -> None:
        """Follow the payee's first PUT or its first error."""
        content = json.loads(body_of(seen.value))
        is_error = header["action"] == "abort"
        if is_error:
            bulk.error_body = header["hash"]
        else:
            bulk.fulfil_body = header["hash"]
        is_misaddressed = header["destination"] not in (None, bulk.payer, HUB)
        if is_misaddressed or is_error:
            code = "3100" if is_misaddressed else content["errorInformation"]["errorCode"]
            results = [{"transferId": one.transfer_id, "errorInformation": {"errorCode": code}} for one in bulk.pending]
            bulk.is_aborted_whole = not bulk.is_answered
        else:
            code, results = "", content.get("individualTransferResults", [])
        bulk.is_answered = True
        for result in results:
            ours = [one for one in bulk.pending if one.transfer_id == result["transferId"]]
            if ours:
                self._end_item(bulk, ours[0], result, header, seen, effects)
        if not bulk.pending:
            self._end(header["id"], bulk, seen, effects, code="3100" if code == "9999" else code)

    def _end_item(
        self, bulk: Bulk, one: Item, result: dict[str, Any], header: dict[str, Any], seen: Seen, effects: Effects
    ) -> None:
        error = result.get("errorInformation")
        single = {
            "kind": "fulfil",
            "id": one.transfer_id,
            "action": "commit" if error is None else "abort",
            "source": bulk.payee,
            "destination": None,
            "fulfilment": result.get("fulfilment"),
            "error_code": None if error is None else error["errorCode"],
            "hash": header["hash"],
            "hops": 0,
            "bulk_id": header["id"],
        }
        verdict, _, detail = self._judge.decide_item(single, seen, effects, set()).partition(" ")
        if verdict == "committed":
            one.fate, one.result = "committed", result["fulfilment"]
        elif verdict == "aborted":
            one.fate, one.result = "aborted", detail
        else:
            raise Breach(f"{one.transfer_id} was pending, and its answer is {verdict} {detail}")

    def _end(self, bulk_id: str, bulk: Bulk, seen: Seen, effects: Effects, code: str = "") -> None:
        """End a bulk whose last item has ended: both sides are notified, the payer first."""
        bulk.ended_ms = seen.at_ms
        for receiver in (bulk.payer, bulk.payee):
            shown = f"hub: error {code}" if bulk.is_aborted_whole else bulk.shown(to_payee=receiver == bulk.payee)
            effects.notify(receiver, "PUT", bulk_id, shown)

    # -- timeout, get

    def _expire(self, bulk_id: str, seen: Seen, effects: Effects) -> None:
        bulk = self.cases[bulk_id]
        if not bulk.pending or seen.at_ms <= bulk.expires_at_ms:
            return
        for one in bulk.pending:
            verdict = self._judge.decide_item({"kind": "timeout", "id": one.transfer_id}, seen, effects, set())
            if verdict != "expired":
                raise Breach(f"{one.transfer_id} was pending, and its bulk's time was up, and it is {verdict}")
            one.fate, one.result = "expired", "3303"
        self._end(bulk_id, bulk, seen, effects)

    def _get(self, bulk_id: str, requester: str, effects: Effects) -> None:
        bulk = self.cases.get(bulk_id)
        if not self._judge.has_joined(requester):
            return
        if bulk is None:
            effects.notify(requester, "PUT", bulk_id, "hub: error 3210")
        elif requester not in (bulk.payer, bulk.payee):
            effects.notify(requester, "PUT", bulk_id, "hub: error 3000")
        else:
            effects.notify(requester, "PUT", bulk_id, bulk.shown(to_payee=requester != bulk.payer))

    # -- what else a round writes

    def check_reminder(self, seen: Seen) -> None:
        """Raise Breach for a reminder of a bulk that has no pending item."""
        header = header_of(seen.value) if seen.topic == "bulk-fulfil" else None
        if header is not None and header["kind"] == "bulk-timeout":
            bulk = self.cases.get(header["id"])
            if bulk is None or not bulk.pending:
                raise Breach(f"partition {self._partition}: reminded of {header['id']}, which is not open")

    def check_row(self, bulk_id: str, row: list[Any]) -> None:
        """Raise Breach unless the row's state and counters are those of a count over all items."""
        bulk = self.cases[bulk_id]
        state, counts = row[5][-1][0], row[9]
        expected = [sum(item.fate == fate for item in bulk.items) for fate in FATES]
        shown = "REJECTED" if state == "INVALID" else state
        if (shown, counts) != (bulk.state, expected):
            raise Breach(f"bulk {bulk_id} is {state} with {counts}, and must be {bulk.state} with {expected}")
