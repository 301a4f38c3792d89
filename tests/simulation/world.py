"""A run: its parts put together, then faults, then healing, after which everything must reach its end."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from pathlib import Path
from typing import Final

from clearinghub.config import Settings
from clearinghub.domain.transfers.transfer import State
from clearinghub.engine.record import OFFSETS
from clearinghub.kafka.topology import load_topology
from clearinghub.kafka.topology.declared import changelog_name
from tables.transfers import TRANSFERS
from tests.model.journal import INPUTS
from tests.simulation import wire
from tests.simulation.bus import Bus, Log
from tests.simulation.chaos import Chaos
from tests.simulation.copier import Copier
from tests.simulation.dfsps import Dfsps
from tests.simulation.group import Group
from tests.simulation.operators import Operators
from tests.simulation.reading import difference_of_copies, messages_under_way
from tests.simulation.releases import mix_releases
from tests.simulation.swarm import Swarm
from tests.simulation.wire import Terms
from tests.simulation.workers import CallbacksMember, LedgerMember

APPLICATION: Final = "hub"
CALLBACKS: Final = f"{APPLICATION}-callbacks"
SETUP_S_MAX: Final = 60.0
HEAL_S_MAX: Final = 600.0
LOOK_S: Final = 1.0
EXPIRIES: Final = 3
SET_AHEAD_S: Final = 2.0
EXPIRY_LOOK_S: Final = 0.05
EXPIRY_S_MAX: Final = 1.0  # from the punctuator's run to the end of the transfer's second round


class World:
    """All parts of a run."""

    def __init__(self, swarm: Swarm, counts: Counter[str]) -> None:
        self.swarm = swarm
        self.bus = Bus(swarm, counts)
        for topic in load_topology().topics.values():
            count = topic.partition_count(swarm.partitions)
            self.bus.create(topic.name, count, has_arrival_times=topic.timestamp == "append")
        for table in load_topology().tables:
            self.bus.create(changelog_name(APPLICATION, table), swarm.partitions, has_arrival_times=False)
        self.settings = Settings(
            application_id=APPLICATION, kafka_bootstrap="none", data_dir=Path("none"), **swarm.settings()
        )
        self.hub_partition = wire.partition_of(wire.HUB, swarm.partitions)
        self.dfsps = Dfsps(self.bus)
        self.operators = Operators(self.bus, self.dfsps)
        ledgers = [LedgerMember(f"ledger{one}", self.bus, self._of(one)) for one in range(swarm.ledgers)]
        callbacks = [
            CallbacksMember(f"callbacks{one}", self.bus, self._of(one), self.dfsps) for one in range(swarm.callbacks)
        ]
        self.groups = [Group(APPLICATION, ledgers, self.bus), Group(CALLBACKS, callbacks, self.bus)]
        self.chaos = Chaos(self.bus, self.groups, self.dfsps)
        self.copier = Copier(self.bus, self.settings, swarm.seed)

    def _of(self, instance: int) -> Settings:
        return self.settings.model_copy(update={"instance": str(instance)})

    async def live(self) -> None:
        """Set the scheme up, inject faults, heal, and wait until everything that was begun has ended."""
        loop = asyncio.get_running_loop()
        keeping = [loop.create_task(group.keep()) for group in self.groups]
        try:
            async with asyncio.timeout(SETUP_S_MAX):
                await self.operators.set_up()
        except TimeoutError:
            raise AssertionError("liveness: the scheme was not set up in time") from None
        self.swarm.is_calm = False
        striking = loop.create_task(self.chaos.keep_striking())
        copying = loop.create_task(self.copier.keep_copying())
        mixing = [loop.create_task(mix_releases(self))] if self.swarm.mixes_releases else []
        await self._disturb()
        self._commands.update(mixing)
        striking.cancel()
        if copying.done():
            copying.result()
        copying.cancel()
        self.swarm.is_calm = True
        self.chaos.heal()
        await self._come_to_rest(keeping)
        await self._expire_in_time()
        self._commands.add(
            loop.create_task(self.operators.close_window())
        )  # so that each transfer is in a closed window
        await self.copier.copy()
        await self._come_to_rest(keeping)

    async def _come_to_rest(self, keeping: list[asyncio.Task[None]]) -> None:
        """Wait until everything that was begun has ended; raise AssertionError after `HEAL_S_MAX`."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while (rest := self.rest()) is not None:
            for task in keeping:
                assert not task.done(), task.exception()
            if loop.time() - began_s > HEAL_S_MAX:
                raise AssertionError(f"liveness: after {HEAL_S_MAX:.0f} s without faults, {rest}")
            await asyncio.sleep(LOOK_S)

    async def _expire_in_time(self) -> None:
        """Check that transfers expire in time after all faults, although clocks may still be apart."""
        late_s = self.settings.punctuate_interval_ms / 1000 + EXPIRY_S_MAX
        for _ in range(EXPIRIES):
            terms = self.dfsps.pay_in_vain()
            for member in self.groups[0].members:  # set ahead, which their processes notice some seconds later
                member.process.wall_offset_s += SET_AHEAD_S
            await asyncio.sleep(self.swarm.random.random())
            while not self._is_final(terms) and self.dfsps.now_ms() <= terms.expires_at_ms + late_s * 1000:
                await asyncio.sleep(EXPIRY_LOOK_S)
            late_ms = self.dfsps.now_ms() - terms.expires_at_ms
            assert self._is_final(terms), f"timeliness: {terms.transfer_id} is not final {late_ms} ms after it expired"

    def _is_final(self, terms: Terms) -> bool:
        log = self.bus.logs[
            changelog_name(APPLICATION, "transfers"), wire.partition_of(terms.payer, self.swarm.partitions)
        ]
        rows = [entry.value for entry in log.entries if entry.is_committed and entry.key == terms.transfer_id.encode()]
        return bool(rows) and rows[-1] is not None and TRANSFERS.decode(rows[-1]).state.is_final

    async def _disturb(self) -> None:
        """Send payments and commands, evenly spread over the time of the faults."""
        swarm, loop = self.swarm, asyncio.get_running_loop()
        pause_s = swarm.safety_s / swarm.transfers
        commands: set[asyncio.Task[None]] = set()
        for _ in range(swarm.transfers):
            self.dfsps.pay()
            if swarm.chance(swarm.bulks / swarm.transfers):
                self.dfsps.bulks.pay()
            if swarm.has_questions:
                self.dfsps.questions.ask()
            if swarm.has("commands") and swarm.chance(0.2):
                commands.add(loop.create_task(self.operators.interfere()))
            if swarm.happens("closing windows", 0.15):
                commands.add(loop.create_task(self.operators.close_window()))
            if swarm.happens("changing models", 0.1):
                commands.add(loop.create_task(self.operators.change_models()))
            await asyncio.sleep(swarm.random.expovariate(1 / pause_s))
        self._commands = commands

    # -- what is still to be done

    def rest(self) -> str | None:
        """Return what has not ended yet, or None."""
        if not self.dfsps.is_quiet:
            return "a DFSP has more to send"
        for command in self._commands:
            if not command.done():
                return "a command is not answered"
            command.result()
        for partition in range(self.swarm.partitions):
            decided = self._decided(partition)
            for topic in INPUTS:
                end = end_of(self.bus.logs[topic, partition])
                if decided.get(topic, 0) < end:
                    return f"{topic}/{partition} is decided up to {decided.get(topic, 0)} of {end}"
            if (held := self._held(partition)) is not None:
                return f"transfer {held} is still held"
            for topic in ("notification", "parked"):
                end = end_of(self.bus.logs[topic, partition])
                settled = self.bus.group_offsets.get(CALLBACKS, {}).get((topic, partition), 0)
                if settled < end:
                    return f"{topic}/{partition} is settled up to {settled} of {end}"
        if self._processing():
            return "a window is not closed"
        if (missing := messages_under_way(self.bus, self.swarm.partitions)) is not None:
            return missing
        differences = (difference_of_copies(self.bus, member) for member in self.groups[0].members)
        return next((difference for difference in differences if difference is not None), None)

    def _decided(self, partition: int) -> dict[str, int]:
        log = self.bus.logs[changelog_name(APPLICATION, "offsets"), partition]
        rows = (entry for entry in reversed(log.entries) if entry.is_committed and entry.key == b"inputs")
        last = next(rows, None)
        return {} if last is None or last.value is None else OFFSETS.decode(last.value).next_offsets

    def _held(self, partition: int) -> str | None:
        log = self.bus.logs[changelog_name(APPLICATION, "transfers"), partition]
        rows = {entry.key: entry.value for entry in log.entries if entry.is_committed}
        for key, value in rows.items():
            if key is None or value is None or not key.startswith(b"t"):
                continue
            if b'"RESERVED",' in value and TRANSFERS.decode(value).state is State.RESERVED:
                return key.decode()
        return None

    def _processing(self) -> bool:
        log = self.bus.logs[changelog_name(APPLICATION, "settlement"), self.hub_partition]
        rows = {entry.key: entry.value for entry in log.entries if entry.is_committed}
        return any(key.startswith(b"window/") and b'"PROCESSING"' in (row or b"") for key, row in rows.items() if key)

    def digest(self) -> str:
        """Return a hash over all that was written and all that DFSPs have received: the run's fingerprint."""
        hashed = hashlib.sha256()
        for place, log in self.bus.logs.items():
            for entry in log.entries:
                hashed.update(repr((place, entry.timestamp, entry.key, entry.value, entry.is_committed)).encode())
        for callback in self.dfsps.received:
            hashed.update(repr(callback).encode())
        return hashed.hexdigest()


def end_of(log: Log) -> int:
    """Return the offset after the last committed record."""
    last = next((entry for entry in reversed(log.entries) if entry.is_committed), None)
    return 0 if last is None else last.offset + 1
