"""Rows of table `nets`: each partition's own copy of how the scheme settles, so that a replay decides the same.

The hub's row tells it first, on the hub's partition; from there it is broadcast (ADR 16). The view of the participants
that every process keeps will not do: two workers may have two versions of it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from clearinghub.domain.participants.participant import SettlementModel
from clearinghub.engine.record import TableSpec, View
from tables.nets import TABLE

VERSION: Final = 1
KEY: Final = "scheme"


@dataclass(frozen=True, slots=True)
class SchemeCopy:
    """The settlement models as of a version of the hub's row."""

    hub_version: int = 0
    models: tuple[SettlementModel, ...] = ()


def scheme_fields(row: SchemeCopy) -> dict[str, Any]:
    """The row as JSON types."""
    return {"v": VERSION, "hub_version": row.hub_version, "models": [asdict(model) for model in row.models]}


def scheme_of(fields: dict[str, Any]) -> SchemeCopy:
    """The row in JSON types. Raises ValueError for a shape of another version."""
    if fields.get("v") != VERSION:
        raise ValueError(f"scheme row of version {fields.get('v')!r}")
    return SchemeCopy(fields["hub_version"], tuple(SettlementModel(**model) for model in fields["models"]))


SCHEME: Final[TableSpec[SchemeCopy]] = TableSpec(
    TABLE,
    lambda row: json.dumps(scheme_fields(row), separators=(",", ":")).encode(),
    lambda data: scheme_of(json.loads(data)),
)


def scheme_copy(view: View) -> SchemeCopy:
    """What this partition knows of the scheme."""
    return view.get(SCHEME, KEY) or SchemeCopy()
