"""The commands on approvals: what waits for a second operator (docs/security.md)."""

from __future__ import annotations

import json
from typing import Annotated, Final

import typer

from clearinghub.tools.command_line import App
from clearinghub.tools.screen import Answer, Column
from clearinghub.tools.session import EXITS, Hub, on_hub

_COLUMNS: Final = (
    Column("id"),
    Column("participant"),
    Column("command"),
    Column("arguments"),
    Column("by"),
    Column("valid until"),
)

Id = Annotated[str, typer.Argument(metavar="ID", help="As `approvals list` shows it.")]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Kept with it, up to 512 characters.")]

_approvals = App(
    "Commands that wait for a second operator.",
    noun="VERB",
    examples=[
        "admin approvals list",
        "admin approvals approve 7a9d2f5e-0c52-4a53-8a37-7f2f7f0b5c11 --reason 'checked with the bank'",
    ],
    exits=EXITS,
)
NOUNS: Final = {"approvals": _approvals}


@_approvals.add("list")
@on_hub
async def list_approvals(hub: Hub) -> Answer:
    """List what waits, with who has requested it."""
    found = await hub.operations.approvals()
    rows = [
        (
            one.approval_id,
            one.participant,
            one.command,
            json.dumps(one.arguments, default=str),
            one.by,
            one.valid_until,
        )
        for one in found
    ]
    return Answer([one.document() for one in found], _COLUMNS, rows, () if rows else ("Nothing waits.",))


@_approvals.add("approve")
@on_hub
async def approve(hub: Hub, approval: Id, *, reason: Why) -> Answer:
    """Run what another operator has requested."""
    await hub.operations.decide_approval(approval, "approve", reason)
    return Answer({"id": approval, "decision": "approve"}, sentences=["approved and done"])


@_approvals.add("reject")
@on_hub
async def reject(hub: Hub, approval: Id, *, reason: Why) -> Answer:
    """Drop what waits; whoever has requested it may do so too."""
    await hub.operations.decide_approval(approval, "reject", reason)
    return Answer({"id": approval, "decision": "reject"}, sentences=["dropped"])
