"""Bulks of the simulated DFSPs: payers send them, payees answer all items, some, or none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, Protocol

import orjson

from tests.simulation import bulk_wire, wire
from tests.simulation.bulk_wire import BulkTerms
from tests.simulation.swarm import Swarm
from tests.simulation.wire import HUB, InputRecord, Terms

ENDPOINTS: Final = {
    "FSPIOP_CALLBACK_URL_BULK_TRANSFER_POST": "http://{}.example/bulkTransfers",
    "FSPIOP_CALLBACK_URL_BULK_TRANSFER_PUT": "http://{}.example/bulkTransfers/{{{{id}}}}",
    "FSPIOP_CALLBACK_URL_BULK_TRANSFER_ERROR": "http://{}.example/bulkTransfers/{{{{id}}}}/error",
}
ITEM_COUNTS: Final = (1, 3, 8, 25, 45, 60)  # the hub decides more than 20 items in steps
CODES: Final = ("5104", "5104", "9999")  # the last is not in the specification


class Sender(Protocol):
    """What bulks need of the DFSPs that send them."""

    names: list[str]
    terms: dict[str, Terms]
    stranger: str

    def now_ms(self) -> int:
        """The simulated time, in milliseconds since 1970."""
        ...

    def later(self, seconds: float, record: InputRecord) -> None:
        """Send a record after some seconds."""
        ...

    def pay_singly(self, terms: Terms) -> None: ...


class Bulks:
    """All bulks of a run, and the answers that their payees have decided on."""

    def __init__(self, dfsps: Sender, swarm: Swarm) -> None:
        self._dfsps = dfsps
        self._swarm = swarm
        self._bulks: dict[str, BulkTerms] = {}
        self._answered: dict[str, list[tuple[float, InputRecord]]] = {}
        self._count = 0

    # -- payers

    def pay(self) -> None:
        """Send a bulk, and perhaps repetitions, changed copies, lookups and answers of strangers."""
        draw, swarm = self._swarm.random, self._swarm
        payer, payee = draw.sample(self._dfsps.names, 2)
        self._count += 1
        expires_ms = self._dfsps.now_ms() + draw.choice((300, 1_500, 4_000, 9_000, 9_000))
        bulk = BulkTerms(f"b{self._count}", payer, payee, expires_ms, ())
        bulk = replace(bulk, items=tuple(self._item(bulk, number) for number in range(draw.choice(ITEM_COUNTS))))
        self._bulks[bulk.bulk_id] = bulk
        swarm.counts["bulks sent by payers"] += 1
        if swarm.happens("odd prepares", 0.15):
            record = self._odd(bulk)
        else:
            record = bulk_wire.prepare(bulk, destination=draw.choice((None, HUB, payee)))
        self._dfsps.later(0.0, record)
        self._add_to(bulk, record)

    def _item(self, bulk: BulkTerms, number: int) -> Terms:
        """Return an item; at times under the id of an earlier transfer of the payer, or of the item before."""
        draw, amount = self._swarm.random, self._swarm.random.choice((1, 1, 5, 10, 60))
        if self._swarm.happens("changed prepares", 0.03):
            known = [one for one in self._dfsps.terms.values() if one.payer == bulk.payer]
            if known and draw.random() < 0.5:
                return draw.choice(known)
            number = max(0, number - 1)
        return Terms(f"t{bulk.bulk_id}-{number}", bulk.payer, bulk.payee, amount, bulk.expires_at_ms)

    def _odd(self, bulk: BulkTerms) -> InputRecord:
        """Return a bulk that must be refused, as a whole or in an item."""
        stranger = self._dfsps.stranger
        kind = self._swarm.random.choice(("source", "payer", "payee", "self", "late", "destination", "condition"))
        if kind == "source":
            return bulk_wire.prepare(bulk, source=bulk.payee)
        if kind == "payer":
            return bulk_wire.prepare(replace(bulk, payer=stranger))
        if kind == "payee":
            return bulk_wire.prepare(replace(bulk, payee=stranger))
        if kind == "self":
            return bulk_wire.prepare(replace(bulk, payee=bulk.payer))
        if kind == "late":
            return bulk_wire.prepare(replace(bulk, expires_at_ms=self._dfsps.now_ms() - 60_000))
        if kind == "destination":
            return bulk_wire.prepare(bulk, destination=stranger)
        return bulk_wire.prepare(bulk, without_condition=frozenset(one.transfer_id for one in bulk.items[::3]))

    def _add_to(self, bulk: BulkTerms, record: InputRecord) -> None:
        """Send what may come beside a bulk: repetitions, changed copies, lookups, answers of strangers."""
        draw, swarm, dfsps = self._swarm.random, self._swarm, self._dfsps
        if swarm.happens("repeated prepares", 0.25):
            dfsps.later(draw.choice((0.0, 0.1, 5.0)), record)
        if swarm.happens("changed prepares", 0.15):
            changed = replace(bulk, expires_at_ms=bulk.expires_at_ms + 1)
            dfsps.later(draw.choice((0.0, 0.2, 5.0)), bulk_wire.prepare(changed))
        if swarm.happens("changed prepares", 0.15):  # an item as a single transfer: the first of the two has the id
            dfsps.pay_singly(bulk.items[-1])
        if swarm.happens("lookups", 0.3):
            asker = draw.choice((bulk.payer, bulk.payee, *dfsps.names, dfsps.stranger))
            dfsps.later(draw.uniform(0.0, 6.0), bulk_wire.get(bulk.bulk_id, asker))
        if swarm.happens("strangers", 0.15):
            source = draw.choice((dfsps.stranger, bulk.payer, *(name for name in dfsps.names if name != bulk.payee)))
            results = [bulk_wire.fulfilled(one) for one in bulk.items]
            answers = (bulk_wire.fulfil(bulk, results, source=source), bulk_wire.error(bulk, "5104", source=source))
            dfsps.later(draw.uniform(0.0, 1.0), draw.choice(answers))

    # -- payees

    def receive(self, body: bytes) -> None:
        """Let the payee of a bulk answer it; sent again, answer again or not at all."""
        content = orjson.loads(body)
        bulk = self._bulks[content["bulkTransferId"]]
        before = self._answered.get(bulk.bulk_id)
        if before is None:
            requested = {one["transferId"] for one in content["individualTransfers"]}
            before = self._answered[bulk.bulk_id] = self._decide(bulk, requested)
        elif not self._swarm.chance(0.5):  # the hub has repeated its request, and the payee may repeat its answer
            return
        for seconds, record in before:
            self._dfsps.later(seconds, record)

    def _decide(self, bulk: BulkTerms, requested: set[str]) -> list[tuple[float, InputRecord]]:
        """Return the payee's answers, each with the seconds after which it is sent."""
        draw, swarm = self._swarm.random, self._swarm
        if swarm.happens("silent payees", 0.15):
            return []
        after_s = draw.uniform(0.0, 0.3)
        if swarm.happens("late fulfils", 0.2):
            left_s = (bulk.expires_at_ms - self._dfsps.now_ms()) / 1000
            after_s = max(0.0, left_s + draw.uniform(-0.2, 2.0))
        items = [one for one in bulk.items if one.transfer_id in requested]
        answer = self._answer(bulk, items)
        answers = [(after_s, answer)]
        if swarm.happens("repeated fulfils", 0.25):
            answers.append((after_s + draw.choice((0.0, 0.1, 3.0)), answer))
        if swarm.happens("changed fulfils", 0.3):
            answers.append((after_s + draw.choice((0.0, 0.1, 3.0)), self._answer(bulk, items)))
        if swarm.happens("strangers", 0.1):  # from the payee itself, for one item and not for its bulk
            single = wire.fulfil(draw.choice(items), draw.choice(("commit", "reserve", "reject", "abort")))
            answers.append((draw.uniform(0.0, 0.5), single))
        return answers

    def _answer(self, bulk: BulkTerms, items: list[Terms]) -> InputRecord:
        draw = self._swarm.random
        destination = draw.choice(("", "", HUB, None))  # with None, the answer visits one partition after the other
        if self._swarm.happens("strangers", 0.05):
            destination = bulk.payee  # names the wrong payer
        if draw.random() < 0.1:
            return bulk_wire.error(bulk, draw.choice(CODES), destination=destination)
        results = [self._result(one) for one in items]
        if draw.random() < 0.3:  # the answer leaves some items out
            results = [one for one in results if draw.random() < 0.6]
        return bulk_wire.fulfil(bulk, results, destination=destination)

    def _result(self, one: Terms) -> dict[str, Any]:
        draw = self._swarm.random
        if draw.random() < 0.1:
            return bulk_wire.failed(one, draw.choice(CODES))
        if self._swarm.happens("wrong fulfilments", 0.05):
            wrong = replace(one, transfer_id="another").fulfilment
            return bulk_wire.fulfilled(one) | {"fulfilment": draw.choice((wrong, "nonsense"))}
        return bulk_wire.fulfilled(one)
