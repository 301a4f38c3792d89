"""Passes messages on to other partitions once their round is committed (design 4).

A round writes what it says to other partitions into its own partition of topic `outbox`. When the transaction is
committed, the relay writes each message to its receiver's partition: in order for each topic and receiver, outside any
transaction, again and again until the broker has confirmed it. Receivers drop repetitions by their numbers (hops.py),
so a message may be passed on twice, by this worker or by one that no longer owns the partition.

What waits for a receiver is kept in memory up to a number of bytes. What exceeds it is read again from the outbox when
there is room, and so is what a predecessor has not passed on. A receiver whose partition takes no messages delays
nobody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from clearinghub.engine.config import EngineConfig
from clearinghub.engine.destination import Destination, Records
from clearinghub.engine.hops import HopsRow
from clearinghub.engine.outbox import Outbox


class Sender(Protocol):
    """Writes records outside any transaction."""

    async def start(self) -> None:
        """Connect; raise if no broker answers."""

    async def stop(self) -> None:
        """Close the connections; nobody waits for a record any more."""

    async def send(self, topic: str, partition: int, records: Records, timestamp_ms: int) -> None:
        """Write records in their order, and return when all replicas in sync have them; raise if that is not known."""


class Waiting(NamedTuple):
    """What waits for one partition: messages, the bytes of those in memory, when the oldest was written."""

    messages: int
    bytes: int
    since_ms: int | None


class Relay:
    """The messages that this worker passes on, for all its partitions, and the sender that writes them."""

    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        self._destinations: dict[tuple[str, int], Destination] = {}
        self._outboxes: list[Outbox] = []
        self._sender: Sender | None = None
        self._starting = asyncio.Lock()

    def open(self, partition: int, rows: Mapping[int, HopsRow], on_failure: Callable[[BaseException], None]) -> Outbox:
        """Begin to pass on what a partition sends; `rows` say what its predecessor has passed on.

        `on_failure` is called if messages are lost.
        """
        self._outboxes = [one for one in self._outboxes if not one.is_closed]
        outbox = Outbox(self.config, partition, rows, self._destination, on_failure)
        self._outboxes.append(outbox)
        return outbox

    def _destination(self, topic: str, receiver: int) -> Destination:
        """Return the queue of a topic's partition."""
        found = self._destinations.get((topic, receiver))
        if found is None:
            found = self._destinations[topic, receiver] = Destination(topic, receiver, self._send)
        return found

    async def _send(self, topic: str, receiver: int, records: Records) -> None:
        """Write records to a partition; connect first if that is not done yet."""
        config = self.config
        async with self._starting:
            if self._sender is None:
                sender = config.environment.make_sender(
                    bootstrap_servers=config.bootstrap,
                    client_id=f"{config.application_id}-{config.instance}-relay",
                    **config.access,
                )
                await sender.start()
                self._sender = sender
        await self._sender.send(config.topic_prefix + topic, receiver, records, config.environment.wall_ms())

    async def stop(self) -> None:
        """End all sending; what is not passed on is in the outbox."""
        tasks = {one.sending for one in self._destinations.values() if one.sending is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._sender is not None:
            await self._sender.stop()

    def waiting(self) -> dict[int, Waiting]:
        """Return what waits, by receiving partition; partitions for which nothing waits are left out."""
        messages: dict[int, int] = {}
        for outbox in self._outboxes:
            for receiver, count in outbox.waiting() if not outbox.is_closed else ():
                messages[receiver] = messages.get(receiver, 0) + count
        found: dict[int, Waiting] = {}
        for receiver, count in messages.items():
            queues = [one for (_topic, number), one in self._destinations.items() if number == receiver]
            since = [one.waiting[0].written_ms for one in queues if one.waiting]
            if count:
                found[receiver] = Waiting(count, sum(one.bytes for one in queues), min(since, default=None))
        return found
