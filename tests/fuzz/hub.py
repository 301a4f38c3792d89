"""The hub that is fuzzed: set up with two DFSPs, and watched for what it should not do.

Its callbacks are not started: among the endpoints that requests set are addresses that must never be called.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from clearinghub.client.admin import AdminClient
from clearinghub.sandbox.scheme import Scheme
from clearinghub.topology import load_topology
from tests.integration.hub_under_test import PARTITIONS, HubUnderTest

CURRENCIES = ("USD", "XTS")
DFSPS = ("alpha", "beta")
CAP_UNITS = 1_000_000_000
FUNDS_UNITS = 10_000_000_000
QUIET_S = 0.1
QUIET_WITHIN_S = 30.0


class Account(NamedTuple):
    """An account, and whose it is."""

    name: str
    account_id: int
    currency: str


class FuzzedHub:
    """A running hub, and what a test asks of it."""

    def __init__(self, hub: HubUnderTest, prefix: str, bootstrap: str, runner: asyncio.Runner) -> None:
        self.urls = hub.urls
        self._hub = hub
        self._prefix = prefix
        self._bootstrap = bootstrap
        self._runner = runner
        self._consumer: AIOKafkaConsumer | None = None

    def start(self) -> None:
        """Start the roles and set the scheme up."""
        for role in ("ledger", "ingress"):
            self._hub.start(role)
        self._runner.run(self._start())

    def stop(self) -> None:
        """End everything."""
        if self._consumer is not None:
            self._runner.run(self._consumer.stop())
        self._hub.close()

    def accounts(self) -> list[Account]:
        """All accounts."""
        return [
            Account(one["name"], account["id"], account["currency"])
            for one in self._get("/participants")
            for account in one["accounts"]
        ]

    def snapshot(self) -> dict[str, Any]:
        """Everything that the admin API shows of the scheme."""
        paths = ["/participants", "/participants/limits", "/settlementModels", "/ledgerAccountTypes", "/oracles"]
        for one in self._get("/participants"):
            paths += [f"/participants/{one['name']}/{part}" for part in ("accounts", "endpoints", "positions")]
        return {path: self._get(path) for path in paths}

    def written(self, *topics: str) -> Mapping[str, int]:
        """How far the topics reach."""
        return self._runner.run(self._ends(topics))

    def quiet(self, *topics: str) -> Mapping[str, int]:
        """How far the topics reach once nothing is written to them any more."""
        return self._runner.run(self._quiet(topics))

    def logs(self) -> str:
        """What the roles said last."""
        return "\n".join(self._hub.logs(role) for role in ("ledger", "ingress"))

    async def _start(self) -> None:
        await self._hub.healthy()
        async with AdminClient(self.urls.admin) as admin:
            for currency in CURRENCIES:
                scheme = Scheme(admin, "Hub", currency)
                await scheme.ensure_currency()
                for name in DFSPS:
                    await scheme.ensure_dfsp(name, CAP_UNITS, {})
                    await scheme.ensure_funds(name, FUNDS_UNITS)
        self._consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, isolation_level="read_committed")
        await self._consumer.start()

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
    """A hub with long patience: the machine is shared with the fuzzer, and a time-out would look like a fault."""
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
