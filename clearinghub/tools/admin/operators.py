"""The commands on operators: who steers the hub, in which roles (docs/security.md)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from clearinghub.security.key_files import KeyFileError
from clearinghub.security.roles import Role
from clearinghub.tools.client.responses import Operator
from clearinghub.tools.command_line import App
from clearinghub.tools.options import one_of, participant_name
from clearinghub.tools.screen import Answer, Column
from clearinghub.tools.session import EXITS, Hub, on_hub

_COLUMNS: Final = (Column("operator"), Column("roles"), Column("key"), Column("changed"), Column("by"))

OperatorName = Annotated[
    str, typer.Argument(metavar="NAME", parser=participant_name, help="The name in the operator's certificate.")
]

_operators = App(
    "Operators: who steers the hub, in which roles.",
    noun="VERB",
    examples=[
        "admin operators list",
        "admin operators set carol --role treasury --certificate carol.pem",
        "admin operators remove carol",
    ],
    exits=EXITS,
)
NOUNS: Final = {"operators": _operators}


@_operators.add("list")
@on_hub
async def list_operators(hub: Hub) -> Answer:
    """List the operators that have been appointed, with their roles."""
    return _answer(await hub.operations.operators())


@_operators.add("set")
@on_hub
async def set_operator(
    hub: Hub,
    name: OperatorName,
    *,
    role: Annotated[list[str], typer.Option("--role", help="May be repeated.", **one_of(*(one.value for one in Role)))],
    certificate: Annotated[
        Path, typer.Option("--certificate", metavar="FILE", help="The certificate, whose key counts from now on.")
    ],
) -> Answer:
    """Appoint an operator, or replace roles and key. Nobody changes their own."""
    try:
        pem = certificate.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{certificate}: {getattr(error, 'strerror', None) or 'no text'}") from error
    return _answer([await hub.operations.set_operator(name, role, pem)])


@_operators.add("remove")
@on_hub
async def remove_operator(hub: Hub, name: OperatorName) -> Answer:
    """Remove an operator, whose next request is refused."""
    await hub.operations.remove_operator(name)
    return _answer(await hub.operations.operators())


def _answer(operators: Sequence[Operator]) -> Answer:
    rows = [
        (one.name, ", ".join(one.roles), one.key, one.changed_at, one.changed_by or "nobody known") for one in operators
    ]
    return Answer([one.document() for one in operators], _COLUMNS, rows, () if rows else ("Nobody is appointed.",))
