"""The asking side of interactive queries: an HTTP client of the ledger workers (design 8)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Final
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
import orjson
import structlog

from clearinghub.config import Settings
from clearinghub.domain.participants.position import Position
from clearinghub.domain.parties.party import Entries
from clearinghub.domain.settlement.netting import ContentSums, NettingGroup, PartyNet
from clearinghub.domain.settlement.settlement import Leg, Settlement, SettlementAccount
from clearinghub.domain.settlement.window import Window
from clearinghub.domain.transfers.transfer import Transfer
from clearinghub.engine.partitioner import Partitioner
from clearinghub.kafka.view import CompactedView
from clearinghub.messages.recoveries import PartitionReport, ReportedState, decode_reports, decode_worker
from clearinghub.ports import LedgerUnavailableError, StoppedPart
from tables.parties import PARTIES
from tables.positions import POSITIONS
from tables.settlements import (
    ACCOUNTS,
    ENTRIES,
    LEGS,
    SETTLEMENT_WINDOWS,
    SETTLEMENTS,
    SUMS,
    account_key,
    accounts_prefix,
    entries_prefix,
    leg_place,
    legs_prefix,
    party_net,
    settlement_key,
    sums_key,
    window_key,
)
from tables.transfers import TRANSFERS

log = structlog.get_logger(__name__)

ATTEMPTS: Final = 8  # a partition that moves to another worker answers again within seconds
ATTEMPT_PAUSE_S: Final = 0.25
KEYS_PER_QUERY_MAX: Final = 50
HTTP_OK: Final = 200
QUERY_TIMEOUT_S: Final = 5.0
_KEY_AND_ROW: Final = msgspec.json.Decoder(tuple[str, msgspec.Raw])


class HttpLedgerReader:
    """Queries the ledger workers over HTTP; implements `LedgerReader`, `SettlementReader` and `Partitions`.

    Workers announce on topic `workers` which partitions they own. A query is repeated while its partition moves. All
    queries raise LedgerUnavailableError if no worker answers.
    """

    def __init__(self, settings: Settings) -> None:
        self._workers = CompactedView(settings, "workers", decode_worker)
        self._settings = settings
        self._partition_of = Partitioner({"command": settings.partitions})
        self._coordinator = self._partition_of("command", settings.hub_name)
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Read which worker owns which partition, and follow the changes."""
        await self._workers.start()
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=QUERY_TIMEOUT_S))

    async def stop(self) -> None:
        await self._workers.stop()
        if self._session is not None:
            await self._session.close()

    async def positions(self, participant: str) -> list[Position]:
        """Return the current state of the participant's accounts."""
        rows = await self._query(self._partition_of("command", participant), f"positions/{quote(participant)}")
        return [POSITIONS.decode(row) for row in rows.splitlines()]

    async def transfer(self, partition: int, transfer_id: str) -> Transfer | None:
        """Return the row that a partition has of a transfer, or None."""
        row = await self._query(partition, f"transfers/{quote(transfer_id, safe='')}")
        return TRANSFERS.decode(row) if row else None

    async def parties(self, partition: int, after: str) -> list[tuple[str, Entries]]:
        """Return a page of a partition's parties after the key `after`, in the order of keys; empty at the end."""
        page = await self._query(partition, f"parties?after={quote(after, safe='')}")
        pairs = (orjson.loads(pair) for pair in page.splitlines())
        return [(key, PARTIES.decode(orjson.dumps(row)).entries) for key, row in pairs]

    async def last_windows(self) -> list[Window]:
        """Return windows, newest first, as many as fit into one answer."""
        return [SETTLEMENT_WINDOWS.decode(row) for row in await self._settlement_rows("settlement/last/window")]

    async def windows(self, window_ids: Sequence[int]) -> list[Window]:
        """Return the windows with these ids, without those that do not exist."""
        rows = await self._rows_of([window_key(window_id) for window_id in window_ids])
        return [SETTLEMENT_WINDOWS.decode(row) for row in rows]

    async def sums(self, window: Window) -> dict[NettingGroup, ContentSums] | None:
        """Return the sums of a closed window; None if rows are missing: retention removes them before all others."""
        netting_groups = [content.netting_group for content in window.contents]
        rows = await self._rows_of([sums_key(window.window_id, netting_group) for netting_group in netting_groups])
        if len(rows) < len(netting_groups):
            return None
        return dict(zip(netting_groups, (SUMS.decode(row) for row in rows), strict=True))

    async def nets(
        self, window: Window, netting_group: NettingGroup, participant: str | None = None
    ) -> AsyncGenerator[list[PartyNet], None]:
        """Yield the nets of a content in parts, in the order of the parties; of one participant if it is named."""
        prefix = entries_prefix(window.window_id, netting_group, participant)
        async for page in self._pages(prefix):
            yield [party_net(key, ENTRIES.decode(row)) for key, row in page]

    async def last_settlements(self) -> list[Settlement]:
        """Return settlements, newest first, as many as fit into one answer."""
        return [SETTLEMENTS.decode(row) for row in await self._settlement_rows("settlement/last/settlement")]

    async def settlement(self, settlement_id: int) -> Settlement | None:
        """Return the settlement with that id, or None."""
        rows = await self._rows_of([settlement_key(settlement_id)])
        return SETTLEMENTS.decode(rows[0]) if rows else None

    async def accounts(self, settlement_id: int) -> AsyncGenerator[list[SettlementAccount], None]:
        """Yield the accounts of a settlement in parts, in the order of their ids."""
        async for page in self._pages(accounts_prefix(settlement_id)):
            yield [ACCOUNTS.decode(row) for _key, row in page]

    async def account(self, settlement_id: int, account_id: int) -> SettlementAccount | None:
        """Return an account of a settlement, or None."""
        rows = await self._rows_of([account_key(settlement_id, account_id)])
        return ACCOUNTS.decode(rows[0]) if rows else None

    async def legs(
        self, settlement_id: int, account_id: int | None = None
    ) -> AsyncGenerator[list[tuple[int, Leg]], None]:
        """Yield the legs of a settlement in parts, each with its account's id; those of one account if it is given."""
        async for page in self._pages(legs_prefix(settlement_id, account_id)):
            yield [(number, Leg(name, LEGS.decode(row).net)) for key, row in page for number, name in [leg_place(key)]]

    async def answers_for_all(self, partitions: int) -> bool:
        """Return whether every partition has a worker that is healthy."""
        urls = {self._worker_of(partition) for partition in range(partitions)}
        if None in urls or self._session is None:
            return False
        return all(await asyncio.gather(*(self._is_healthy(url) for url in urls if url is not None)))

    def _worker_of(self, partition: int) -> str | None:
        """Return the URL of the worker that has announced the partition last."""
        announced = self._workers.values.get(str(partition))
        return None if announced is None else announced.url

    def stopped(self) -> list[StoppedPart]:
        """Return what the workers have announced as stopped."""
        announced = sorted((int(key), one.stops) for key, one in self._workers.values.items())
        return [StoppedPart(number, stop.code, stop.topic) for number, stops in announced for stop in stops]

    async def partitions(self) -> list[PartitionReport]:
        """Return how each partition is, as the workers report it that have announced any; see `Partitions`.

        While partitions move, two workers may report one: then the worker counts that has announced it.
        """
        urls = sorted({one.url for one in self._workers.values.values()})
        found: dict[int, PartitionReport] = {}
        for url, reports in zip(urls, await asyncio.gather(*(self._reports(url) for url in urls)), strict=True):
            for one in reports:
                if one.partition not in found or self._worker_of(one.partition) == url:
                    found[one.partition] = msgspec.structs.replace(one, worker=url)
        return [found.get(number) or self._without_worker(number) for number in range(self._settings.partitions)]

    def _without_worker(self, number: int) -> PartitionReport:
        """Report a partition that no worker reports: with the worker that had it last, and why it had stopped."""
        announced = self._workers.values.get(str(number))
        last = PartitionReport(number, ReportedState.NO_WORKER)
        return last if announced is None else msgspec.structs.replace(last, stops=announced.stops, worker=announced.url)

    async def _reports(self, url: str) -> list[PartitionReport]:
        """Return a worker's reports; none if it does not answer."""
        assert self._session is not None
        try:
            async with self._session.get(f"{url}/partitions") as answer:
                return decode_reports(await answer.read()) if answer.status == HTTP_OK else []
        except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError) as error:
            log.warning("worker-does-not-report", worker=url, error=repr(error))
            return []

    async def _is_healthy(self, url: str) -> bool:
        assert self._session is not None
        try:
            async with self._session.get(f"{url}/health") as answer:
                return answer.status == HTTP_OK
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _rows_of(self, keys: Sequence[str]) -> list[bytes]:
        rows: list[bytes] = []
        for start in range(0, len(keys), KEYS_PER_QUERY_MAX):
            some = urlencode([("key", key) for key in keys[start : start + KEYS_PER_QUERY_MAX]])
            rows += await self._settlement_rows(f"settlement?{some}")
        return rows

    async def _pages(self, prefix: str) -> AsyncGenerator[list[tuple[str, bytes]], None]:
        """Yield the keys and rows of table `settlement` whose keys begin with `prefix`, in parts and in order."""
        after = ""
        while True:
            query = urlencode({"prefix": prefix, "after": after})
            lines = (await self._query(self._coordinator, f"settlement/page?{query}")).splitlines()
            if not lines:
                return
            page = [_KEY_AND_ROW.decode(line) for line in lines]
            yield [(key, bytes(row)) for key, row in page]
            after = page[-1][0]

    async def _settlement_rows(self, path: str) -> list[bytes]:
        return (await self._query(self._coordinator, path)).splitlines()

    async def _query(self, partition: int, path: str) -> bytes:
        for _attempt in range(ATTEMPTS):
            answer = await self._try_query(partition, path)
            if answer is not None:
                return answer
            await asyncio.sleep(ATTEMPT_PAUSE_S)
        raise LedgerUnavailableError(f"partition {partition}")

    async def _try_query(self, partition: int, path: str) -> bytes | None:
        url = self._worker_of(partition)
        if url is None or self._session is None:
            return None
        try:
            async with self._session.get(f"{url}/partitions/{partition}/{path}") as answer:
                return await answer.read() if answer.status == HTTP_OK else None
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("ledger-query-failed", partition=partition, worker=url, error=repr(error))
            return None
