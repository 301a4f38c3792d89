"""The hub that is fuzzed: two DFSPs that have paid each other, and queries of its state.

The role `callbacks` is not started: requests set endpoints at addresses that must never be called.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from clearinghub.kafka.topology import load_topology
from clearinghub.tools.client.admin import AdminClient
from sandbox.scheme import Scheme
from tests.integration.hub_under_test import PARTITIONS, HubUnderTest
from tests.integration.ledger_load import CURRENCY, LedgerLoad
from tests.integration.test_settlement_windows import all_closed, close_open_window

CURRENCIES = ("USD", "XTS")
DFSPS = ("alpha", "beta")
WINDOWS = 3
PAYMENTS = 5  # in each of them
PAID_WITHIN_S = 60.0
MODEL = f"DEFERREDNET{CURRENCY}"
CAP_UNITS = 1_000_000_000
FUNDS_UNITS = 10_000_000_000
ALL_WINDOWS = "/v2/settlementWindows?fromDateTime=2000-01-01"
ALL_SETTLEMENTS = "/v2/settlements?fromDateTime=2000-01-01"
QUIET_S = 0.1
QUIET_WITHIN_S = 30.0


class Account(NamedTuple):
    """An account and its participant."""

    name: str
    account_id: int
    currency: str


class FuzzedHub:
    """A running hub, its admin API and its topics."""

    def __init__(self, hub: HubUnderTest, prefix: str, bootstrap: str, runner: asyncio.Runner) -> None:
        self.urls = hub.urls
        self._hub = hub
        self._prefix = prefix
        self._bootstrap = bootstrap
        self._runner = runner
        self._consumer: AIOKafkaConsumer | None = None

    def start(self) -> None:
        """Start the roles and set the scheme up."""
        for role in ("ledger", "admin-api", "ingress"):
            self._hub.start(role)
        self._runner.run(self._start())

    def stop(self) -> None:
        """Stop the consumer and the hub."""
        if self._consumer is not None:
            self._runner.run(self._consumer.stop())
        self._hub.close()

    def accounts(self) -> list[Account]:
        return [
            Account(one["name"], account["id"], account["currency"])
            for one in self._get("/participants")
            for account in one["accounts"]
        ]

    def settlements(self) -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = self._get(ALL_SETTLEMENTS)
        return shown

    def snapshot(self) -> dict[str, Any]:
        """Return everything that the admin API shows of the scheme, by path."""
        paths = ["/participants", "/participants/limits", "/settlementModels", "/ledgerAccountTypes", "/oracles"]
        paths += [ALL_WINDOWS, ALL_SETTLEMENTS]
        for one in self._get("/participants"):
            paths += [f"/participants/{one['name']}/{part}" for part in ("accounts", "endpoints", "positions")]
        return {path: self._get(path) for path in paths}

    def written(self, *topics: str) -> Mapping[str, int]:
        """Return the end offsets of the topics, by topic and partition."""
        return self._runner.run(self._ends(topics))

    def quiet(self, *topics: str) -> Mapping[str, int]:
        """Return the end offsets of the topics once nothing more is written to them."""
        return self._runner.run(self._quiet(topics))

    def logs(self) -> str:
        """Return the end of the roles' logs."""
        return "\n".join(self._hub.logs(role) for role in ("ledger", "admin-api", "ingress"))

    async def _start(self) -> None:
        await self._hub.healthy()
        async with AdminClient(self.urls.admin) as admin:
            for currency in CURRENCIES:
                scheme = Scheme(admin, "Hub", currency)
                await scheme.ensure_currency()
                for name in DFSPS:
                    await scheme.ensure_dfsp(name, CAP_UNITS, {})
                    await scheme.ensure_funds(name, FUNDS_UNITS)
        await self._settle()
        self._consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, isolation_level="read_committed")
        await self._consumer.start()

    async def _settle(self) -> None:
        """Make payments in every window, close all but the last, and begin a settlement of each."""
        async with LedgerLoad.of(self._bootstrap, self._prefix, DFSPS, seed=0) as load:
            for number in range(1, WINDOWS + 1):
                await load.send(PAYMENTS)
                await load.all_end(PAID_WITHIN_S)
                if number < WINDOWS:
                    await close_open_window(self._hub)
                    await all_closed(self._hub, PAID_WITHIN_S)
        async with AdminClient(self.urls.admin) as admin:
            for number in range(1, WINDOWS):
                body = {"settlementModel": MODEL, "reason": "fuzz", "settlementWindows": [{"id": number}]}
                await admin.call("POST", "/v2/settlements", body)

    def _get(self, path: str) -> Any:
        async def get() -> Any:
            async with AdminClient(self.urls.admin) as admin:
                return await admin.get(path)

        return self._runner.run(get())

    async def _ends(self, topics: tuple[str, ...]) -> dict[str, int]:
        assert self._consumer is not None
        declared = load_topology().topics
        places = [
            TopicPartition(self._prefix + name, number)
            for name in topics
            for number in range(declared[name].partition_count(PARTITIONS))
        ]
        ends = await self._consumer.end_offsets(places)
        return {f"{place.topic.removeprefix(self._prefix)}-{place.partition}": end for place, end in ends.items()}

    async def _quiet(self, topics: tuple[str, ...]) -> dict[str, int]:
        async with asyncio.timeout(QUIET_WITHIN_S):
            before = await self._ends(topics)
            while True:
                await asyncio.sleep(QUIET_S)
                now = await self._ends(topics)
                if now == before:
                    return now
                before = now


@contextmanager
def fuzzed_hub(bootstrap: str, prefix: str, folder: Path) -> Iterator[FuzzedHub]:
    """Yield a hub with long time limits: the fuzzer slows it down, and a time-out would look like a fault."""
    patience = {"session_timeout_ms": 30_000, "command_timeout_ms": 30_000, "record_timeout_ms": 30_000}
    with asyncio.Runner() as runner:
        hub = FuzzedHub(HubUnderTest(bootstrap, prefix, folder, **patience), prefix, bootstrap, runner)
        try:
            hub.start()
            yield hub
        except BaseException:
            print(hub.logs())
            raise
        finally:
            hub.stop()
