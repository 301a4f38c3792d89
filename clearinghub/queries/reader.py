"""Interactive queries: the ledger worker that owns a participant's partition answers from its tables (design 8)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote, urlencode

import aiohttp
import orjson
import structlog

from clearinghub.config import Settings
from clearinghub.domain.participants.position import Position
from clearinghub.domain.parties.party import Entries
from clearinghub.domain.settlement.netting import ContentNets, NettingGroup
from clearinghub.domain.settlement.settlement import Settlement
from clearinghub.domain.settlement.window import Window
from clearinghub.domain.transfers.transfer import Transfer
from clearinghub.engine.partitioner import Partitioner
from clearinghub.kafka.view import CompactedView, decode_worker_url
from clearinghub.ports import LedgerUnavailableError
from tables.codec import decode_transfer
from tables.parties import PARTIES
from tables.positions import POSITIONS
from tables.settlements import CONTENTS, SETTLEMENT_WINDOWS, SETTLEMENTS, content_key, settlement_key, window_key

log = structlog.get_logger(__name__)

ATTEMPTS: Final = 8  # a partition that moves is answered for again within seconds
ATTEMPT_PAUSE_S: Final = 0.25
KEYS_ASKED_AT_ONCE: Final = 50
HTTP_OK: Final = 200
QUERY_TIMEOUT_S: Final = 5.0


class HttpLedgerReader:
    """Asks the worker that announced itself for the partition, and asks again while the partition moves."""

    def __init__(self, settings: Settings) -> None:
        self._workers = CompactedView(settings, "workers", decode_worker_url)
        self._partition_of = Partitioner({"command": settings.partitions})
        self._coordinator = self._partition_of("command", settings.hub_name)
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Learn who answers for what."""
        await self._workers.start()
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=QUERY_TIMEOUT_S))

    async def stop(self) -> None:
        """Close the connections."""
        await self._workers.stop()
        if self._session is not None:
            await self._session.close()

    async def positions(self, participant: str) -> list[Position]:
        """All accounts of a participant; see `clearinghub.ports.LedgerReader`."""
        partition = self._partition_of("command", participant)
        for _attempt in range(ATTEMPTS):
            rows = await self._ask(partition, f"positions/{quote(participant)}")
            if rows is not None:
                return [POSITIONS.decode(row) for row in rows.splitlines()]
            await asyncio.sleep(ATTEMPT_PAUSE_S)
        raise LedgerUnavailableError(f"partition {partition}")

    async def transfer(self, partition: int, transfer_id: str) -> Transfer | None:
        """A partition's row of a transfer, or None.

        Raises:
            LedgerUnavailableError: nobody answers for the partition.
        """
        for _attempt in range(ATTEMPTS):
            row = await self._ask(partition, f"transfers/{quote(transfer_id, safe='')}")
            if row is not None:
                return decode_transfer(row) if row else None
            await asyncio.sleep(ATTEMPT_PAUSE_S)
        raise LedgerUnavailableError(f"partition {partition}")

    async def parties(self, partition: int, after: str) -> list[tuple[str, Entries]]:
        """A page of a partition's parties in the order of their keys, behind the key `after`; empty at the end.

        Raises:
            LedgerUnavailableError: nobody answers for the partition.
        """
        for _attempt in range(ATTEMPTS):
            page = await self._ask(partition, f"parties?after={quote(after, safe='')}")
            if page is not None:
                lines = (orjson.loads(line) for line in page.splitlines())
                return [(key, PARTIES.decode(orjson.dumps(row)).entries) for key, row in lines]
            await asyncio.sleep(ATTEMPT_PAUSE_S)
        raise LedgerUnavailableError(f"partition {partition}")

    async def last_windows(self) -> list[Window]:
        """The newest windows; see `clearinghub.ports.SettlementReader`."""
        return [SETTLEMENT_WINDOWS.decode(row) for row in await self._settlement_rows("settlement/last/window")]

    async def windows(self, window_ids: Sequence[int]) -> list[Window]:
        """Windows by their numbers."""
        rows = await self._rows_of([window_key(window_id) for window_id in window_ids])
        return [SETTLEMENT_WINDOWS.decode(row) for row in rows]

    async def nets(self, window: Window) -> dict[NettingGroup, ContentNets] | None:
        """What a closed window holds; None if rows are missing, for retention removes a window with all of them."""
        netting_groups = [content.netting_group for content in window.contents]
        rows = await self._rows_of([content_key(window.window_id, netting_group) for netting_group in netting_groups])
        if len(rows) < len(netting_groups):
            return None
        return dict(zip(netting_groups, (CONTENTS.decode(row) for row in rows), strict=True))

    async def last_settlements(self) -> list[Settlement]:
        """The newest settlements."""
        return [SETTLEMENTS.decode(row) for row in await self._settlement_rows("settlement/last/settlement")]

    async def settlement(self, settlement_id: int) -> Settlement | None:
        """A settlement."""
        rows = await self._rows_of([settlement_key(settlement_id)])
        return SETTLEMENTS.decode(rows[0]) if rows else None

    async def _rows_of(self, keys: Sequence[str]) -> list[bytes]:
        rows: list[bytes] = []
        for start in range(0, len(keys), KEYS_ASKED_AT_ONCE):
            asked = urlencode([("key", key) for key in keys[start : start + KEYS_ASKED_AT_ONCE]])
            rows += await self._settlement_rows(f"settlement?{asked}")
        return rows

    async def _settlement_rows(self, what: str) -> list[bytes]:
        """Rows of the coordinator's partition."""
        for _attempt in range(ATTEMPTS):
            rows = await self._ask(self._coordinator, what)
            if rows is not None:
                return rows.splitlines()
            await asyncio.sleep(ATTEMPT_PAUSE_S)
        raise LedgerUnavailableError(f"partition {self._coordinator}")

    async def answers_for_all(self, partitions: int) -> bool:
        """True when every partition's worker says that it is at work."""
        urls = {self._workers.values.get(str(partition)) for partition in range(partitions)}
        if None in urls or self._session is None:
            return False
        return all(await asyncio.gather(*(self._is_healthy(url) for url in urls if url is not None)))

    async def _is_healthy(self, url: str) -> bool:
        assert self._session is not None
        try:
            async with self._session.get(f"{url}/health") as answer:
                return answer.status == HTTP_OK
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _ask(self, partition: int, what: str) -> bytes | None:
        url = self._workers.values.get(str(partition))
        if url is None or self._session is None:
            return None
        try:
            async with self._session.get(f"{url}/partitions/{partition}/{what}") as answer:
                return await answer.read() if answer.status == HTTP_OK else None
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("ledger-query-failed", partition=partition, worker=url, error=repr(error))
            return None
