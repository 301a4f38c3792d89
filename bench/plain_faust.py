"""The job of tests/engine/toy.py as Faust's tutorial would write it, for comparison; `bench.engine` starts it."""

from __future__ import annotations

import sys
from typing import Any

import faust
from mode import Worker

from tests.engine.toy import PARTITIONS


def main() -> None:
    """Run the worker; the arguments are those of tests/engine/toy.py."""
    bootstrap, prefix, data_dir = sys.argv[1:4]
    app = faust.App(
        prefix + "plain",
        broker=f"kafka://{bootstrap}",
        store="rocksdb://",
        datadir=data_dir,
        web_enabled=False,
        topic_partitions=PARTITIONS,
        consumer_auto_offset_reset="earliest",
        value_serializer="json",
        key_serializer="raw",
    )
    source = app.topic(prefix + "in", key_type=bytes, partitions=PARTITIONS)
    output = app.topic(prefix + "out", key_type=bytes, partitions=PARTITIONS)
    balances = app.Table("balances", default=int, partitions=PARTITIONS)
    counts = app.Table("counts", default=int, partitions=PARTITIONS)

    @app.agent(source)  # type: ignore[untyped-decorator]
    async def add(orders: Any) -> None:
        async for order in orders:
            account = order["account"]
            balances[account] += order["amount"]
            counts[order["id"]] += 1
            await output.send(key=account.encode(), value={"id": order["id"], "balance": balances[account]})

    app.finalize()
    app.in_worker = True
    Worker(app, loglevel="ERROR").execute_from_commandline()


if __name__ == "__main__":
    main()
