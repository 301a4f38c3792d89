"""Runs one seed of the simulation, and judges it."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from tests.simulation.checks import check, wrong_end
from tests.simulation.loop import EndlessError, NothingLeftError, SimulatedLoop
from tests.simulation.swarm import Swarm
from tests.simulation.world import World


@dataclass
class Run:
    """What came of a run: its counts, its faults, its problem if it failed, and the hash of all that was written."""

    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    faults: frozenset[str] = frozenset()
    problem: str | None = None
    digest: str = ""


TURNS_TO_END = 4  # turns of the loop that cancelled tasks get to end


def simulate(seed: int) -> Run:
    """Run a seed. `problem` of the result is None if everything was right."""
    run = Run(seed)
    swarm = Swarm(seed, run.counts)
    run.faults = swarm.faults
    loop = SimulatedLoop()

    async def live() -> World:
        world = World(swarm, run.counts)
        try:
            await world.live()
            check(world)
        except AssertionError as error:
            run.problem = (
                wrong_end(world) or str(error) or repr(error)
            )  # a process that ended wrongly is the cause of what waits
        except Exception as error:  # noqa: BLE001 - whatever it is, the seed has failed
            run.problem = repr(error)
        return world

    try:
        world = loop.run_until_complete(live())
        run.digest = world.digest()
    except (NothingLeftError, EndlessError) as error:
        run.problem = f"liveness: {error!r}"
    finally:
        abandon(loop)
    return run


def abandon(loop: SimulatedLoop) -> None:
    """Cancel all tasks of a run and close its loop."""
    loop.set_exception_handler(lambda _loop, _context: None)
    for task in asyncio.all_tasks(loop):
        task.cancel()
    for _ in range(TURNS_TO_END):
        loop.call_soon(loop.stop)
        loop.run_forever()
    loop.close()
