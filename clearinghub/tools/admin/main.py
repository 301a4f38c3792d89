"""`clearinghub admin NOUN VERB ...`: what operators do daily, over the hub's admin API."""

from __future__ import annotations

from clearinghub.tools.admin import (
    approvals,
    callbacks,
    features,
    funds,
    operators,
    participants,
    partitions,
    settlement,
)
from clearinghub.tools.command_line import App
from clearinghub.tools.session import EXITS, remember_options

app = App(
    "What operators do daily, over the hub's admin API.",
    noun="NOUN VERB",
    examples=[
        "admin positions list",
        "admin limits set alphabank USD 12000 --alarm 25",
        "admin funds in alphabank USD 2500.25",
        "admin windows close --reason 'end of day'",
        "admin participants list --json",
    ],
    exits=EXITS,
)
app.callback()(remember_options)
for _part in (participants, funds, settlement, features, callbacks, partitions, operators, approvals):
    for _name, _noun in _part.NOUNS.items():
        app.add_typer(_noun, name=_name)
