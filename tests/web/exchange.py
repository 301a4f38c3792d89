"""Both surfaces over real HTTP with the ledger's agents behind them: what DFSPs hear of what they send."""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiohttp.test_utils import TestClient

from agents.context import LedgerContext
from agents.dead_letter import make_on_poison_record
from agents.handlers import make_handlers
from agents.transfers.timeout import make_due_punctuator
from clearinghub.callbacks.oracles.question import OracleAnswer, OracleQuestion
from clearinghub.config import Settings
from clearinghub.engine.record import Handler, Record
from clearinghub.messages import decode_fields
from tables.bulks import BULKS
from tests.fakes import Emitted, MemoryView, Offsets
from tests.web.admin_world import DELIVERED, PARTITIONS, LedgerInMemory, Operator, an_operator
from tests.web.fspiop_client import (
    CONTENT_TYPE,
    ERROR,
    FULFIL,
    NOW_MS,
    TRANSFER_ID,
    Answer,
    Dfsp,
    FakeHealth,
    FakeRecorder,
    HubServer,
)
from web.fspiop.app import build_fspiop_app

PAYER, PAYEE, STRANGER = "payerfsp", "payeefsp", "otherfsp"
AFTER_EXPIRY_MS = 4 * 3_600_000
OF_PAYEE = {"FSPIOP-Source": PAYEE, "FSPIOP-Destination": PAYER, "Content-Type": CONTENT_TYPE}


class Callback(NamedTuple):
    """What a DFSP hears."""

    receiver: str
    source: str
    method: str
    path: str
    body: Any


@dataclass
class LedgerRecorder(FakeRecorder):
    """Decides each record at once, on the partition of its key, and whatever follows from it."""

    ledger: LedgerInMemory = field(kw_only=True)
    settings: Settings = field(kw_only=True)
    callbacks: list[Callback] = field(default_factory=list)
    decisions: int = 0
    questions: list[OracleQuestion] = field(default_factory=list)
    answers: list[OracleAnswer] = field(default_factory=list)
    watched: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        context = LedgerContext.of(self.settings, self.ledger.participants)
        self.handlers: dict[str, Handler] = make_handlers(context)
        self.on_poison_record = make_on_poison_record(context)

    async def record(self, topic: str, key: str, value: bytes) -> None:
        await super().record(topic, key, value)
        self.decide(self.ledger.views[zlib.crc32(key.encode()) % PARTITIONS], topic, key, value)

    def decide(self, view: MemoryView, topic: str, key: str, value: bytes) -> None:
        """Let the topic's agent decide; it is the ledger's first bug when that raises."""
        self.ledger.now_ms += 1
        self.decisions += 1
        record = Record(topic, view.partition, self.decisions, self.ledger.now_ms, key.encode(), value)
        for _step in self.handlers[topic](record, view) or ():
            pass
        self.follow(view)

    def fail(self, topic: str, key: str, value: bytes) -> None:
        """The topic's agent has raised for the record."""
        view = self.ledger.views[zlib.crc32(key.encode()) % PARTITIONS]
        self.on_poison_record(Offsets(topic, view.partition).record(value, self.ledger.now_ms, key), view)
        self.follow(view)

    def punctuate(self) -> None:
        """Remind of what is due."""
        for view in self.ledger.views:
            make_due_punctuator()(view, self.ledger.now_ms)
            make_due_punctuator(BULKS, "bulk-fulfil", "bulk-timeout")(view, self.ledger.now_ms)
            self.follow(view)

    def follow(self, view: MemoryView) -> None:
        emitted = view.take()
        self.watched += (one.line for one in emitted if one.topic == "notification")
        self.ledger._deliver(emitted)
        self.callbacks += self._callbacks(emitted)
        for one in emitted:
            if one.topic in self.handlers and one.topic not in DELIVERED:
                assert one.partition is not None
                self.decide(self.ledger.views[one.partition], one.topic, one.key, one.value)
            elif one.topic == "oracle":
                self._ask(OracleQuestion.parse(one.value))

    def _ask(self, question: OracleQuestion) -> None:
        """What the callbacks role does: ask, and write the answer to topic `party`."""
        self.questions.append(question)
        value = question.answered(self.answers.pop(0))
        view = self.ledger.views[zlib.crc32(question.reply_key.encode()) % PARTITIONS]
        self.decide(view, "party", question.reply_key, value)

    @staticmethod
    def _callbacks(emitted: list[Emitted]) -> Iterator[Callback]:
        for one in emitted:
            if one.topic == "notification":
                line, body = decode_fields(one.value)
                told = json.loads(body) if body else None
                yield Callback(line["receiver"], line["source"], line["method"], line["path"], told)


@dataclass
class Exchange:
    """A hub with a payer, a payee and a DFSP that is neither."""

    dfsp: Dfsp
    operator: Operator
    ledger: LedgerRecorder

    async def post(self, source: str = PAYER, **changes: Any) -> Answer:
        """POST /transfers, good but for what is given."""
        return await self.dfsp.post({"FSPIOP-Source": source}, **changes)

    async def put(self, headers: dict[str, str] | None = None, **changes: Any) -> Answer:
        """PUT /transfers/{ID} by the payee; a change of None leaves the field out."""
        body = {name: value for name, value in {**FULFIL, **changes}.items() if value is not None}
        path = f"/transfers/{TRANSFER_ID}"
        return await self.dfsp.send("PUT", path, {**OF_PAYEE, **(headers or {})}, json.dumps(body).encode())

    async def put_error(self, code: str = "5100", description: str = "Payee rejected") -> Answer:
        """PUT /transfers/{ID}/error by the payee."""
        body = {"errorInformation": {**ERROR["errorInformation"], "errorCode": code, "errorDescription": description}}
        return await self.dfsp.send("PUT", f"/transfers/{TRANSFER_ID}/error", OF_PAYEE, json.dumps(body).encode())

    async def get(self, source: str = PAYER, transfer_id: str = TRANSFER_ID) -> Answer:
        """GET /transfers/{ID}."""
        return await self.dfsp.send("GET", f"/transfers/{transfer_id}", {"FSPIOP-Source": source})

    def heard(self) -> list[Callback]:
        """The callbacks since the last time."""
        heard, self.ledger.callbacks = self.ledger.callbacks, []
        return heard

    def expire(self) -> None:
        """Let the transfer's time pass; nobody has noticed yet."""
        self.ledger.ledger.now_ms += AFTER_EXPIRY_MS

    async def positions(self) -> tuple[Any, Any]:
        """Of the payer and of the payee."""
        payer, payee = [await self.operator.account("POSITION", name) for name in (PAYER, PAYEE)]
        return payer["value"], payee["value"]


def error_callback(receiver: str, code: str, description: str, extensions: Any = None) -> Callback:
    """The hub's own PUT /transfers/{ID}/error."""
    information = {"errorCode": code, "errorDescription": description}
    if extensions is not None:
        information["extensionList"] = extensions
    return Callback(receiver, "Hub", "PUT", f"/transfers/{TRANSFER_ID}/error", {"errorInformation": information})


def state_callback(receiver: str, method: str = "PUT", **body: Any) -> Callback:
    """The hub's own PUT or PATCH /transfers/{ID}."""
    return Callback(receiver, "Hub", method, f"/transfers/{TRANSFER_ID}", body)


@asynccontextmanager
async def an_exchange(**settings: Any) -> AsyncIterator[Exchange]:
    """An exchange whose DFSPs may each owe 1000 and have 1000 at the scheme's bank, and whose clock stands at first."""
    async with an_operator(**settings) as operator:
        await operator.currency()
        for number, name in enumerate((PAYER, PAYEE, STRANGER)):
            await operator.dfsp(name)
            await fund(operator, name, 1000, f"b51ec534-ee48-4575-b6a9-ead2955b807{number}")
        configured = Settings(**settings)
        recorder = LedgerRecorder(ledger=operator.ledger, settings=configured)
        app = build_fspiop_app(
            configured, recorder, FakeHealth(), now_ms=lambda: NOW_MS, participants=operator.ledger.participants
        )
        async with TestClient(HubServer(app)) as http:
            yield Exchange(Dfsp(http, recorder, FakeHealth()), operator, recorder)


async def fund(operator: Operator, name: str, amount: int, transfer_id: str, action: str = "recordFundsIn") -> None:
    """Funds in, or out."""
    account = await operator.account("SETTLEMENT", name)
    body = {
        "transferId": transfer_id,
        "externalReference": "bank",
        "action": action,
        "reason": "test",
        "amount": {"amount": amount, "currency": "USD"},
    }
    answer = await operator.post(f"/participants/{name}/accounts/{account['id']}", body)
    assert 202 == answer.status, answer.text
