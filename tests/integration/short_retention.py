"""The role `ledger` that keeps finished transfers for less than the settings allow, so that a test can wait for it.

Run as a process: `python -m tests.integration.short_retention`, with the settings of the role.
"""

from __future__ import annotations

import asyncio
from typing import Final

from clearinghub.config import Settings
from clearinghub.kafka.topology import ensure_topics, load_topology
from clearinghub.logs import set_up_logs
from clearinghub.roles.ledger import run_ledger

RETENTION_S: Final = 2


async def main() -> None:
    """Run the role until SIGTERM, on a broker that answers."""
    settings = Settings().model_copy(update={"transfer_retention_s": RETENTION_S})
    set_up_logs(settings, "ledger")
    await ensure_topics(settings, load_topology())
    await run_ledger(settings)


if __name__ == "__main__":
    asyncio.run(main())
