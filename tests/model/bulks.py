"""A partition's bulks, judged anew: no table of states and no counters, only what each line has come to.

The lines are transfers, and the books judge them as such; here is judged when they are asked to, and who hears what.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.model import bulk_words
from tests.model.effects import Effects
from tests.model.journal import Breach, Seen, body_of, line_of

HUB = "Hub"
FATES = ("refused", "pending", "committed", "aborted", "expired")  # in the order of the row's counters


@dataclass
class Line:
    """One line. `said` is its fulfilment or its error's code. `is_taken`: its id is another transfer's."""

    transfer_id: str
    is_taken: bool
    fate: str
    said: str | None = None


@dataclass
class Bulk:
    """What became of a bulk; `body`, `fulfil_body` and `error_body` stand for the messages that it has had."""

    payer: str
    payee: str
    expires_at_ms: int
    body: str
    is_void: bool = False  # refused as a whole
    is_answered: bool = False  # by some of its lines at least
    is_given_up: bool = False
    lines: list[Line] = field(default_factory=list)
    fulfil_body: str | None = None
    error_body: str | None = None
    ended_ms: int | None = None

    @property
    def pending(self) -> list[Line]:
        return [line for line in self.lines if line.fate == "pending"]

    @property
    def state(self) -> str:
        """As a DFSP is shown it."""
        if self.pending:
            return "PROCESSING" if self.is_answered else "ACCEPTED"
        is_rejected = self.is_void or self.is_given_up or all(line.fate == "refused" for line in self.lines)
        return "REJECTED" if is_rejected else "COMPLETED"

    def told(self, *, to_payee: bool) -> str:
        """PUT /bulkTransfers/{ID}; the payee hears of the lines that it was sent."""
        seen = [(one.transfer_id, one.said) for one in self.lines if not to_payee or one.fate != "refused"]
        return "hub: " + bulk_words.standing(self.state, self.ended_ms, None if self.is_void else seen)


class LineJudge(Protocol):
    """The books, as far as bulks need them."""

    def decide_line(self, line: dict[str, Any], seen: Seen, effects: Effects, refused: set[str]) -> str:
        """The verdict on a line, as on a transfer; nobody is told."""
        ...

    def has_joined(self, name: str) -> bool:
        """Whether there is such a DFSP."""
        ...

    def is_active_here(self, name: str) -> bool:
        """Whether a DFSP of this partition may pay."""
        ...


class PartitionBulks:
    """The bulks of one partition of the ledger; see `PartitionBooks` for the arguments."""

    def __init__(self, judge: LineJudge, partition: int, partitions: int, standing: Callable[[str], set[bool]]) -> None:
        self.cases: dict[str, Bulk] = {}
        self._judge = judge
        self._partition = partition
        self._partitions = partitions
        self._standing = standing

    def decide(self, line: dict[str, Any], seen: Seen, effects: Effects, refused: set[str]) -> None:
        """Decide a record about a bulk again; `refused` are ids that the ledger would not have for their payee's sake.

        Who says so is another partition, whose news travel: where both may be right, the ledger's word is.
        """
        bulk_id = line["id"]
        if line["kind"] == "bulk-prepare":
            self._prepare(line, seen, effects, refused)
        elif line["kind"] == "bulk-timeout":
            self._expire(bulk_id, seen, effects)
        elif self._may_be_elsewhere(line) and line["hops"] + 1 < self._partitions:
            onward = (self._partition + 1) % self._partitions
            effects.add("bulk-fulfil", onward, line["kind"], bulk_id, line["hops"] + 1)
        elif line["kind"] == "bulk-get":
            self._get(bulk_id, line["source"], effects)
        else:
            self._answer(line, seen, effects)
        if bulk_id in self.cases:
            effects.touched.add(("bulks", bulk_id))

    def _may_be_elsewhere(self, line: dict[str, Any]) -> bool:
        bulk = self.cases.get(line["id"])
        return bulk is None or (bulk.is_void and line["kind"] == "bulk-fulfil")

    # -- prepare

    def _prepare(self, line: dict[str, Any], seen: Seen, effects: Effects, refused: set[str]) -> None:
        bulk_id, known = line["id"], self.cases.get(line["id"])
        if known is not None:
            if known.body != line["hash"]:
                effects.tell(line["source"], "PUT", bulk_id, "hub: error 3106")
            elif not known.pending:
                effects.tell(known.payer, "PUT", bulk_id, known.told(to_payee=False))
            return
        code = self._fault(line, seen.at_ms, refused)
        bulk = self.cases[bulk_id] = Bulk(
            line["payer"], line["payee"], line["expires_at_ms"], line["hash"], is_void=code is not None
        )
        if code is not None:
            bulk.ended_ms = seen.at_ms
            effects.tell(line["source"], "PUT", bulk_id, f"hub: error {code}")
            return
        content = json.loads(body_of(seen.value))
        asked = content["individualTransfers"]
        for one, amount, digest in zip(asked, line["amounts"], line["hashes"], strict=True):
            bulk.lines.append(self._prepare_line(line, one, amount, digest, seen, effects, refused))
        sent = [one for one, known_line in zip(asked, bulk.lines, strict=True) if known_line.fate == "pending"]
        if sent:
            said = bulk_words.request({**content, "individualTransfers": sent})
            effects.tell(bulk.payee, "POST", bulk_id, f"hub: {said}")
        else:
            bulk.ended_ms = seen.at_ms
            effects.tell(bulk.payer, "PUT", bulk_id, bulk.told(to_payee=False))

    def _fault(self, line: dict[str, Any], now_ms: int, refused: set[str]) -> str | None:
        """What is wrong with the whole of it, in the order of protocol 8.1."""
        payer, payee, destination = line["payer"], line["payee"], line["destination"]
        if line["source"] != payer or line["expires_at_ms"] < now_ms or payer == payee:
            return "3100"
        if not self._judge.is_active_here(payer):
            return "3202"
        if destination not in (None, HUB) and not self._judge.has_joined(destination):
            return "3203"
        standing = self._standing(payee)
        is_welcome = line["id"] not in refused if len(standing) > 1 else standing == {True}
        return None if is_welcome else "3203"

    def _prepare_line(
        self,
        line: dict[str, Any],
        one: dict[str, Any],
        amount: int,
        digest: str,
        seen: Seen,
        effects: Effects,
        refused: set[str],
    ) -> Line:
        transfer_id = one["transferId"]
        single = {
            "kind": "prepare",
            "id": transfer_id,
            "source": line["source"],
            "payer": line["payer"],
            "payee": line["payee"],
            "amount": amount,
            "condition": one["condition"],
            "expires_at_ms": line["expires_at_ms"],
            "hash": digest,
            "bulk_id": line["id"],
        }
        verdict, _, detail = self._judge.decide_line(single, seen, effects, refused).partition(" ")
        if verdict == "reserved":
            return Line(transfer_id, is_taken=False, fate="pending")
        if verdict == "resent" or detail == "3106":
            return Line(transfer_id, is_taken=True, fate="refused", said="3106")
        return Line(transfer_id, is_taken=False, fate="refused", said=detail)

    # -- fulfil

    def _answer(self, line: dict[str, Any], seen: Seen, effects: Effects) -> None:
        bulk_id, sender = line["id"], line["source"]
        bulk = self.cases.get(bulk_id)
        if bulk is None or bulk.is_void:
            effects.tell(sender, "PUT", bulk_id, "hub: error 3210")
            return
        if sender != bulk.payee:
            effects.tell(sender, "PUT", bulk_id, "hub: error 3100")
            return
        had = bulk.error_body if line["action"] == "abort" else bulk.fulfil_body
        if had is not None:
            if had != line["hash"]:
                effects.tell(sender, "PUT", bulk_id, "hub: error 3106")
            elif not bulk.pending:
                effects.tell(sender, "PUT", bulk_id, bulk.told(to_payee=True))
        elif seen.at_ms < bulk.expires_at_ms:
            if bulk.pending:
                self._take_answer(bulk, line, seen, effects)
            else:
                effects.tell(sender, "PUT", bulk_id, "hub: error 3100")

    def _take_answer(self, bulk: Bulk, line: dict[str, Any], seen: Seen, effects: Effects) -> None:
        """The payee's first PUT, or its first error."""
        content = json.loads(body_of(seen.value))
        is_error = line["action"] == "abort"
        if is_error:
            bulk.error_body = line["hash"]
        else:
            bulk.fulfil_body = line["hash"]
        is_misaddressed = line["destination"] not in (None, bulk.payer, HUB)
        if is_misaddressed or is_error:
            code = "3100" if is_misaddressed else content["errorInformation"]["errorCode"]
            results = [{"transferId": one.transfer_id, "errorInformation": {"errorCode": code}} for one in bulk.pending]
            bulk.is_given_up = not bulk.is_answered
        else:
            code, results = "", content.get("individualTransferResults", [])
        bulk.is_answered = True
        for result in results:
            ours = [one for one in bulk.pending if one.transfer_id == result["transferId"]]
            if ours:
                self._end_line(bulk, ours[0], result, line, seen, effects)
        if not bulk.pending:
            self._end(line["id"], bulk, seen, effects, code="3100" if code == "9999" else code)

    def _end_line(
        self, bulk: Bulk, one: Line, result: dict[str, Any], line: dict[str, Any], seen: Seen, effects: Effects
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
            "hash": line["hash"],
            "hops": 0,
            "bulk_id": line["id"],
        }
        verdict, _, detail = self._judge.decide_line(single, seen, effects, set()).partition(" ")
        if verdict == "committed":
            one.fate, one.said = "committed", result["fulfilment"]
        elif verdict == "aborted":
            one.fate, one.said = "aborted", detail
        else:
            raise Breach(f"{one.transfer_id} was pending, and its answer is {verdict} {detail}")

    def _end(self, bulk_id: str, bulk: Bulk, seen: Seen, effects: Effects, code: str = "") -> None:
        """Its last line has ended: both sides hear of it, the payer first."""
        bulk.ended_ms = seen.at_ms
        for receiver in (bulk.payer, bulk.payee):
            said = f"hub: error {code}" if bulk.is_given_up else bulk.told(to_payee=receiver == bulk.payee)
            effects.tell(receiver, "PUT", bulk_id, said)

    # -- timeout, get

    def _expire(self, bulk_id: str, seen: Seen, effects: Effects) -> None:
        bulk = self.cases[bulk_id]
        if not bulk.pending or seen.at_ms <= bulk.expires_at_ms:
            return
        for one in bulk.pending:
            verdict = self._judge.decide_line({"kind": "timeout", "id": one.transfer_id}, seen, effects, set())
            if verdict != "expired":
                raise Breach(f"{one.transfer_id} was pending, and its bulk's time was up, and it is {verdict}")
            one.fate, one.said = "expired", "3303"
        self._end(bulk_id, bulk, seen, effects)

    def _get(self, bulk_id: str, requester: str, effects: Effects) -> None:
        bulk = self.cases.get(bulk_id)
        if not self._judge.has_joined(requester):
            return
        if bulk is None:
            effects.tell(requester, "PUT", bulk_id, "hub: error 3210")
        elif requester not in (bulk.payer, bulk.payee):
            effects.tell(requester, "PUT", bulk_id, "hub: error 3000")
        else:
            effects.tell(requester, "PUT", bulk_id, bulk.told(to_payee=requester != bulk.payer))

    # -- what else a round writes

    def check_reminder(self, seen: Seen) -> None:
        """Only open bulks are reminded of."""
        line = line_of(seen.value) if seen.topic == "bulk-fulfil" else None
        if line is not None and line["kind"] == "bulk-timeout":
            bulk = self.cases.get(line["id"])
            if bulk is None or not bulk.pending:
                raise Breach(f"partition {self._partition}: reminded of {line['id']}, which is not open")

    def check_row(self, bulk_id: str, row: list[Any]) -> None:
        """The row counts what looking at each line gives."""
        bulk = self.cases[bulk_id]
        state, counts = row[5][-1][0], row[9]
        expected = [sum(line.fate == fate for line in bulk.lines) for fate in FATES]
        shown = "REJECTED" if state == "INVALID" else state
        if (shown, counts) != (bulk.state, expected):
            raise Breach(f"bulk {bulk_id} is {state} with {counts}, and must be {bulk.state} with {expected}")
