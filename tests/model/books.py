"""Books kept beside the ledger: each partition's rounds decided again, by other rules, from what they took and wrote.

A round says in its row of table `offsets` how far it took each input; with the inputs' order that gives every record in
the order of its decision. What must follow from each is predicted (auditor.py, effects.py) and compared with all that
the round's transaction holds. So a record taken twice or never, a movement lost or doubled, a DFSP not told, a row
missing in a changelog: all of them show in the round that did it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tests.model import journal
from tests.model.auditor import Auditor
from tests.model.bulks import PartitionBulks
from tests.model.conditions import decoded, fulfils, is_hash
from tests.model.coordinator import COMMANDS, Coordinator
from tests.model.effects import Effects, read_effects
from tests.model.funds import Funds
from tests.model.journal import INPUTS, Between, Breach, Round, Seen, body_of, line_of
from tests.model.messages import Fulfil, Happening, Prepare, Timeout
from tests.model.rows import check_rows
from tests.model.settlement import take
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
        standing: Callable[[str], set[bool]],
        hub_partition: int = 0,
        by_schedule: bool = False,
    ) -> None:
        """Books that begin with the ledger.

        Args:
            partition: its number.
            partitions: how many the ledger has.
            between: reads the inputs.
            dfsps: all that have joined.
            confirm_to_payee: the scheme's setting of that name.
            standing: all that a payee's standing has ever been; other partitions hear of it sooner or later.
            hub_partition: the one that coordinates settlement.
            by_schedule: whether windows close by themselves too.
        """
        self.partition = partition
        self.auditor = Auditor(
            dfsps, room=None, credits_follow=True, payee_is_welcome=lambda _payee: self._payee_is_welcome
        )
        self.funds = Funds(self.auditor)
        self.bulks = PartitionBulks(self, partition, partitions, standing)
        self.windows = PartitionWindows(partition, partitions, hub_partition)
        self.coordinator = Coordinator(partitions, by_schedule=by_schedule)
        self.decided = dict.fromkeys(INPUTS, 0)
        self.records = 0
        self.credited: dict[str, int] = {}
        self._partitions = partitions
        self._between = between
        self._confirm_to_payee = confirm_to_payee
        self._standing = standing
        self._payee_is_welcome = True
        self._rows: dict[tuple[str, str], Any] = {}
        self._conditions: dict[str, bytes | None] = {}
        self._dfsps = frozenset(dfsps)

    # -- rounds

    def follow(self, one: Round) -> None:
        """Decide again what a round has decided.

        Raises:
            Breach: it has written something else than what follows.
        """
        taken = self._taken(one)
        bodies = {body_of(seen.value) for seen in taken if not seen.topic.startswith("bulk-")} - {b""}
        found = read_effects(one.emitted, bodies)
        self._check_reminders(one)
        refused = {effect[0] for effect in found["transfers"] if effect[3] == "3100"}
        refused |= {effect[2] for effect in found["notification"] if effect[3] == "hub: error 3203"}
        effects = Effects(confirm_to_payee=self._confirm_to_payee)
        self.coordinator.follow_punctuators(found["settlement-windows"], effects)
        for seen in taken:
            self._decide(seen, effects, refused)
        for topic in {*effects.by_topic, *found}:
            expected, actual = sorted(effects.by_topic[topic], key=repr), sorted(found[topic], key=repr)
            if expected != actual:
                raise Breach(journal.difference(self.partition, topic, taken, expected, actual))
        if effects.by_topic["notification"] != found["notification"]:
            raise Breach(f"partition {self.partition}: callbacks are out of order: {found['notification']}")
        journal.check_provenance(one, taken, self.partition)
        places = [seen.partition for seen in one.emitted if seen.topic == "credit"]
        self.windows.check_order(found["credit"], places)
        self.windows.check_rows(one.rows)
        self._rows.update(one.rows)
        check_rows(self, self._rows, effects.touched)
        self.records += len(taken)

    def _taken(self, one: Round) -> list[Seen]:
        row = one.rows.get(("offsets", "inputs"))
        if row is None:
            if any(seen.topic not in _BY_SWEEPS for seen in one.emitted):
                raise Breach(f"partition {self.partition}: a round wrote outputs and says not what it took")
            return []
        _width, _row_format, decided = row
        taken: list[Seen] = []
        for topic in INPUTS:
            end = decided.get(topic, 0)
            if end < self.decided[topic]:
                raise Breach(f"{topic}/{self.partition}: decided up to {self.decided[topic]}, and again from {end}")
            taken.extend(self._between(topic, self.partition, self.decided[topic], end))
            self.decided[topic] = end
        return taken

    def _check_reminders(self, one: Round) -> None:
        for seen in one.emitted:
            line = line_of(seen.value) if seen.topic == "timeout" else None
            if line is not None:
                case = self.auditor.cases.get(line["id"])
                if case is None or case.fate != "held" or case.prepare.bulk_id:
                    raise Breach(f"partition {self.partition}: reminded of {line['id']}, which is not held")
            self.bulks.check_reminder(seen)

    def value(self, participant: str, account_type: str) -> int:
        """What an account of this partition must hold."""
        if account_type == "POSITION":
            return self.auditor.owes(participant)
        return self.funds.value(participant, account_type)

    # -- records

    def _decide(self, seen: Seen, effects: Effects, refused: set[str]) -> None:
        line = line_of(seen.value)
        if line is None or line.get("kind") not in _KINDS[seen.topic]:
            effects.add("dead-letter", seen.topic, seen.partition, seen.offset)
        elif line["kind"] == "prepare":
            self._prepare(line, seen, effects, refused)
        elif line["kind"] == "fulfil":
            self._fulfil(line, seen, effects)
        elif line["kind"] == "timeout":
            self._timeout(line, seen, effects)
        elif line["kind"] == "get":
            self._get(line, effects)
        elif line["kind"] == "credit":
            self._credit(line, effects)
        elif line["kind"].startswith("bulk-"):
            self.bulks.decide(line, seen, effects, refused)
        elif line["kind"] == "command":
            who = self.coordinator if line["name"] in COMMANDS else self.funds
            who.command(line, effects)
        else:
            take(line, self.windows, self.coordinator, effects)

    def decide_line(self, line: dict[str, Any], seen: Seen, effects: Effects, refused: set[str]) -> str:
        """A transfer as a line of a bulk, by the rules of transfers; who is told of it is the bulk's business."""
        with effects.hushed():
            if line["kind"] == "prepare":
                return self._prepare(line, seen, effects, refused)
            return self._fulfil(line, seen, effects) if line["kind"] == "fulfil" else self._timeout(line, seen, effects)

    def has_joined(self, name: str) -> bool:
        """Whether there is such a DFSP."""
        return name in self._dfsps

    def is_active_here(self, name: str) -> bool:
        """Whether a DFSP of this partition may pay."""
        return name in self._dfsps and self.funds.is_active(name)

    def _prepare(self, line: dict[str, Any], seen: Seen, effects: Effects, refused: set[str]) -> str:
        transfer_id = line["id"]
        message = Prepare(
            transfer_id,
            line["source"],
            line["payer"],
            line["payee"],
            line["amount"],
            is_hash(line["condition"]),
            line["expires_at_ms"],
            line["hash"],
            line.get("bulk_id", ""),
        )
        standing = self._standing(line["payee"])
        # Where it was both, what the ledger says is right: the payee's partition is another, and its news travel.
        self._payee_is_welcome = transfer_id not in refused if len(standing) > 1 else standing == {True}
        is_new = transfer_id not in self.auditor.cases
        self._conditions.setdefault(transfer_id, decoded(line["condition"]))
        verdict, _, detail = self.auditor.predict(Happening(message, seen.at_ms)).partition(" ")
        if verdict == "reserved":
            value = self.auditor.owes(line["payer"])
            effects.move((line["payer"], "POSITION"), line["amount"], value, transfer_id, "PRINCIPLE_VALUE")
            effects.touched.add(("transfers", transfer_id))
            effects.tell(line["payee"], "POST", transfer_id, "forward")
        elif verdict == "resent":
            payer = self.auditor.cases[transfer_id].prepare.payer
            effects.tell(payer, "PUT", transfer_id, f"hub: {detail}")
        else:
            if is_new:
                effects.finish(transfer_id, "transfer", "ABORTED", detail)
            effects.tell(line["source"], "PUT", transfer_id, f"hub: error {detail}")
        return f"{verdict} {detail}"

    def _fulfil(self, line: dict[str, Any], seen: Seen, effects: Effects) -> str:
        transfer_id, source, reserve = line["id"], line["source"], line["action"] == "reserve"
        case = self.auditor.cases.get(transfer_id)
        if case is None and line["hops"] + 1 < self._partitions:
            onward = (self.partition + 1) % self._partitions
            effects.add("lookup", onward, "fulfil", transfer_id, line["hops"] + 1)
            return "walks on"
        message = Fulfil(
            transfer_id,
            line["action"],
            source,
            line["destination"],
            fulfils(line["fulfilment"], self._conditions.get(transfer_id)),
            "1.1",
            line["error_code"] or "",
            digest=line["hash"],
            bulk_id=line.get("bulk_id", ""),
        )
        is_from_payee = case is not None and source == case.prepare.payee
        is_addressed = case is not None and line["destination"] in (None, case.prepare.payer)
        is_by_itself = case is not None and case.prepare.bulk_id == message.bulk_id
        is_first = case is not None and is_by_itself and is_from_payee and is_addressed and case.fulfil_body is None
        verdict, _, detail = self.auditor.predict(Happening(message, seen.at_ms)).partition(" ")
        if verdict == "refused":
            effects.tell(source, "PUT", transfer_id, f"hub: error {detail}")
            if reserve and is_first:
                effects.tell(source, "PATCH", transfer_id, "hub: ABORTED")
        elif case is not None and verdict != "ignored":
            self._end(verdict, detail, line, case.prepare, effects, by_error=line["action"] == "abort" and is_addressed)
        return f"{verdict} {detail}"

    def _end(
        self, verdict: str, detail: str, line: dict[str, Any], prepare: Prepare, effects: Effects, *, by_error: bool
    ) -> None:
        transfer_id, payer, payee = line["id"], prepare.payer, prepare.payee
        reserve = line["action"] == "reserve"
        if verdict == "committed":
            debit = self.windows.commit(transfer_id, payer, payee, prepare.amount, effects)
            effects.committed(debit, payee, reserve=reserve)
            if debit.granularity == "GROSS":
                self._settle(payer, transfer_id, prepare.amount, "SETTLEMENT_NET_SENDER", effects)
            return
        if verdict == "resent":
            effects.resent(transfer_id, payer, payee, line["source"], detail, reserve=reserve)
            return
        self._release(prepare, effects)
        if by_error:
            effects.aborted(transfer_id, payer, payee, detail, forwarded=detail == line["error_code"])
        else:
            effects.unwound(transfer_id, payer, payee, detail, reserve=reserve)

    def _timeout(self, line: dict[str, Any], seen: Seen, effects: Effects) -> str:
        transfer_id = line["id"]
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

    def _get(self, line: dict[str, Any], effects: Effects) -> None:
        transfer_id, requester = line["id"], line["source"]
        case = self.auditor.cases.get(transfer_id)
        if case is None and line["hops"] + 1 < self._partitions:
            effects.add("lookup", (self.partition + 1) % self._partitions, "get", transfer_id, line["hops"] + 1)
        elif requester not in self._dfsps:
            return
        elif case is None:
            effects.tell(requester, "PUT", transfer_id, "hub: error 3208")
        elif requester in (case.prepare.payer, case.prepare.payee):
            state = {"held": "RESERVED", "paid": "COMMITTED", "void": "ABORTED"}[case.fate]
            effects.tell(requester, "PUT", transfer_id, f"hub: {state}")
        else:
            effects.tell(requester, "PUT", transfer_id, "hub: error 3000")

    def _credit(self, line: dict[str, Any], effects: Effects) -> None:
        participant, account_type, transfer_id = line["participant"], line["account_type"], line["id"]
        if account_type == "POSITION":
            if not self.auditor.credit(participant, transfer_id, -line["change"]):
                raise Breach(f"partition {self.partition}: {transfer_id} credits {participant} a second time")
            self.credited[transfer_id] = -line["change"]
            self.windows.credit(line)
        else:
            self.funds.reconcile(transfer_id, line["change"])
        value = self.value(participant, account_type)
        effects.move((participant, account_type), line["change"], value, transfer_id, line["entry"])
        if line.get("settles_into"):
            self._settle(participant, transfer_id, line["change"], "SETTLEMENT_NET_RECIPIENT", effects)

    def _settle(self, dfsp: str, transfer_id: str, owed: int, entry: str, effects: Effects) -> None:
        """What a DFSP owes for a payment goes from its position to the funds that the scheme holds for it."""
        self.auditor.settle(dfsp, transfer_id, owed)
        effects.move((dfsp, "POSITION"), -owed, self.auditor.owes(dfsp), transfer_id, entry)
        self.funds.move(dfsp, transfer_id, -owed, entry, effects)


_KINDS = {
    "prepare": ("prepare",),
    "fulfil": ("fulfil",),
    "timeout": ("timeout",),
    "credit": ("credit", "window-marker"),
    "command": ("command",),
    "lookup": ("get", "fulfil"),
    "settlement": ("close-window", "forget-window", "scheme", "window-used", "window-report"),
    "bulk-prepare": ("bulk-prepare",),
    "bulk-fulfil": ("bulk-fulfil", "bulk-get", "bulk-timeout"),
}
_BY_SWEEPS = ("timeout", "bulk-fulfil", "workers", "settlement", "settlement-windows")
