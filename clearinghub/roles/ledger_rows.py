"""The rows that a ledger worker returns to queries, read from its local copies between two rounds (design 8)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from clearinghub.engine.app import EngineApp
from clearinghub.engine.errors import PartitionLostError, StoppedInput
from clearinghub.engine.status import PartitionState, PartitionStatus
from clearinghub.messages.recoveries import PartitionReport, ReportedState, Stopped
from tables.parties import PARTIES
from tables.positions import POSITIONS
from tables.settlements import SETTLEMENTS
from tables.transfers import TRANSFERS
from web.ledger.app import PartitionElsewhereError

Answer = TypeVar("Answer")

# No round runs while a query reads: it returns the newest rows, up to this number or length.
LISTED_ROWS_MAX: Final = 10_000
LISTED_BYTES_MAX: Final = 16 * 1024 * 1024
_STATES: Final = {
    PartitionState.RECOVERING: ReportedState.OPENING,
    PartitionState.READY: ReportedState.WORKING,
    PartitionState.STOPPED: ReportedState.STOPPED,
    PartitionState.LOST: ReportedState.LOST,
}


def stopped_input(stopped: StoppedInput) -> Stopped:
    """Return what is announced and reported of a stopped input; the remedy ends with the error."""
    stop, remedy = stopped.stop, f"{stopped.stop.remedy} What was raised: {stopped.error}"
    return Stopped(stop.code, stop.sentence, remedy, stopped.since_ms, stop.stop_id, stopped.topic)


def report_of(status: PartitionStatus) -> PartitionReport:
    """Return what operators see of a partition."""
    inputs = tuple(stopped_input(one) for one in status.stopped_inputs)
    return PartitionReport(
        status.number,
        ReportedState.INPUT_STOPPED if inputs else _STATES[status.state],
        status.since_ms,
        status.waiting_since_ms,
        status.last_failure,
        status.reopenings,
        inputs if status.stopped is None else (Stopped(*status.stopped), *inputs),
    )


class StoreRows:
    """Implements `web.ledger.app.LedgerRows` with the stores of an engine."""

    def __init__(self, app: EngineApp) -> None:
        self._app = app

    def partitions(self) -> list[PartitionReport]:
        """Return how each partition of this worker is."""
        return [report_of(one) for one in self._app.statuses()]

    async def positions(self, partition: int, participant: str) -> list[bytes]:
        """Return the rows of a participant's accounts."""
        store = self._app.store(POSITIONS.name)
        prefix = f"{participant}/".encode()
        return await self._read(partition, lambda: list(store.rows_with_prefix(partition, prefix)))

    async def transfer(self, partition: int, transfer_id: str) -> bytes | None:
        """Return the row of a transfer, or None."""
        store = self._app.store(TRANSFERS.name)
        return await self._read(partition, lambda: store.row(partition, transfer_id.encode()))

    async def parties(self, partition: int, after: str, count_max: int) -> list[tuple[bytes, bytes]]:
        """Return the next keys and rows of the built-in oracle after the key `after`."""
        store = self._app.store(PARTIES.name)
        return await self._read(partition, lambda: store.rows_after(partition, after.encode(), count_max))

    async def settlement_rows(self, partition: int, keys: list[str]) -> list[bytes]:
        """Return the rows of table `settlement` under these keys, without those that do not exist."""
        store = self._app.store(SETTLEMENTS.name)

        def found() -> list[bytes]:
            rows = (store.row(partition, key.encode()) for key in keys)
            return [row for row in rows if row is not None]

        return await self._read(partition, found)

    async def settlement_page(
        self, partition: int, prefix: str, after: str, count_max: int
    ) -> list[tuple[bytes, bytes]]:
        """Return the next keys and rows of table `settlement` whose keys begin with `prefix`, after the key `after`."""
        store = self._app.store(SETTLEMENTS.name)
        return await self._read(partition, lambda: store.page(partition, prefix.encode(), after.encode(), count_max))

    async def last_settlement_rows(self, partition: int, kind: str) -> list[bytes]:
        """Return the rows of a kind in table `settlement`, newest first, up to the limits."""
        store, prefix = self._app.store(SETTLEMENTS.name), f"{kind}/".encode()
        query = partial(store.last_rows_with_prefix, partition, prefix, LISTED_ROWS_MAX, LISTED_BYTES_MAX)
        return await self._read(partition, query)

    async def _read(self, partition: int, query: Callable[[], Answer]) -> Answer:
        try:
            return await self._app.read(partition, lambda _view: query())
        except PartitionLostError as error:
            raise PartitionElsewhereError from error
