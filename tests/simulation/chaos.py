"""When which fault strikes, while the faults last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.simulation.bus import Bus
from tests.simulation.dfsps import Dfsps
from tests.simulation.group import Group
from tests.simulation.swarm import CALLBACK_CRASH_POINTS, CRASH_POINTS
from tests.simulation.workers import LedgerMember, Member

PAUSE_S = 0.25  # from one strike to the next, on average
SELDOM_REACHED = ("deciding lines",) * 4  # only a large bulk comes there
AT_ONCE = ("fencing", "recovering", "recovered")  # a process reaches these when it begins


class Chaos:
    """Strikes at random until stopped."""

    def __init__(self, bus: Bus, groups: list[Group], dfsps: Dfsps) -> None:
        self._bus = bus
        self._swarm = bus.swarm
        self._draw = bus.swarm.random
        self._groups = groups
        self._dfsps = dfsps

    async def keep_striking(self) -> None:
        """Until cancelled."""
        strikes: list[tuple[str, Callable[[], None]]] = [
            ("crashes", self._crash),
            ("crashes", self._crash),
            ("rebalances", self._rebalance),
            ("zombies", self._deafen),
            ("stalled topics", self._stall),
            ("clock jumps", self._jump),
            ("failing callbacks", self._take_down),
            ("unreadable records", self._write_nonsense),
        ]
        while True:
            await asyncio.sleep(self._draw.expovariate(1 / PAUSE_S))
            name, strike = self._draw.choice(strikes)
            if self._swarm.happens(name, 1.0):
                strike()

    def heal(self) -> None:
        """Undo what would last."""
        self._bus.wall_offset_s = 0.0
        self._dfsps.down_until_s.clear()
        for group in self._groups:
            for member in group.members:
                member.is_deaf = False
                member.crash_at = None
                member.process.disarm()
                member.process.wall_offset_s = 0.0
            group.unsettle()

    def _member(self) -> tuple[Group, Member]:
        group = self._draw.choice(self._groups)
        return group, self._draw.choice(list(group.members))

    def _crash(self) -> None:
        """At once, or at a point that the process will come to."""
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

    def _deafen(self) -> None:
        """A worker hears nothing of the group: others get its partitions, and it works on."""
        group, member = self._member()
        member.is_deaf = True
        group.unsettle()

        def hear_again() -> None:
            member.is_deaf = False
            group.unsettle()

        seconds = self._draw.uniform(0.3, 3 * self._swarm.session_s)
        asyncio.get_running_loop().call_later(seconds, hear_again)

    def _stall(self) -> None:
        place = self._draw.choice(list(self._bus.logs))
        self._bus.stall(place, self._draw.uniform(0.1, 3.0))

    def _jump(self) -> None:
        """The broker's clock by a little, a worker's by anything."""
        if self._swarm.chance(0.5):
            self._bus.wall_offset_s = self._draw.uniform(-2.0, 2.0)
        else:
            self._member()[1].process.wall_offset_s += self._draw.choice((-600.0, -5.0, -1.0, 1.0, 5.0, 600.0))

    def _take_down(self) -> None:
        """A DFSP answers nobody for a while."""
        name = self._draw.choice(self._dfsps.names)
        self._dfsps.down_until_s[name] = asyncio.get_running_loop().time() + self._draw.uniform(0.5, 5.0)

    def _write_nonsense(self) -> None:
        inputs = (
            "prepare",
            "fulfil",
            "credit",
            "settlement",
            "command",
            "lookup",
            "timeout",
            "bulk-prepare",
            "bulk-fulfil",
        )
        topic = self._draw.choice((*inputs, "notification"))
        partition = self._draw.randrange(self._swarm.partitions)
        value = self._draw.choice((b"", b"nonsense", b"{}\n", b'{"v":1,"kind":"nonsense"}\n', b"[]\nbody"))
        self._bus.append(topic, partition, b"nobody", value)
