"""Rows of table `nets`: each partition's own copy of what the scheme has set, so that a replay decides the same.

That is the settlement models and the feature level. The hub's row has them, on the hub's partition; from there they are
broadcast (ADR 16). The view of participants that every process keeps cannot be used for this: two workers may have two
versions of it.
"""

from __future__ import annotations

from typing import Final

from clearinghub.domain.participants.participant import SettlementModel
from clearinghub.engine.record import View, row_table
from clearinghub.features import FIRST_LEVEL
from clearinghub.rows import Row
from tables.nets import TABLE

KEY: Final = "scheme"


class SchemeCopy(Row, frozen=True, array_like=True):
    """The settlement models and the feature level as of a version of the hub's row."""

    hub_version: int = 0
    models: tuple[SettlementModel, ...] = ()
    feature_level: int = FIRST_LEVEL


SCHEME: Final = row_table(TABLE, SchemeCopy)


def scheme_copy(view: View) -> SchemeCopy:
    """Return this partition's copy, without models before the first broadcast."""
    return view.get(SCHEME, KEY) or SchemeCopy()


def may_write(view: View, level: int) -> bool:
    """Return whether this partition may write what a feature level adds. The one gate for new forms (ADR 26)."""
    return scheme_copy(view).feature_level >= level
