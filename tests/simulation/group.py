"""A consumer group: its members, their partitions, and rebalances."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tests.simulation.bus import Bus
from tests.simulation.workers import Member

REVOKE_WAIT_S = 8.0  # a member that does not release its partitions in time is dropped


class Group:
    """A group. A member that is dead or cut off keeps its partitions until its session is over."""

    def __init__(self, name: str, members: Sequence[Member], bus: Bus) -> None:
        self.name = name
        self.members = members
        self._bus = bus
        self._draw = bus.swarm.random
        self._joined: list[Member] = []
        self._dirty = asyncio.Event()
        for member in members:
            member.group = name

    def unsettle(self) -> None:
        self._dirty.set()

    async def keep(self) -> None:
        """Restart members that end, and rebalance on `unsettle`; runs until cancelled."""
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(self._keep_alive(member)) for member in self.members]
        tasks.append(loop.create_task(self._keep_sharing()))
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _keep_alive(self, member: Member) -> None:
        swarm = self._bus.swarm
        while True:
            member.begin(swarm.random.uniform(-2.0, 2.0) if swarm.has("clock jumps") else 0.0)
            ready = asyncio.ensure_future(member.ready.wait())
            ended = asyncio.ensure_future(member.ended.wait())
            await asyncio.wait({ready, ended}, return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()
            if member.ready.is_set():
                self._joined.append(member)
                self._dirty.set()
            await ended
            if member.process.crashed_at is not None:
                self._bus.counts[f"crash at {member.process.crashed_at}"] += 1
                self._bus.crashes.append((self.name, len(self._bus.committed)))
            if member in self._joined:
                # Its death is not announced: the session ends, or its next process takes its place at once.
                await asyncio.sleep(swarm.random.choice((0.05, swarm.session_s)))
                self._joined.remove(member)
                self._dirty.set()
            if swarm.happens("lost disks", 0.3):
                member.disk.places.clear()
            await asyncio.sleep(swarm.random.uniform(0.05, 1.0))

    async def _keep_sharing(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await self._share()

    async def _share(self) -> None:
        generation = self._bus.generations[self.name] = self._bus.generations.get(self.name, 0) + 1
        self._bus.counts["rebalances done"] += 1
        reachable = [member for member in self._joined if not member.is_cut_off]
        await self._all_of([member.revoke() for member in reachable])
        reachable = [member for member in reachable if not member.is_cut_off]
        if not reachable:
            return
        shares: dict[Member, list[int]] = {member: [] for member in reachable}
        for partition in range(self._bus.swarm.partitions):
            shares[self._draw.choice(reachable)].append(partition)
        await self._all_of([member.assign(share, generation) for member, share in shares.items()])

    @staticmethod
    async def _all_of(decisions: list[object]) -> None:
        """Wait for all members; one that is late continues on its own."""
        if decisions:
            await asyncio.wait([asyncio.ensure_future(one) for one in decisions], timeout=REVOKE_WAIT_S)  # type: ignore[call-overload]
