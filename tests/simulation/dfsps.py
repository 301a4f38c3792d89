"""The simulated DFSPs: payers send prepares, payees answer them well or badly, and all receive the hub's callbacks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from clearinghub.callbacks.http_client import DestinationError, FailureKind
from tests.simulation import bulks, questions, wire
from tests.simulation.bus import Bus
from tests.simulation.loop import START_S, Process
from tests.simulation.questions import Questions
from tests.simulation.wire import InputRecord, Terms

ENDPOINTS: Final = {
    "FSPIOP_CALLBACK_URL_TRANSFER_POST": "http://{}.example/transfers",
    "FSPIOP_CALLBACK_URL_TRANSFER_PUT": "http://{}.example/transfers/{{{{transferId}}}}",
    "FSPIOP_CALLBACK_URL_TRANSFER_ERROR": "http://{}.example/transfers/{{{{transferId}}}}/error",
    **bulks.ENDPOINTS,
}
STRANGER: Final = "mallory"
LARGE_BYTES: Final = 5_000  # more than a round may have, where that is limited
SHORT_MS: Final = 1_500
ANSWERS: Final = ("commit",) * 6 + ("reserve",) * 2 + ("abort", "reject")


class Callback(NamedTuple):
    """A request that reached a DFSP."""

    receiver: str
    method: str
    url: str
    body: bytes


class Dfsps:
    """All DFSPs of a run, the callbacks that they have received, and the records that they have yet to send."""

    stranger = STRANGER

    def __init__(self, bus: Bus) -> None:
        self.received: list[Callback] = []
        self.names = [f"dfsp{number}" for number in range(bus.swarm.dfsps)]
        self.down_until_s: dict[str, float] = {}
        self.slow_until_s: dict[str, tuple[float, float]] = {}  # until when, and by how much answers are late
        self._bus = bus
        self._swarm = bus.swarm
        self._loop = asyncio.get_running_loop()
        self.terms: dict[str, Terms] = {}
        self.twins: dict[tuple[str, str], Terms] = {}  # by id and payee: transfers whose id another payer has used too
        self._answered: dict[tuple[str, str], InputRecord] = {}
        self._busy: dict[asyncio.Task[None], None] = {}
        self._count = 0
        self._silent: set[str] = set()
        self.bulks = bulks.Bulks(self, bus.swarm)
        self.questions = Questions(self, bus.swarm.questions)
        self.endpoints = ENDPOINTS | (questions.ENDPOINTS if bus.swarm.has_questions else {})

    @property
    def is_quiet(self) -> bool:
        """Whether no record is still to be sent."""
        return not self._busy

    def _do(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._busy[task] = None
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._busy[task]
        if not task.cancelled():
            task.result()

    def now_ms(self) -> int:
        return int((START_S + self._loop.time()) * 1000)

    async def send(self, record: InputRecord) -> None:
        """Write a record as the ingress does, and return when the broker has it."""
        partition = wire.partition_of(record.key, self._swarm.partitions)
        await self._bus.request(lambda: self._bus.append(record.topic, partition, record.key.encode(), record.value))

    # -- payers

    def pay(self) -> None:
        """Send a prepare, and perhaps repetitions, changed copies, lookups and answers of strangers."""
        draw, swarm = self._swarm.random, self._swarm
        payer, payee = draw.sample(self.names, 2)
        self._count += 1
        expires_ms = self.now_ms() + draw.choice((300, 1_500, 4_000, 9_000, 9_000))
        amount = draw.choice((1, 10, 50, draw.randint(1, 100), draw.randint(1, 100) if draw.random() < 0.9 else 400))
        terms = Terms(f"t{self._count}", payer, payee, amount, expires_ms)
        self.pay_singly(terms)
        if swarm.reuses_id():
            self._pay_under_the_same_id(terms)
        if swarm.happens("lookups", 0.3):
            asker = draw.choice((payer, payee, *self.names, STRANGER))
            self._do(self._after(draw.uniform(0.0, 6.0), wire.get(terms.transfer_id, asker)))

    def pay_in_vain(self) -> Terms:
        """Send a prepare that nobody will answer, and return it."""
        payer, payee = self._swarm.random.sample(self.names, 2)
        self._count += 1
        terms = Terms(f"t{self._count}", payer, payee, 1, self.now_ms() + SHORT_MS)
        self._silent.add(terms.transfer_id)
        self.pay_singly(terms)
        return terms

    def _pay_under_the_same_id(self, terms: Terms) -> None:
        """Send the prepare of another payer, for another payee, with the same id and other terms.

        The DFSPs are others too, and this payee never accepts: the model knows credits and callbacks by their ids.
        """
        payer = self._swarm.another(self.names, terms.payer, terms.payee)
        payee = self._swarm.another(self.names, terms.payer, terms.payee, payer)
        twin = replace(terms, payer=payer, payee=payee, amount=terms.amount + 1)
        self.twins[twin.transfer_id, payee] = twin
        self._do(self.send(wire.prepare(twin)))

    def pay_singly(self, terms: Terms) -> None:
        """Send a single prepare, perhaps under the id of an item of a bulk."""
        self.terms[terms.transfer_id] = terms
        self._bus.counts["transfers sent by payers"] += 1
        self._do(self._ask(terms))

    async def _ask(self, terms: Terms) -> None:
        draw, swarm = self._swarm.random, self._swarm
        record = self._odd(terms) if swarm.happens("odd prepares", 0.15) else wire.prepare(terms)
        if swarm.happens("large bodies", 0.2):
            record = replace(record, value=record.value + b" " * LARGE_BYTES)
        await self.send(record)
        if swarm.happens("repeated prepares", 0.25):
            self._do(self._after(draw.choice((0.0, 0.1, 5.0)), record))
        if swarm.happens("changed prepares", 0.15):
            changed = replace(terms, amount=terms.amount + 1)
            self._do(self._after(draw.choice((0.0, 0.2, 5.0)), wire.prepare(changed)))
        if swarm.happens("strangers", 0.15):
            action = draw.choice(("commit", "abort", "reserve", "reject"))
            source = draw.choice((STRANGER, terms.payer, *self.names))
            self._do(self._after(draw.uniform(0.0, 1.0), wire.fulfil(terms, action, source=source, note=9)))

    def _odd(self, terms: Terms) -> InputRecord:
        """Return a prepare that must be refused."""
        kind = self._swarm.random.choice(("source", "payee", "self", "late", "condition"))
        if kind == "source":
            return wire.prepare(terms, source=terms.payee)
        if kind == "payee":
            return wire.prepare(replace(terms, payee=STRANGER))
        if kind == "self":
            return wire.prepare(replace(terms, payee=terms.payer))
        if kind == "late":
            return wire.prepare(replace(terms, expires_at_ms=self.now_ms() - 60_000))
        return wire.prepare(terms, condition="none")

    def later(self, seconds: float, record: InputRecord) -> None:
        """Send a record after some seconds."""
        self._do(self._after(seconds, record))

    async def _after(self, seconds: float, record: InputRecord) -> None:
        await asyncio.sleep(seconds)
        await self.send(record)

    # -- payees

    def receive(self, callback: Callback) -> None:
        """Take note of a callback that has reached its receiver; a payee answers a request."""
        self.received.append(callback)
        is_of_question = self.questions.receive(callback.method, callback.url, callback.receiver, callback.body)
        if callback.method != "POST" or is_of_question:
            return
        if callback.url.endswith("/bulkTransfers"):
            self.bulks.receive(callback.body)
            return
        transfer_id = callback.body.partition(b'"id":"')[2].partition(b'"')[0].decode()
        terms = self.twins.get((transfer_id, callback.receiver)) or self.terms[transfer_id]
        before = self._answered.get((transfer_id, callback.receiver))
        if before is not None:  # the hub has repeated its request, and the payee may repeat its answer
            if self._swarm.chance(0.5):
                self._do(self._after(0.01, before))
            return
        self._decide(terms)

    def _decide(self, terms: Terms) -> None:
        draw, swarm = self._swarm.random, self._swarm
        if terms.transfer_id in self._silent or swarm.happens("silent payees", 0.15):
            return
        is_twin = (terms.transfer_id, terms.payee) in self.twins
        action = draw.choice(("abort", "reject") if is_twin else ANSWERS)
        destination = draw.choice(("", "", "", "", None))  # with None, the answer visits one partition after the other
        record = wire.fulfil(terms, action, destination=destination)
        after_s = draw.uniform(0.0, 0.3)
        if swarm.happens("late fulfils", 0.2):
            after_s = max(0.0, terms.expires_at_ms - self.now_ms()) / 1000 + draw.uniform(-0.2, 2.0)
            after_s = max(0.0, after_s)
        if swarm.happens("wrong fulfilments", 0.15):
            wrong = replace(terms, transfer_id="another").fulfilment
            record = wire.fulfil(terms, "commit", fulfilment=draw.choice((wrong, "nonsense")))
        elif swarm.happens("strangers", 0.05):
            record = wire.fulfil(
                terms, action, destination=terms.payee
            )  # from the payee itself, naming the wrong payer
        self._answered[terms.transfer_id, terms.payee] = record
        self._do(self._after(after_s, record))
        if swarm.happens("repeated fulfils", 0.25):
            self._do(self._after(after_s + draw.choice((0.0, 0.1, 3.0)), record))
        if swarm.happens("changed fulfils", 0.2):
            other = wire.fulfil(terms, "abort" if is_twin else draw.choice(ANSWERS), note=draw.choice((0, 1)))
            self._do(self._after(after_s + draw.choice((0.0, 0.1, 3.0)), other))

    # -- callbacks

    def transport(self, process: Process, timeout_s: float) -> SimulatedTransport:
        """Return the HTTP client of a process of the role `callbacks`."""
        return SimulatedTransport(self, self._swarm, process, timeout_s)


class SimulatedTransport:
    """The callbacks' HTTP client without HTTP: requests arrive late, fail, or lose their answer."""

    def __init__(self, dfsps: Dfsps, swarm: Any, process: Process, timeout_s: float) -> None:
        self._dfsps = dfsps
        self._swarm = swarm
        self._process = process
        self._timeout_s = timeout_s

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes, peer: str) -> int:
        """Send a request; return the status, or raise DestinationError."""
        self._process.reach("request")
        swarm, host = self._swarm, urlsplit(url).netloc.partition(".")[0]
        await asyncio.sleep(swarm.delay_s())
        if self._dfsps.down_until_s.get(host, 0.0) > asyncio.get_running_loop().time():
            raise DestinationError(FailureKind.UNREACHABLE, host)
        slow_until_s, late_s = self._dfsps.slow_until_s.get(host, (0.0, 0.0))
        if slow_until_s > asyncio.get_running_loop().time():
            await asyncio.sleep(min(late_s, self._timeout_s))
        failure = self._failure()
        callback = Callback(host, method, url, body)
        if failure in ("", "lost answer", "late error"):
            assert headers["fspiop-http-method"] == method
            self._dfsps.receive(callback)
            if swarm.happens("callbacks answered twice", 0.1):
                self._dfsps.receive(callback)
        await asyncio.sleep(swarm.delay_s())
        if failure in ("lost request", "lost answer"):
            await asyncio.sleep(self._timeout_s)
            raise DestinationError(FailureKind.TIMEOUT, host)
        self._process.reach("answered")
        return {"": 200, "refused": 400}.get(failure, 503)

    def _failure(self) -> str:
        if not self._swarm.happens("failing callbacks", 0.15):
            return ""
        kind: str = self._swarm.random.choice(("lost request", "lost answer", "error", "late error", "refused"))
        return kind

    async def close(self) -> None:
        """Close nothing: there are no connections."""
