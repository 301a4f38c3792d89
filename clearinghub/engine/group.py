"""What the consumer group says to a worker: rebalances, and heartbeats that it confirms."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from faust.transport.consumer import ensure_TPset


def note_heartbeats(client: AIOKafkaConsumer, steady_s: Callable[[], float], note: Callable[[float], None]) -> None:
    """Call `note` with the time at which each heartbeat began that the group's coordinator has confirmed.

    Until a session after that time nobody else is given this worker's partitions.
    """
    coordinator = client._coordinator  # noqa: SLF001 - the client has no public way
    beat = coordinator._do_heartbeat  # noqa: SLF001

    async def noted_beat() -> bool:
        began_s = steady_s()
        is_member = cast("bool", await beat())
        if is_member:
            note(began_s)
        return is_member

    coordinator._do_heartbeat = noted_beat  # noqa: SLF001


class GroupListener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Passes the group's decisions on to Faust."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """Close all partitions of this worker: a rebalance has begun, and the group has not decided yet."""
        self._consumer.app.on_rebalance_start()
        await self._consumer.on_partitions_revoked(ensure_TPset(revoked))
        # Faust does so only for an app with transactions; other apps must not commit offsets of partitions lost.
        await self._consumer.app.close_partitions()

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Begin to work on the partitions that the group has given to this worker."""
        await self._consumer.on_group_assignment(ensure_TPset(assigned))
