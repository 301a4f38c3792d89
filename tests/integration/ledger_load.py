"""Sends transfers at a steady rate to a running ledger, by its topics, without HTTP.

Two cores are then enough for a broker, two ledger workers and the load, and the ledger is what is measured.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from clearinghub.messages import VERSION, encode
from tests.fakes import fields_of
from tests.unit.domain.samples import CONDITION, FULFILMENT

CURRENCY = "XTS"
LIFETIME_MS = 600_000
HEADERS = {"content-type": "application/vnd.interoperability.transfers+json;version=1.1"}


class LedgerLoad:
    """The payers, which send prepares at a rate, and the payees, which fulfil each that the hub forwards."""

    def __init__(self, bootstrap: str, prefix: str, names: Sequence[str], seed: int) -> None:
        self.sent: dict[str, float] = {}
        self.committed: dict[str, tuple[float, float]] = {}  # when each was sent, and how long it took, in seconds
        self.refused = 0
        self._prefix = prefix
        self._names = names
        self._chance = random.Random(seed)
        self._producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=2)
        self._consumer = AIOKafkaConsumer(
            f"{prefix}notification",
            bootstrap_servers=bootstrap,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=20,
        )
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    @asynccontextmanager
    async def of(cls, bootstrap: str, prefix: str, names: Sequence[str], seed: int) -> AsyncIterator[LedgerLoad]:
        load = cls(bootstrap, prefix, names, seed)
        await load._producer.start()
        await load._consumer.start()
        load._tasks.append(asyncio.create_task(load._answer()))
        try:
            yield load
        finally:
            for task in load._tasks:
                task.cancel()
            await asyncio.gather(*load._tasks, return_exceptions=True)
            await load._consumer.stop()
            await load._producer.stop()

    def start(self, rate_per_s: int) -> None:
        """Start sending; `stop` ends it."""
        self._tasks.append(asyncio.create_task(self._send(rate_per_s)))

    async def stop(self) -> None:
        self._tasks.pop().cancel()

    async def send(self, count: int) -> None:
        """Send `count` prepares at once."""
        await asyncio.gather(*(self._prepare() for _ in range(count)))

    async def all_end(self, within_s: float) -> None:
        """Wait until every transfer has ended."""
        deadline = time.monotonic() + within_s
        while len(self.committed) + self.refused < len(self.sent):
            assert time.monotonic() < deadline, f"{len(self.sent) - len(self.committed)} of {len(self.sent)} are open"
            await asyncio.sleep(0.1)

    async def _send(self, rate_per_s: int) -> None:
        began = time.monotonic()
        sent = 0
        while True:
            due = int((time.monotonic() - began) * rate_per_s)
            for _ in range(due - sent):
                await self._prepare()
            sent = max(sent, due)
            await asyncio.sleep(0.01)

    async def _prepare(self) -> None:
        payer, payee = self._chance.sample(self._names, 2)
        transfer_id = str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
        line: dict[str, Any] = {
            "v": VERSION,
            "kind": "prepare",
            "id": transfer_id,
            "source": payer,
            "payer": payer,
            "payee": payee,
            "amount": self._chance.randint(1, 1_000) * 100,
            "currency": CURRENCY,
            "condition": CONDITION,
            "expires_at_ms": int(time.time() * 1000) + LIFETIME_MS,
            "hash": transfer_id,
            "extensions": None,
            "headers": HEADERS,
            "trace": None,
        }
        self.sent[transfer_id] = time.monotonic()
        await self._producer.send(f"{self._prefix}prepare", encode(line, b"{}"), key=payer.encode())

    async def _answer(self) -> None:
        """Read the notifications: payees fulfil every forwarded transfer, payers note every end."""
        async for record in self._consumer:
            line, _body = fields_of(record.value)
            transfer_id = line["id"]
            if line["resource"] != "transfers" or transfer_id not in self.sent:
                continue
            if line["method"] == "POST":
                await self._fulfil(transfer_id, line["source"], line["receiver"])
            elif line["endpoint"].endswith("_ERROR"):
                self.refused += 1
            elif transfer_id not in self.committed and line["source"] in self._names:
                sent_at = self.sent[transfer_id]
                self.committed[transfer_id] = (sent_at, time.monotonic() - sent_at)

    async def _fulfil(self, transfer_id: str, payer: str, payee: str) -> None:
        line: dict[str, Any] = {
            "v": VERSION,
            "kind": "fulfil",
            "id": transfer_id,
            "action": "commit",
            "source": payee,
            "destination": payer,
            "fulfilment": FULFILMENT,
            "completed": None,
            "error_code": None,
            "error_description": None,
            "hash": transfer_id,
            "extensions": None,
            "headers": HEADERS,
            "trace": None,
            "hops": 0,
        }
        await self._producer.send(f"{self._prefix}fulfil", encode(line, b"{}"), key=payer.encode())
