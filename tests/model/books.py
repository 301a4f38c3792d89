"""Decides each round of a partition again, by rules of its own, and compares the result with what the round wrote.

A round stores in table `offsets` how far it has read each input; the order of the inputs then tells the order in which
it decided the records. What must follow from each record is predicted (auditor.py, effects.py) and compared with
everything in the round's transaction. A record decided twice or never, a movement lost or doubled, a callback or a
changelog row that is missing: each shows in the round that did it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tests.model import journal, ring
from tests.model.answers import PartitionAnswers
from tests.model.auditor import Auditor, Case
from tests.model.bulks import PartitionBulks
from tests.model.conditions import decoded, fulfils, is_hash
from tests.model.coordinator import COMMANDS, Coordinator
from tests.model.effects import Effects, read_effects
from tests.model.exchange import ReceivedOnce
from tests.model.funds import Funds
from tests.model.journal import INPUTS, Between, Breach, Round, Seen, body_of, header_of
from tests.model.messages import Fulfil, Happening, Prepare, Timeout
from tests.model.rows import check_rows
from tests.model.settlement import follow
from tests.model.windows import PartitionWindows


class PartitionBooks:
    """The books of one partition of the ledger."""

    def __init__(
        self,
        partition: int,
        partitions: int,
        between: Between,
        *,
        dfsps: Iterable[str],
        confirm_to_payee: bool,
        activity: Callable[[str], set[bool]],
        hub_partition: int = 0,
        by_schedule: bool = False,
        at_once: int = 500,
        answer_within_s: int = 300,
    ) -> None:
        """Start with an empty ledger.

        Args:
            partition: the partition's number.
            partitions: how many the ledger has.
            between: reads the committed records of a topic.
            dfsps: the names of all DFSPs.
            confirm_to_payee: the scheme's setting of that name.
            activity: returns every answer, over time, to whether a payee is active; partitions learn of changes late.
            hub_partition: the partition that coordinates settlement.
            by_schedule: whether windows also close by a schedule.
            at_once: how many nets are reported, published or removed with one record.
            answer_within_s: how long a question may be answered at least.
        """
        self.partition = partition
        self.auditor = Auditor(
            dfsps, room=None, credits_follow=True, payee_is_welcome=lambda _payee: self._payee_is_welcome
        )
        self.funds = Funds(self.auditor)
        self.bulks = PartitionBulks(self, partition, partitions, activity)
        self.windows = PartitionWindows(partition, partitions, hub_partition, at_once)
        self.coordinator = Coordinator(partition, partitions, by_schedule=by_schedule, at_once=at_once)
        self.answers = PartitionAnswers(dfsps, answer_within_s)
        self.decided = dict.fromkeys(INPUTS, 0)
        self.records = 0
        self.credited: dict[str, int] = {}
        self._received_once = ReceivedOnce()
        self._partitions = partitions
        self._between = between
        self._confirm_to_payee = confirm_to_payee
        self._activity = activity
        self._payee_is_welcome = True
        self._rows: dict[tuple[str, str], Any] = {}
        self._conditions: dict[str, bytes | None] = {}
        self._dfsps = frozenset(dfsps)

    # -- rounds

    def follow(self, one: Round) -> None:
        """Decide the records of a round again.

        Raises:
            Breach: the round has not written exactly what follows from them.
        """
        decided = self._decided_in(one)
        bodies = {body_of(seen.value) for seen in decided if not seen.topic.startswith("bulk-")} - {b""}
        found = read_effects(one.emitted, bodies)
        self._check_reminders(one)
        refused = {effect[0] for effect in found["transfers"] if effect[3] == "3100"}
        refused |= {effect[2] for effect in found["notification"] if effect[3] == "hub: error 3203"}
        effects = Effects(confirm_to_payee=self._confirm_to_payee)
        self.coordinator.follow_punctuators(found["settlement-windows"], effects)
        for seen in decided:
            self._decide(seen, effects, refused)
        for topic in {*effects.by_topic, *found}:
            expected, actual = sorted(effects.by_topic[topic], key=repr), sorted(found[topic], key=repr)
            if expected != actual:
                raise Breach(journal.difference(self.partition, topic, decided, expected, actual))
        if effects.by_topic["notification"] != found["notification"]:
            raise Breach(f"partition {self.partition}: callbacks are out of order: {found['notification']}")
        journal.check_provenance(one, decided, self.partition)
        places = [seen.partition for seen in one.emitted if seen.topic == "credit"]
        self.windows.check_order(found["credit"], places)
        self.windows.check_rows(one.rows)
        self._rows.update(one.rows)
        check_rows(self, self._rows, effects.touched)
        self.records += len(decided)

    def _decided_in(self, one: Round) -> list[Seen]:
        row = one.rows.get(("offsets", "inputs"))
        if row is None:
            if any(seen.topic not in _BY_PUNCTUATORS for seen in one.emitted):
                raise Breach(f"partition {self.partition}: a round wrote outputs and no offsets")
            return []
        _width, _row_format, decided_offsets, *_noted = row
        decided: list[Seen] = []
        for topic in INPUTS:
            end = decided_offsets.get(topic, 0)
            if end < self.decided[topic]:
                raise Breach(f"{topic}/{self.partition}: decided up to {self.decided[topic]}, and again from {end}")
            read = self._between(topic, self.partition, self.decided[topic], end)
            decided.extend(seen for seen in read if self._received_once.is_new(seen))
            self.decided[topic] = end
        return decided

    def _check_reminders(self, one: Round) -> None:
        for seen in one.emitted:
            message = header_of(seen.value) if seen.topic == "timeout" else None
            if message is not None:
                case = self.auditor.cases.get(message["id"])
                if case is None or case.fate != "held" or case.prepare.bulk_id:
                    raise Breach(f"partition {self.partition}: reminded of {message['id']}, which is not held")
            self.bulks.check_reminder(seen)

    def value(self, participant: str, account_type: str) -> int:
        """Return the value that an account of this partition must have, in units of the currency."""
        if account_type == "POSITION":
            return self.auditor.owes(participant)
        return self.funds.value(participant, account_type)

    # -- records

    def _decide(self, seen: Seen, effects: Effects, refused: set[str]) -> None:
        message = header_of(seen.value)
        if message is None or message.get("kind") not in _KINDS[seen.topic]:
            effects.add("dead-letter", seen.topic, seen.partition, seen.offset)
        elif message["kind"] == "prepare":
            self._prepare(message, seen, effects, refused)
        elif message["kind"] == "fulfil":
            self._fulfil(message, seen, effects)
        elif message["kind"] == "timeout":
            self._timeout(message, seen, effects)
        elif message["kind"] == "get":
            self._get(message, effects)
        elif message["kind"] == "credit":
            self._credit(message, effects)
        elif message["kind"] in ("party", "agreement"):
            self.answers.decide(message, seen.at_ms, effects)
        elif message["kind"].startswith("bulk-"):
            self.bulks.decide(message, seen, effects, refused)
        elif message["kind"] == "command":
            who = self.coordinator if message["command"]["name"] in COMMANDS else self.funds
            who.command(message, effects)
        elif message["kind"] != "claims":
            follow(message, self.windows, self.coordinator, effects)

    def decide_item(self, message: dict[str, Any], seen: Seen, effects: Effects, refused: set[str]) -> str:
        """Return the verdict on an item of a bulk, by the rules of transfers; its callbacks are those of the bulk."""
        with effects.without_callbacks():
            if message["kind"] == "prepare":
                return self._prepare(message, seen, effects, refused)
            return (
                self._fulfil(message, seen, effects)
                if message["kind"] == "fulfil"
                else self._timeout(message, seen, effects)
            )

    def has_joined(self, name: str) -> bool:
        """Whether a DFSP of that name has joined."""
        return name in self._dfsps

    def is_active_here(self, name: str) -> bool:
        """Whether a DFSP of this partition may pay."""
        return name in self._dfsps and self.funds.is_active(name)

    def _prepare(self, message: dict[str, Any], seen: Seen, effects: Effects, refused: set[str]) -> str:
        transfer_id = message["id"]
        prepare = Prepare(
            transfer_id,
            message["source"],
            message["payer"],
            message["payee"],
            message["amount"],
            is_hash(message["condition"]),
            message["expires_at_ms"],
            message["hash"],
            message.get("bulk_id", ""),
        )
        activity = self._activity(message["payee"])
        # If the payee was both, either answer is right: this partition learns of the change late.
        self._payee_is_welcome = transfer_id not in refused if len(activity) > 1 else activity == {True}
        is_new = transfer_id not in self.auditor.cases
        self._conditions.setdefault(transfer_id, decoded(message["condition"]))
        verdict, _, detail = self.auditor.predict(Happening(prepare, seen.at_ms)).partition(" ")
        if verdict == "reserved":
            value = self.auditor.owes(message["payer"])
            effects.move((message["payer"], "POSITION"), message["amount"], value, transfer_id, "PRINCIPLE_VALUE")
            effects.touched.add(("transfers", transfer_id))
            effects.notify(message["payee"], "POST", transfer_id, "forward")
        elif verdict == "resent":
            payer = self.auditor.cases[transfer_id].prepare.payer
            effects.notify(payer, "PUT", transfer_id, f"hub: {detail}")
        else:
            if is_new:
                effects.finish(transfer_id, "transfer", "ABORTED", detail)
            effects.notify(message["source"], "PUT", transfer_id, f"hub: error {detail}")
        return f"{verdict} {detail}"

    def _fulfil(self, message: dict[str, Any], seen: Seen, effects: Effects) -> str:
        transfer_id, source, reserve = message["id"], message["source"], message["action"] == "reserve"
        case = self.auditor.cases.get(transfer_id)
        is_item = bool(message.get("bulk_id", ""))  # its bulk has been found already
        step = ring.onward(self.partition, self._partitions, message, self._nearness(message, case))
        if step is not None and not is_item:
            target, hops = step
            effects.add("lookup", target, "fulfil", transfer_id, hops)
            return "forwarded"
        fulfil = Fulfil(
            transfer_id,
            message["action"],
            source,
            message["destination"],
            fulfils(message["fulfilment"], self._conditions.get(transfer_id)),
            "1.1",
            message["error_code"] or "",
            digest=message["hash"],
            bulk_id=message.get("bulk_id", ""),
        )
        is_from_payee = case is not None and source == case.prepare.payee
        is_addressed = case is not None and message["destination"] in (None, case.prepare.payer)
        is_by_itself = case is not None and case.prepare.bulk_id == fulfil.bulk_id
        is_first = case is not None and is_by_itself and is_from_payee and is_addressed and case.fulfil_body is None
        verdict, _, detail = self.auditor.predict(Happening(fulfil, seen.at_ms)).partition(" ")
        if verdict == "refused":
            effects.notify(source, "PUT", transfer_id, f"hub: error {detail}")
            if reserve and is_first:
                effects.notify(source, "PATCH", transfer_id, "hub: ABORTED")
        elif case is not None and verdict != "ignored":
            self._end(
                verdict, detail, message, case.prepare, effects, by_error=message["action"] == "abort" and is_addressed
            )
        return f"{verdict} {detail}"

    def _nearness(self, message: dict[str, Any], case: Case | None) -> int | None:
        """Return how near the transfer is to the payee's answer."""
        if case is None:
            return None
        if message["source"] != case.prepare.payee:
            return ring.ID
        shown = message["fulfilment"], self._conditions.get(message["id"])
        pays = message["action"] not in ("commit", "reserve") or fulfils(*shown)
        return ring.FITS if pays and message["destination"] in (None, case.prepare.payer) else ring.PAYEE

    def _end(
        self, verdict: str, detail: str, message: dict[str, Any], prepare: Prepare, effects: Effects, *, by_error: bool
    ) -> None:
        transfer_id, payer, payee = message["id"], prepare.payer, prepare.payee
        reserve = message["action"] == "reserve"
        if verdict == "committed":
            debit = self.windows.commit(transfer_id, payer, payee, prepare.amount, effects)
            effects.committed(debit, payee, reserve=reserve)
            if debit.granularity == "GROSS":
                self._settle(payer, transfer_id, prepare.amount, "SETTLEMENT_NET_SENDER", effects)
            return
        if verdict == "resent":
            effects.resent(transfer_id, payer, payee, message["source"], detail, reserve=reserve)
            return
        self._release(prepare, effects)
        if by_error:
            effects.aborted(transfer_id, payer, payee, detail, forwarded=detail == message["error_code"])
        else:
            effects.unwound(transfer_id, payer, payee, detail, reserve=reserve)

    def _timeout(self, message: dict[str, Any], seen: Seen, effects: Effects) -> str:
        transfer_id = message["id"]
        verdict = self.auditor.predict(Happening(Timeout(transfer_id), seen.at_ms))
        if verdict == "expired":
            prepare = self.auditor.cases[transfer_id].prepare
            self._release(prepare, effects)
            effects.unwound(transfer_id, prepare.payer, prepare.payee, "3303", reserve=False)
        return verdict

    def _release(self, prepare: Prepare, effects: Effects) -> None:
        account = (prepare.payer, "POSITION")
        value = self.auditor.owes(prepare.payer)
        effects.move(account, -prepare.amount, value, prepare.transfer_id, "PRINCIPLE_VALUE")

    def _get(self, message: dict[str, Any], effects: Effects) -> None:
        transfer_id, requester = message["id"], message["source"]
        case = self.auditor.cases.get(transfer_id)
        parties = () if case is None else (case.prepare.payer, case.prepare.payee)
        nearness = ring.FITS if requester in parties else (None if case is None else ring.ID)
        step = ring.onward(self.partition, self._partitions, message, nearness)
        if step is not None:
            effects.add("lookup", step[0], "get", transfer_id, step[1])
        elif requester not in self._dfsps:
            return
        elif case is None:
            effects.notify(requester, "PUT", transfer_id, "hub: error 3208")
        elif requester in (case.prepare.payer, case.prepare.payee):
            state = {"held": "RESERVED", "paid": "COMMITTED", "void": "ABORTED"}[case.fate]
            effects.notify(requester, "PUT", transfer_id, f"hub: {state}")
        else:
            effects.notify(requester, "PUT", transfer_id, "hub: error 3000")

    def _credit(self, message: dict[str, Any], effects: Effects) -> None:
        participant, account_type, transfer_id = message["participant"], message["account_type"], message["id"]
        if account_type == "POSITION":
            if not self.auditor.credit(participant, transfer_id, -message["change"]):
                raise Breach(f"partition {self.partition}: {transfer_id} credits {participant} a second time")
            self.credited[transfer_id] = -message["change"]
            self.windows.credit(message)
        else:
            self.funds.reconcile(transfer_id, message["change"])
        value = self.value(participant, account_type)
        effects.move((participant, account_type), message["change"], value, transfer_id, message["entry"])
        if message.get("settles_into"):
            self._settle(participant, transfer_id, message["change"], "SETTLEMENT_NET_RECIPIENT", effects)

    def _settle(self, dfsp: str, transfer_id: str, owed: int, entry: str, effects: Effects) -> None:
        """Move what a DFSP owes for a payment from its position to its funds."""
        self.auditor.settle(dfsp, transfer_id, owed)
        effects.move((dfsp, "POSITION"), -owed, self.auditor.owes(dfsp), transfer_id, entry)
        self.funds.move(dfsp, transfer_id, -owed, entry, effects)


_KINDS = {
    "prepare": ("prepare",),
    "fulfil": ("fulfil",),
    "timeout": ("timeout",),
    "credit": ("credit", "window-marker"),
    "command": ("command",),
    "lookup": ("get", "fulfil", "claims"),
    "settlement": (
        "close-window",
        "forget-window",
        "publish-window",
        "report-window",
        "scheme",
        "window-used",
        "window-report",
    ),
    "bulk-prepare": ("bulk-prepare",),
    "bulk-fulfil": ("bulk-fulfil", "bulk-get", "bulk-timeout"),
    "agreement": ("agreement",),
    "party": ("party",),
}
_BY_PUNCTUATORS = ("timeout", "lookup", "bulk-fulfil", "workers", "settlement", "settlement-windows")
