"""A toy ledger on the engine: adds amounts to accounts and writes each new balance out. Knows no payment.

Run as a process, so that it can be killed:
`python -m tests.engine.toy BOOTSTRAP PREFIX DATA_DIR INSTANCE STANDBY_REPLICAS`.
It prints `ready <partitions>` whenever it has partitions at work.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from pathlib import Path

import orjson
import uvloop

from clearinghub.engine.app import EngineApp
from clearinghub.engine.config import EngineConfig, Input
from clearinghub.engine.record import Record, TableSpec, View

PARTITIONS = 4
ACCOUNTS = 40
TABLES = ("balances", "counts", "offsets")
BALANCES: TableSpec[int] = TableSpec("balances", orjson.dumps, orjson.loads)
COUNTS: TableSpec[int] = TableSpec("counts", orjson.dumps, orjson.loads)


class PoisonError(Exception):
    """Raised for a record with `poison`."""


def on_add(record: Record, view: View) -> None:
    """Add the record's amount to its account: two rows and one output."""
    order = orjson.loads(record.value)
    if order.get("poison"):
        view.put(BALANCES, order["account"], -1)
        view.emit("out", order["account"], b"never")
        raise PoisonError(order["id"])
    account = order["account"]
    balance = (view.get(BALANCES, account) or 0) + order["amount"]
    view.put(BALANCES, account, balance)
    view.put(COUNTS, order["id"], (view.get(COUNTS, order["id"]) or 0) + 1)
    view.emit("out", account, orjson.dumps({"id": order["id"], "account": account, "balance": balance}))


def toy_config(
    bootstrap: str, prefix: str, data_dir: Path, instance: str = "0", standby_replicas: int = 0
) -> EngineConfig:
    return EngineConfig(
        application_id=prefix + "toy",
        bootstrap=bootstrap,
        partitions=PARTITIONS,
        inputs=(Input("in", on_add),),
        tables=(BALANCES, COUNTS),
        output_partitions={"out": PARTITIONS, "dead": PARTITIONS},
        dead_letter_topic="dead",
        data_dir=data_dir,
        topic_prefix=prefix,
        instance=instance,
        session_timeout_ms=6_000,
        standby_replicas=standby_replicas,
    )


async def run(config: EngineConfig) -> int:
    """Run until SIGTERM, and return the exit code: 1 if the engine failed."""
    app = EngineApp(config)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    app.on_ready.append(lambda: print("ready", *sorted(app.ready_partitions), flush=True))
    app.finalize()
    await app.start()
    waits = {asyncio.create_task(stop.wait()), asyncio.create_task(app.failed.wait())}
    _done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await app.stop()
    return 1 if app.failure is not None else 0


def main() -> None:
    logging.basicConfig(level=logging.WARNING)
    bootstrap, prefix, data_dir, instance, standby_replicas = sys.argv[1:6]
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(run(toy_config(bootstrap, prefix, Path(data_dir), instance, int(standby_replicas)))))


if __name__ == "__main__":
    main()
