"""What the group decides, handed to Faust."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from aiokafka import ConsumerRebalanceListener
from faust.transport.consumer import ensure_TPset

if TYPE_CHECKING:
    from clearinghub.engine.consumer import BatchConsumer


class GroupListener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Hands the group's decisions to Faust."""

    def __init__(self, consumer: BatchConsumer) -> None:
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """A rebalance begins: what was ours is given up until the group has decided."""
        self._consumer.app.on_rebalance_start()
        await self._consumer.on_partitions_revoked(ensure_TPset(revoked))
        # Faust does so only for an app with transactions; the others must not commit offsets for what is another's.
        await self._consumer.app.close_partitions()

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """The group has decided."""
        await self._consumer.on_group_assignment(ensure_TPset(assigned))
