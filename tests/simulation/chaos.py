"""Injects the faults that come from outside the code: crashes, rebalances, stalls, clock jumps, dead DFSPs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.simulation.bus import Bus
from tests.simulation.dfsps import Dfsps
from tests.simulation.group import Group
from tests.simulation.swarm import CALLBACK_CRASH_POINTS, CRASH_POINTS
from tests.simulation.workers import LedgerMember, Member

PAUSE_S = 0.25  # from one strike to the next, on average
SELDOM_REACHED = ("deciding items",) * 4  # only a large bulk reaches this point
AT_ONCE = ("fencing", "recovering", "recovered")  # a process reaches these points when it starts


class Chaos:
    """Injects a fault at random, every `PAUSE_S` on average."""

    def __init__(self, bus: Bus, groups: list[Group], dfsps: Dfsps) -> None:
        self._bus = bus
        self._swarm = bus.swarm
        self._draw = bus.swarm.random
        self._groups = groups
        self._dfsps = dfsps

    async def keep_striking(self) -> None:
        strikes: list[tuple[str, Callable[[], None]]] = [
            ("crashes", self._crash),
            ("crashes", self._crash),
            ("rebalances", self._rebalance),
            ("zombies", self._cut_off),
            ("stalled topics", self._stall),
            ("unavailable partitions", self._make_unavailable),
            ("stalled fulfils", self._stall_fulfils),
            ("clock jumps", self._jump),
            ("failing callbacks", self._take_down),
            ("slow receivers", self._slow_down),
            ("unreadable records", self._write_nonsense),
        ]
        while True:
            await asyncio.sleep(self._draw.expovariate(1 / PAUSE_S))
            name, strike = self._draw.choice(strikes)
            if self._swarm.happens(name, 1.0):
                strike()

    def heal(self) -> None:
        """Undo every fault that would last: clocks, dead DFSPs, cut off workers, planned crashes."""
        self._bus.wall_offset_s = 0.0
        self._bus.unavailable_until_s.clear()
        self._dfsps.down_until_s.clear()
        self._dfsps.slow_until_s.clear()
        for group in self._groups:
            for member in group.members:
                member.is_cut_off = False
                member.crash_at = None
                member.process.disarm()
                member.process.wall_offset_s = member.apart_s
            group.unsettle()

    def _member(self) -> tuple[Group, Member]:
        group = self._draw.choice(self._groups)
        return group, self._draw.choice(list(group.members))

    def _crash(self) -> None:
        """Kill a process at once, or when it next reaches a point."""
        _group, member = self._member()
        points = (*CRASH_POINTS, *SELDOM_REACHED) if isinstance(member, LedgerMember) else CALLBACK_CRASH_POINTS
        point = self._draw.choice((*points, "any"))
        count = self._draw.choice((1, 1, 2, 3, 7))
        if point == "any":
            member.process.kill()
        elif point in AT_ONCE:
            member.crash_at = (point, min(count, 2))
            member.process.kill()
        else:
            member.process.arm(point, count)

    def _rebalance(self) -> None:
        group, member = self._member()
        if self._swarm.chance(0.5):
            group.unsettle()
        else:
            self._bus.counts["orderly stops"] += 1
            asyncio.get_running_loop().create_task(member.stop())

    def _cut_off(self) -> None:
        """Cut a worker off from its group for a time: others get its partitions while it continues to work."""
        group, member = self._member()
        member.is_cut_off = True
        group.unsettle()

        def reconnect() -> None:
            member.is_cut_off = False
            group.unsettle()

        seconds = self._draw.uniform(0.3, 3 * self._swarm.session_s)
        asyncio.get_running_loop().call_later(seconds, reconnect)

    def _stall(self) -> None:
        place = self._draw.choice(list(self._bus.logs))
        self._bus.stall(place, self._draw.uniform(0.1, 3.0))

    def _make_unavailable(self) -> None:
        """Let a partition's number take no records for some seconds, in all topics."""
        partition = self._draw.randrange(self._swarm.partitions)
        seconds = self._draw.uniform(0.5, 5.0)
        self._bus.unavailable_until_s[partition] = asyncio.get_running_loop().time() + seconds

    def _stall_fulfils(self) -> None:
        """Let a partition read its reminders long before its fulfils, as after an outage of one broker."""
        partition = self._draw.randrange(self._swarm.partitions)
        self._bus.stall(("fulfil", partition), self._draw.uniform(2.0, 6.0))

    def _jump(self) -> None:
        """Move the broker's clock by seconds, or a worker's by up to ten minutes."""
        if self._swarm.chance(0.5):
            self._bus.wall_offset_s = self._draw.uniform(-2.0, 2.0)
        else:
            self._member()[1].process.wall_offset_s += self._draw.choice((-600.0, -5.0, -1.0, 1.0, 5.0, 600.0))

    def _take_down(self) -> None:
        """Let a DFSP refuse all connections for a time."""
        name = self._draw.choice(self._dfsps.names)
        self._dfsps.down_until_s[name] = asyncio.get_running_loop().time() + self._draw.uniform(0.5, 5.0)

    def _slow_down(self) -> None:
        """Let a DFSP answer late for a time."""
        name = self._draw.choice(self._dfsps.names)
        until_s = asyncio.get_running_loop().time() + self._draw.uniform(0.5, 8.0)
        self._dfsps.slow_until_s[name] = until_s, self._draw.choice((0.3, 2.0))

    def _write_nonsense(self) -> None:
        # Not to topics that only the ledger writes: such a record would stop its input for good (ADR 25). And not of an
        # unknown kind: it would stop the partition, as a message of a later release must (ADR 26).
        inputs = ("prepare", "fulfil", "command", "lookup", "bulk-prepare", "bulk-fulfil")
        topic = self._draw.choice((*inputs, "notification", "parked"))
        partition = self._draw.randrange(self._swarm.partitions)
        value = self._draw.choice((b"", b"nonsense", b"{}\n", b'{"v":1,"kind":7}\n', b"[]\nbody"))
        self._bus.append(topic, partition, b"nobody", value)
