"""The engine without Faust: its app, consumer and recovery as they are, on what stands here for Faust's own parts.

Each class is the production one with Faust's constructor left out; what Faust would call, `Member` in workers.py calls
in Faust's order.
"""

from __future__ import annotations

import asyncio
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
from tests.simulation.clients import ConsumerClient
from tests.simulation.disk import Disk, SimulatedStore, SimulatedTable
from tests.simulation.loop import Process


class SimulatedApp(EngineApp):
    """An EngineApp whose Faust is left out. `process` and `disk` are set before it is made."""

    process: Process
    disk: Disk

    def __init__(self, config: EngineConfig) -> None:
        self.engine_config = config
        self.failure: BaseException | None = None
        self.failed = asyncio.Event()
        self.on_ready = []
        self.consumer_generation_id = 0
        self._loop = asyncio.get_running_loop()
        self._partitions = {}
        self._producers = {}
        self._ledger_tables: Any = {
            spec.name: SimulatedTable(spec.name, SimulatedStore(self.disk, spec.name, self.process.reach))
            for spec in config.all_tables
        }

    def fail(self, error: BaseException) -> None:
        """A service of Faust's has crashed."""
        self._fail(error)


class SimulatedConsumer(BatchConsumer):
    """A BatchConsumer on a simulated client; what it hands over waits in its topic's queue, as Faust's streams do."""

    should_stop = False

    def __init__(
        self,
        app: SimulatedApp,
        client: ConsumerClient,
        process: Process,
        comes_through: Callable[[Batch], Awaitable[bool]],
    ) -> None:
        """`comes_through` lets a batch take its time on the way to its agent; False: it is lost there."""
        self._comes_through = comes_through
        self.app = app
        self.epoch = 0
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
        """Begin to fetch, when the flow is let go, and to recover, when there is something assigned."""
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

    async def revoke(self) -> None:
        """All partitions are taken away."""
        self.stop_flow()
        await self.app.close_partitions()

    async def assign(self, partitions: list[int], generation: int) -> None:
        """These partitions of all inputs are given."""
        places = [TopicPartition(topic, number) for topic in self._names for number in partitions]
        self.stop_flow()
        self._simulated.assign(places, generation)
        await self.on_group_assignment({TP(*place) for place in places})

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Fence, then recover: Faust's order."""
        await self.app.open_partitions()
        self.recovery.begin(assigned, generation_id)


class SimulatedRecovery(LedgerRecovery):
    """A LedgerRecovery that is told its changelogs."""

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
        self.active_tps = list(self.tp_to_table)  # in order: a set's would differ from process to process
        self._generation_id = generation
        self.signal_recovery_start.set()

    async def keep_recovering(self) -> None:
        while True:
            await self.signal_recovery_start.wait()
            self.signal_recovery_start.clear()
            await self._recover(self._generation_id)
            self.app.process.reach("recovered")

    def _set_recovery_started(self) -> None:
        """Faust's own state."""

    def _set_recovery_ended(self) -> None:
        """Faust's own state."""

    def _resume(self) -> None:
        self.app.consumer.resume_flow()
