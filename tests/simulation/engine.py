"""The engine's app, consumer and recovery without Faust.

Each class is the production class without Faust's constructor; `Member` in workers.py calls what Faust would call, in
Faust's order.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from faust.types import TP

from clearinghub.engine.app import EngineApp
from clearinghub.engine.batch import Batch
from clearinghub.engine.config import EngineConfig
from clearinghub.engine.consumer import BatchConsumer
from clearinghub.engine.recovery import LedgerRecovery
from clearinghub.engine.relay import Relay
from tests.simulation.clients import ConsumerClient
from tests.simulation.disk import Disk, SimulatedStore, SimulatedTable
from tests.simulation.loop import Process


class SimulatedApp(EngineApp):
    """An EngineApp without Faust. A subclass sets `process` and `disk`."""

    process: Process
    disk: Disk

    def __init__(self, config: EngineConfig) -> None:
        self.engine_config = config
        self.failure: BaseException | None = None
        self.failed = asyncio.Event()
        self.on_ready = []
        self.consumer_generation_id = 0
        self._loop = asyncio.get_running_loop()
        self.relay = Relay(config)
        self._keepers = {}
        self._closing = asyncio.Lock()
        self._opened_s = 0.0
        self._ledger_tables: Any = {
            spec.name: SimulatedTable(spec.name, SimulatedStore(self.disk, spec.name, self.process.reach))
            for spec in config.all_tables
        }

    def fail(self, error: BaseException) -> None:
        """End the app as Faust does when one of its services has raised."""
        self._fail(error)


class SimulatedConsumer(BatchConsumer):
    """A BatchConsumer on a simulated client; batches wait in their topic's queue, as in Faust's streams."""

    should_stop = False

    def __init__(
        self,
        app: SimulatedApp,
        client: ConsumerClient,
        process: Process,
        comes_through: Callable[[Batch], Awaitable[bool]],
        is_member: Callable[[], bool] = lambda: True,
    ) -> None:
        """Prepare; nothing is fetched before `start`.

        `comes_through` delays a batch on its way to the agent; the batch is lost if it returns False. `is_member` says
        whether the group would answer a heartbeat now.
        """
        self._is_member = is_member
        self._comes_through = comes_through
        self.app = app
        self.epoch = 0
        self._epochs = {}
        self._last_epoch = 0
        self._without_holes = frozenset(
            app.engine_config.topic_prefix + one.topic for one in app.engine_config.inputs if one.has_no_holes
        )
        self.seek_offsets = {}
        self._next_begins = {}
        self._known_positions = {}
        self.flow_active = False
        self.can_resume_flow = asyncio.Event()
        self.recovery = SimulatedRecovery(app)
        self._client = self._simulated = client
        self._process = process
        self._waiting = {}
        self._paused = set()
        self._fetching = None
        config = app.engine_config
        self._names = {config.topic_prefix + one.topic: one.topic for one in config.inputs}
        self._queues: dict[str, asyncio.Queue[Any]] = {name: asyncio.Queue() for name in self._names}

    def start(self) -> None:
        """Start fetching, which waits for the flow to be resumed, and recovery, which waits for an assignment."""
        fetcher = SimpleNamespace(should_stop=False, _stopped=None)
        works: list[Callable[[], Awaitable[None]]] = [
            partial(self._drain_messages, fetcher),
            self.recovery.keep_recovering,
        ]
        works.extend(partial(self._feed_agent, topic) for topic in self._queues)
        self._tasks = [asyncio.get_running_loop().create_task(self._guarded(work)) for work in works]

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - as Faust crashes its app when a service raises
            self.app.fail(error)

    async def _feed_agent(self, topic: str) -> None:
        while True:
            batch = await self._queues[topic].get()
            self._process.reach("handed over")
            if await self._comes_through(batch):
                await self.app.on_batch(self._names[topic], batch)

    async def callback(self, message: Any) -> None:
        self._queues[message.tp.topic].put_nowait(message.value)

    async def wait_first(self, resumed: asyncio.Event, _stopped: Any) -> None:
        await resumed.wait()

    def stop_flow(self) -> None:
        self.flow_active = False
        self.can_resume_flow.clear()

    def resume_flow(self) -> None:
        self.flow_active = True
        self.can_resume_flow.set()

    def _position(self, tp: TP) -> int | None:
        return self._simulated.position_of(TopicPartition(*tp))

    def _is_changelog_tp(self, _tp: TP) -> bool:
        return False

    # -- the group's decisions

    @property
    def heard_s(self) -> float:
        """Now, for a member: the group answers each heartbeat at once."""
        return asyncio.get_running_loop().time() if self._is_member() else -math.inf

    @heard_s.setter
    def heard_s(self, _now_s: float) -> None:
        """Leave out what the production class notes."""

    def _steady_s(self) -> float:
        return asyncio.get_running_loop().time()

    async def revoke(self) -> None:
        """Revoke all partitions, as the group does before a new assignment."""
        self.stop_flow()
        await self.app.close_partitions()

    async def assign(self, partitions: list[int], generation: int) -> None:
        """Assign these partitions of all inputs."""
        places = [TopicPartition(topic, number) for topic in self._names for number in partitions]
        self.stop_flow()
        self._simulated.assign(places, generation)
        await self.on_group_assignment({TP(*place) for place in places})

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Fence the last owner, then recover the tables: the order in which Faust does it."""
        await self.app.close_partitions()
        self.recovery.begin(assigned, generation_id)


class SimulatedRecovery(LedgerRecovery):
    """A LedgerRecovery that gets its changelogs from the assignment, not from Faust."""

    def __init__(self, app: SimulatedApp) -> None:
        self.app = app
        self.active_tps: list[TP] = []
        self.standby_tps: list[TP] = []
        self.tp_to_table: dict[TP, Any] = {}
        self._signal_recovery_start = asyncio.Event()
        self._generation_id = 0

    def begin(self, assigned: set[TP], generation: int) -> None:
        config = self.app.engine_config
        numbers = sorted({tp.partition for tp in assigned})
        self.tp_to_table = {
            TP(config.changelog(table.name), number): table
            for table in self.app._ledger_tables.values()
            for number in numbers
        }
        self.active_tps = list(self.tp_to_table)  # in order: that of a set differs from process to process
        self._generation_id = generation
        self.signal_recovery_start.set()

    async def keep_recovering(self) -> None:
        while True:
            await self.signal_recovery_start.wait()
            self.signal_recovery_start.clear()
            await self._recover(self._generation_id)
            self.app.process.reach("recovered")

    def _set_recovery_started(self) -> None:
        """Leave out what Faust notes for itself."""

    def _set_recovery_ended(self) -> None:
        """Leave out what Faust notes for itself."""

    def _resume(self) -> None:
        self.app.consumer.resume_flow()
