"""The command on callbacks: what waits for each receiver, worker by worker (docs/operators.md)."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from clearinghub.config import Settings
from clearinghub.tools.client.admin import AdminClient
from clearinghub.tools.client.operations import Operations
from clearinghub.tools.command_line import App
from clearinghub.tools.options import base_url
from clearinghub.tools.screen import Answer, Column
from clearinghub.tools.session import EXITS, Hub, on_hub

_COLUMNS: Final = (
    Column("worker"),
    Column("receiver"),
    Column("breaker"),
    Column("waiting", is_number=True),
    Column("in flight", is_number=True),
    Column("parked", is_number=True),
    Column("bytes parked", is_number=True),
    Column("oldest parked, s", is_number=True),
)

_callbacks = App(
    "Callbacks that wait for their receivers.",
    noun="VERB",
    examples=["admin callbacks list", "admin callbacks list --worker http://callbacks-0:4003"],
    exits=EXITS,
)
NOUNS: Final = {"callbacks": _callbacks}


@_callbacks.add("list")
@on_hub
async def list_receivers(
    _hub: Hub,
    *,
    worker: Annotated[
        list[str] | None,
        typer.Option(
            "--worker",
            metavar="URL",
            parser=base_url,
            help="A callbacks worker; may be repeated. Without it this machine's.",
        ),
    ] = None,
) -> Answer:
    """List what waits, is parked, and whether the breaker is open, for each receiver of each worker."""
    rows, documents = [], []
    for url in worker or [f"http://127.0.0.1:{Settings().callbacks_port}"]:
        async with AdminClient(url) as client:
            found = await Operations(client).callbacks_worker()
        documents.append(found.document())
        for one in found.receivers:
            numbers = (one.waiting, one.in_flight, one.parked, one.parked_bytes, one.oldest_parked_s)
            rows.append((found.instance, one.receiver, one.breaker, *map(str, numbers)))
    return Answer(documents, _COLUMNS, rows, () if rows else ("No callbacks wait.",))
