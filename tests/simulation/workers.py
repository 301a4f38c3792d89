"""The hub's workers under simulation, built as `clearinghub.roles` builds them and restarted when they end."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

from agents.callback_delivery import NotificationAgent, ParkedAgent
from agents.context import LedgerContext
from clearinghub.callbacks.dead_letters import dead_letter
from clearinghub.callbacks.deliverer import Deliverer
from clearinghub.callbacks.notification import Notification
from clearinghub.callbacks.offsets import OffsetTracker
from clearinghub.callbacks.parking import Parking
from clearinghub.callbacks.sender import Reason
from clearinghub.clock import BrokerClock
from clearinghub.config import Settings
from clearinghub.engine.batch import Batch
from clearinghub.engine.config import EngineConfig
from clearinghub.engine.environment import Environment
from clearinghub.engine.record import Handler, Record, View
from clearinghub.kafka.processes import INTERVAL_S
from clearinghub.kafka.view import ParticipantsView
from clearinghub.messages import DeadLetterMessage
from clearinghub.ports import RecorderUnavailableError, RecordOutcomeUnknownError
from clearinghub.roles.callbacks import CallbacksApp, DeliveryAgent, callbacks_config
from clearinghub.roles.ledger import ledger_config
from tests.simulation.bus import Bus
from tests.simulation.clients import ConsumerClient, ProducerClient, SenderClient
from tests.simulation.disk import Disk
from tests.simulation.engine import SimulatedApp, SimulatedConsumer
from tests.simulation.loop import CrashedError, Process
from tests.simulation.releases import NEXT_LEVEL, next_release_of


class Member(ABC):
    """A worker of a group, through all its processes: one at a time, the next after the last has ended."""

    drops_batches = False

    def __init__(self, name: str, bus: Bus, settings: Settings) -> None:
        self.name = name
        self.bus = bus
        self.settings = settings
        self.disk = Disk()
        # Through the whole run, also when the faults have ended: nobody sets this machine's clock.
        apart = bus.swarm.random.choice((-30.0, -2.0, 1.0, 2.0, 30.0)) if "clocks apart" in bus.swarm.faults else 0.0
        self.apart_s = apart
        bus.counts["clocks apart"] += bool(apart)
        self.process = Process(name)
        self.process.alive = False
        self.ready = asyncio.Event()  # the process may get partitions
        self.ended = asyncio.Event()
        self.is_cut_off = False  # rebalances do not reach it, and it continues to work
        self.crash_at: tuple[str, int] | None = None  # the point at which its next process is killed
        self.failures: list[BaseException] = []
        self.batches_dropped = 0
        self.app: SimulatedApp | None = None
        self.group = ""  # set by the group
        self._deciding = asyncio.Lock()

    # -- life

    def begin(self, wall_offset_s: float) -> None:
        self.process = Process(self.name)
        self.process.wall_offset_s = self.apart_s + wall_offset_s
        if self.crash_at is not None:
            self.process.arm(*self.crash_at)
            self.crash_at = None
        self.ready, self.ended, self.is_cut_off = asyncio.Event(), asyncio.Event(), False
        self._deciding = asyncio.Lock()
        process = self.process
        self.clock = BrokerClock(lambda: int(process.wall_s() * 1000))
        self.process.spawn(self._live(), self.name).add_done_callback(self._end)

    async def _live(self) -> None:
        """Run a process until its engine fails, then raise the failure, as the role does."""
        await self._look_at_the_clock()
        await self._build()
        self._looking = asyncio.get_running_loop().create_task(self._keep_looking_at_the_clock())
        self.ready.set()
        assert self.app is not None
        await self.app.failed.wait()
        assert self.app.failure is not None
        raise self.app.failure

    def _end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            error = task.exception()
            assert error is not None
            self.failures.append(error)
        self.process.kill()
        self.ended.set()

    async def stop(self) -> None:
        """Stop in order, as on SIGTERM."""
        if not self.ready.is_set():
            self.process.kill()
            return
        task = self.process.spawn(self._stop())
        await asyncio.wait({task})
        self.process.kill()

    @abstractmethod
    async def _build(self) -> None:
        """Build the role and start it."""

    async def _stop(self) -> None:
        await self._consumer.revoke()

    # -- the group's decisions

    async def revoke(self) -> None:
        async def let_go() -> None:
            await self._consumer.revoke()

        await self._decide(let_go)

    async def assign(self, partitions: list[int], generation: int) -> None:
        async def take() -> None:
            if generation == self.bus.generations[self.group]:  # otherwise there was another rebalance meanwhile
                await self._consumer.assign(partitions, generation)

        await self._decide(take)

    async def _decide(self, decision: Any) -> None:
        """Carry out a decision of the group in the process; one at a time, as aiokafka's coordinator does."""

        async def carry_out() -> None:
            async with self._deciding:
                try:
                    await decision()
                except Exception as error:  # noqa: BLE001 - as Faust crashes its app when a service raises
                    assert self.app is not None
                    self.app.fail(error)

        if self.process.alive and self.ready.is_set():
            await asyncio.wait({self.process.spawn(carry_out())})

    # -- what both roles are made of

    async def _look_at_the_clock(self) -> None:
        """Let the broker write its time into a record, as `ProcessAnnouncer` does."""
        sent_ms = self.clock.wall_ms()
        appended_ms = await self.bus.request(self.bus.wall_ms)
        self.clock.note(sent_ms, appended_ms, self.clock.wall_ms())

    async def _keep_looking_at_the_clock(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_S)
            await self._look_at_the_clock()

    async def _participants(self) -> ParticipantsView:
        view = ParticipantsView(self.settings, self._consumer_client)
        await view.start()
        return view

    def _consumer_client(self, **settings: Any) -> ConsumerClient:
        return ConsumerClient(self.bus, self.process, settings)

    def _environment(self) -> Environment:
        process = self.process
        return Environment(
            wall_s=process.wall_s,
            steady_s=asyncio.get_running_loop().time,
            make_producer=lambda **settings: ProducerClient(self.bus, process, settings),
            make_consumer=self._consumer_client,
            make_sender=lambda **_settings: SenderClient(self.bus, process),
        )

    async def _comes_through(self, batch: Batch) -> bool:
        """Delay a batch between consumer and agent, or drop it and return False: the next batch must show the gap."""
        swarm = self.bus.swarm
        if swarm.happens("slow agents", 0.05):
            await asyncio.sleep(swarm.random.uniform(0.01, 1.5))
        if self.drops_batches and swarm.happens("dropped batches", 0.01):
            batch.is_closed = True
            self.batches_dropped += 1
            return False
        return True

    def _is_member(self, client: ConsumerClient) -> bool:
        return not self.is_cut_off and client._coordinator.generation == self.bus.generations.get(self.group)

    def _run(self, app: SimulatedApp) -> None:
        client = self._consumer_client(
            group_id=app.engine_config.application_id, auto_offset_reset="none" if app.has_tables else "earliest"
        )
        self._consumer = SimulatedConsumer(
            app, client, self.process, self._comes_through, lambda: self._is_member(client)
        )
        app.consumer = self._consumer
        self.app = app
        self._consumer.start()


class LedgerMember(Member):
    """A worker of the role `ledger`; see `clearinghub.roles.ledger.run_ledger`."""

    drops_batches = True  # the ledger notices a gap; the callbacks rely on their client and would not
    wants_next = False  # the next process is of the next release
    is_next = False

    async def _build(self) -> None:
        participants = await self._participants()
        self.is_next = self.wants_next
        context = LedgerContext.of(self.settings, participants)
        if self.is_next:
            context = replace(context, highest_level=NEXT_LEVEL)
        process, disk = self.process, self.disk

        class App(SimulatedApp):
            """The app of this process."""

        App.process, App.disk = process, disk
        self._run(App(self._with_points(ledger_config(self.settings, context, clock=self.clock))))

    def _released(self, handler: Handler) -> Handler:
        return next_release_of(handler) if self.is_next else handler

    def _with_points(self, config: EngineConfig) -> EngineConfig:
        """Return the production configuration with the points at which the process can be killed."""
        process = self.process

        def decide(handler: Handler, record: Record, view: View) -> Iterator[None] | None:
            process.reach("deciding")
            self.bus.counts["records decided"] += 1
            steps = handler(record, view)
            return None if steps is None else step_by_step(steps)

        def step_by_step(steps: Iterator[None]) -> Iterator[None]:
            for step in steps:
                process.reach("deciding items")
                yield step

        def punctuate(one: Any, view: Any, now_ms: int) -> None:
            process.reach("punctuating")
            one(view, now_ms)

        def round_done(_partition: int, _records: int, _seconds: float) -> None:
            self.bus.counts["rounds"] += 1
            process.reach("round-done")

        def failed(_partition: int, error: BaseException) -> None:
            self.bus.counts["partitions opened again"] += 1
            self.failures.append(error)

        return replace(
            config,
            on_partition_failure=failed,
            inputs=tuple(replace(one, handler=partial(decide, self._released(one.handler))) for one in config.inputs),
            punctuators=tuple(partial(punctuate, one) for one in config.punctuators),
            on_round=round_done,
            environment=self._environment(),
        )


PARKED_TIMES_MAX: Final = 3


class SimulatedParkedLog:
    """Topic `parked` on the simulated bus."""

    parking: Parking

    def __init__(self, bus: Bus, process: Process, parked_max: int) -> None:
        """`parked_max` is how many callbacks may be parked for a receiver."""
        self._bus = bus
        self._process = process
        self._parked_max = parked_max

    async def append(self, partition: int, key: str, value: bytes) -> None:
        """Write a record; at times its confirmation is lost, and at times the record too."""
        self._process.reach("parking")
        swarm = self._bus.swarm
        if swarm.happens("lost parkings", 0.05):
            raise RecorderUnavailableError
        await self._bus.request(lambda: self._bus.append("parked", partition, key.encode(), value))
        self._process.reach("parked")
        self._bus.counts["callbacks parked"] += 1
        # A worker also has what its predecessors have parked for the same receiver: then twice as many, or more.
        total = self.parking.totals.get(key)
        if total is not None and total.count > PARKED_TIMES_MAX * self._parked_max:
            self._bus.counts["parked beyond the bound"] += 1
        if swarm.happens("lost parkings", 0.05):
            raise RecordOutcomeUnknownError

    async def bounds(self, partition: int) -> tuple[int, int]:
        log = self._bus.logs["parked", partition]
        bounds: tuple[int, int] = await self._bus.request(lambda: (log.first, log.stable_end))
        return bounds

    async def read(self, partition: int, offset: int) -> list[Record]:
        self._process.reach("reading back")
        log = self._bus.logs["parked", partition]
        entries, _position = await self._bus.request(lambda: log.read(offset, self._bus.swarm.fetch_records_max()))
        self._bus.counts["parked records read again"] += len(entries)
        return [
            Record("parked", partition, one.offset, one.timestamp, one.key, one.value or b"") for one in entries[:500]
        ]


class SimulatedCallbacks(CallbacksApp, SimulatedApp):
    """The app of the role `callbacks`, without Faust."""


class CallbacksMember(Member):
    """A worker of the role `callbacks`; see `clearinghub.roles.callbacks.run_callbacks`."""

    def __init__(self, name: str, bus: Bus, settings: Settings, dfsps: Any) -> None:
        """Create a worker whose callbacks go to `dfsps`."""
        super().__init__(name, bus, settings)
        self._dfsps = dfsps

    async def _build(self) -> None:
        participants = await self._participants()
        process = self.process

        now_ms = self.clock.now_ms

        async def report_failure(notification: Notification, reason: Reason) -> None:
            letter = DeadLetterMessage(topic="notification", error=reason.code.value, timestamp_ms=now_ms())
            await self._record(notification.message.receiver, dead_letter(letter, notification.as_value()))

        async def write_unreadable(record: Record, problem: str) -> None:
            letter = DeadLetterMessage(
                topic=record.topic,
                error=problem,
                timestamp_ms=now_ms(),
                partition=record.partition,
                offset=record.offset,
            )
            await self._record("", dead_letter(letter, record.value))

        class App(SimulatedCallbacks):
            """The app of this process."""

        App.process, App.disk = process, self.disk
        self._deliverer = Deliverer(
            self.settings,
            participants,
            self._dfsps.transport(process, self.settings.callback_timeout_ms / 1000),
            report_failure,
            now_ms,
            jitter=self.bus.swarm.random.random,
        )
        config = replace(callbacks_config(self.settings, self.clock), environment=self._environment())
        log = SimulatedParkedLog(self.bus, process, self.settings.callback_parked_per_receiver_max)

        def make_agents(tracker: OffsetTracker) -> dict[str, DeliveryAgent]:
            self.bus.counts["parkings begun"] += 1
            parking = Parking(
                self.settings,
                log,
                self._deliverer,
                now_ms,
                lambda number: app.start_of("parked", number),
                write_unreadable,
                lambda number, low: tracker.follow(("parked", number), low),
                f"writer {self.bus.counts['parkings begun']}",
            )
            log.parking = parking
            return {
                "notification": NotificationAgent(self._deliverer, tracker, parking, write_unreadable),
                "parked": ParkedAgent(parking),
            }

        app = App(config, make_agents, lambda _partition, _waited_ms: None)
        self._run(app)
        self._committing = asyncio.get_running_loop().create_task(app.keep_committing())

    async def _record(self, key: str, value: bytes) -> None:
        self.process.reach("dead letter")
        await self.bus.request(lambda: self.bus.append("dead-letter", 0, key.encode(), value))
        if not self.process.alive:
            raise CrashedError

    async def _stop(self) -> None:
        """Stop in the order of `clearinghub.roles.callbacks._stop`."""
        app = self.app
        assert isinstance(app, SimulatedCallbacks)
        self._consumer.stop_flow()
        await self._deliverer.close()
        self._committing.cancel()
        await asyncio.wait({self._committing})
        await app.commit_settled()
        await self._consumer.revoke()
