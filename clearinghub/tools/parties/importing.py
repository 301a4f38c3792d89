"""Imports a file's parties into the built-in oracle, in batches by partition, with a bounded number in flight."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from clearinghub.engine.partitioner import Partitioner
from clearinghub.messages.parties import PartyImportItem, PartyImportMessage
from clearinghub.ports import CommandTimeoutError, RecorderBusyError, RecorderUnavailableError
from clearinghub.tools.parties.csv_file import BadLine, Line

BATCH_LINES: Final = 100  # of one partition: one record
BATCHES_IN_FLIGHT_MAX: Final = 16  # so few that a lookup after them waits only some milliseconds
ATTEMPTS: Final = 10
ATTEMPT_PAUSE_S: Final = 0.5
_TOPIC: Final = "party"


class Ledger(Protocol):
    """Takes messages and answers them; see `clearinghub.kafka.commands.KafkaCommandClient.ask`."""

    async def ask(self, topic: str, key: str, message: PartyImportMessage) -> Any:
        """Send a message and return the ledger's result."""


@dataclass(slots=True)
class Imported:
    """The progress of an import."""

    lines: int = 0
    added: int = 0
    refused: list[BadLine] = field(default_factory=list)


async def import_parties(
    lines: Iterable[Line], ledger: Ledger, partitions: int, on_done: Callable[[Imported], None]
) -> Imported:
    """Import all lines; `on_done` is called with the progress after each batch.

    Raises:
        CommandTimeoutError, RecorderUnavailableError, RecorderBusyError: the hub does not answer; what is done is done,
            and the same file may be imported again.
    """
    imported = Imported()
    pending: set[asyncio.Task[None]] = set()

    async def settle(batch: list[Line]) -> None:
        result = await _ask(ledger, batch)
        imported.lines += len(batch)
        imported.added += result["added"]
        imported.refused += (BadLine(batch[number].number, fault) for number, fault in result["refused"])
        on_done(imported)

    try:
        async for batch in _batches(lines, Partitioner({_TOPIC: partitions})):
            pending.add(asyncio.create_task(settle(batch)))
            if len(pending) >= BATCHES_IN_FLIGHT_MAX:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        await asyncio.gather(*pending)
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
    return imported


async def _batches(lines: Iterable[Line], partition_of: Partitioner) -> AsyncIterator[list[Line]]:
    open_batches: defaultdict[int, list[Line]] = defaultdict(list)
    for line in lines:
        batch = open_batches[partition_of(_TOPIC, line.party.key)]
        batch.append(line)
        if len(batch) >= BATCH_LINES:
            yield batch.copy()
            batch.clear()
    for batch in open_batches.values():
        if batch:
            yield batch


async def _ask(ledger: Ledger, batch: list[Line]) -> dict[str, Any]:
    """Send a batch until it is answered; a repetition changes nothing, for registered parties are left as they are."""
    for attempt in range(1, ATTEMPTS + 1):
        message = PartyImportMessage(
            correlation_id="",
            reply_to="",
            items=tuple(PartyImportItem(one.party, one.entry.currency, one.entry.fsp) for one in batch),
        )
        try:
            result: dict[str, Any] = await ledger.ask(_TOPIC, batch[0].party.key, message)
        except (CommandTimeoutError, RecorderUnavailableError, RecorderBusyError):
            if attempt == ATTEMPTS:
                raise
            await asyncio.sleep(ATTEMPT_PAUSE_S)
        else:
            return result
    raise AssertionError("the last attempt returns or raises")
