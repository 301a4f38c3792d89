"""The command on partitions: who has them, what they do, and why some are stopped (docs/operators.md)."""

from __future__ import annotations

from typing import Final

from clearinghub.tools.command_line import App
from clearinghub.tools.screen import Answer, Column
from clearinghub.tools.session import EXITS, Hub, on_hub

_COLUMNS: Final = (
    Column("partition", is_number=True),
    Column("state"),
    Column("since"),
    Column("oldest waiting"),
    Column("opened again", is_number=True),
    Column("worker"),
)
_STOP_COLUMNS: Final = (Column("partition", is_number=True), Column("code"), Column("since"), Column("id"))

_partitions = App(
    "Partitions of the ledger: who has them, and why some are stopped.",
    noun="VERB",
    examples=["admin partitions list"],
    exits=EXITS,
)
NOUNS: Final = {"partitions": _partitions}


@_partitions.add("list")
@on_hub
async def list_partitions(hub: Hub) -> Answer:
    """List every partition, and for each stop what is wrong and what can be done."""
    found = await hub.operations.partitions()
    rows = [
        (
            str(one.partition),
            one.state,
            one.since or "",
            one.oldest_waiting or "",
            str(one.reopenings),
            one.worker or "",
        )
        for one in found
    ]
    more = [
        Answer(
            None,
            _STOP_COLUMNS,
            [(str(one.partition), stop.code, stop.since, stop.id)],
            (stop.sentence, stop.remedy),
            title="stopped",
        )
        for one in found
        for stop in one.stops
    ]
    return Answer([one.document() for one in found], _COLUMNS, rows, more=more)
