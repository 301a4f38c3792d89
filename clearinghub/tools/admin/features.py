"""The commands on feature levels: what the hub may write, and which releases run (docs/operators.md)."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from clearinghub.tools.client.responses import Features
from clearinghub.tools.command_line import App
from clearinghub.tools.options import number
from clearinghub.tools.screen import Answer, Column
from clearinghub.tools.session import EXITS, Hub, on_hub

_LEVEL_COLUMNS: Final = (Column("level", is_number=True), Column("in force"), Column("release"), Column("adds"))
_RAISE_COLUMNS: Final = (Column("level", is_number=True), Column("raised"), Column("reason"))
_PROCESS_COLUMNS: Final = (
    Column("role"),
    Column("instance"),
    Column("release"),
    Column("highest level", is_number=True),
)

_features = App(
    "Feature levels: what the hub may write, and which releases run.",
    noun="VERB",
    examples=["admin features list", "admin features raise 2 --reason 'all run 1.1.0'"],
    exits=EXITS,
)
NOUNS: Final = {"features": _features}


@_features.add("list")
@on_hub
async def list_features(hub: Hub) -> Answer:
    """List the levels, and every process with its release."""
    return _answer(await hub.operations.features())


@_features.add("raise")
@on_hub
async def raise_level(
    hub: Hub,
    level: Annotated[int, typer.Argument(metavar="LEVEL", parser=number, help="The level; it is never lowered.")],
    *,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Kept with it, up to 512 characters.")],
) -> Answer:
    """Let the hub write what a level adds. There is no way back to a release before it."""
    return _answer(await hub.operations.raise_features(level, reason))


def _answer(features: Features) -> Answer:
    levels = [
        (str(one.level), "yes" if one.level <= features.level else "no", one.release, one.adds)
        for one in features.levels
    ]
    raised = [(str(one.level), one.at, one.reason) for one in features.raised]
    processes = [(one.role, one.instance, one.release, str(one.highest_level)) for one in features.processes]
    more = [Answer(None, _PROCESS_COLUMNS, processes, title="processes")]
    if raised:
        more.insert(0, Answer(None, _RAISE_COLUMNS, raised, title="raised"))
    return Answer(features.model_dump(by_alias=True), _LEVEL_COLUMNS, levels, more=more)
