"""Table `settlement`: windows, what they hold, and settlements, all on the coordinator's partition.

Rows of several types share one store, distinguished by the first part of their keys: each store has a cost on every
partition, and only the partition of the hub's name has any of these rows.
"""

from __future__ import annotations

from typing import Final

import msgspec

from clearinghub.domain.settlement.netting import ContentNets, NettingGroup
from clearinghub.domain.settlement.settlement import AccountResult, Settlement
from clearinghub.domain.settlement.window import Window
from clearinghub.engine.record import row_table
from clearinghub.rows import Row

TABLE: Final = "settlement"


class WaitingCommand(msgspec.Struct, frozen=True, array_like=True):
    """A command whose reply waits for accounts to move: who waits, for which accounts, and the results so far."""

    correlation_id: str
    reply_to: str
    accounts: tuple[int, ...]
    results: tuple[AccountResult, ...]


class WaitingCommands(Row, frozen=True, array_like=True):
    """The commands of one settlement whose replies wait."""

    commands: tuple[WaitingCommand, ...] = ()


class ReportedGroups(Row, frozen=True, array_like=True):
    """The netting groups that were reported so far of a window that is not closed yet."""

    netting_groups: tuple[NettingGroup, ...] = ()


def window_key(window_id: int) -> str:
    """Return the key of a window; keys sort by number."""
    return f"window/{window_id:012d}"


def settlement_key(settlement_id: int) -> str:
    """Return the key of a settlement; keys sort by number."""
    return f"settlement/{settlement_id:012d}"


def content_key(window_id: int, netting_group: NettingGroup) -> str:
    """Return the key of a content's nets."""
    return "/".join(("content", str(window_id), *netting_group))


def reported_groups_key(window_id: int) -> str:
    """Return the key of the netting groups that were reported of a window."""
    return f"netting_groups/{window_id}"


def waiting_key(settlement_id: int) -> str:
    """Return the key of a settlement's waiting commands."""
    return f"waiting/{settlement_id}"


SETTLEMENT_WINDOWS: Final = row_table(TABLE, Window)
CONTENTS: Final = row_table(TABLE, ContentNets)
SETTLEMENTS: Final = row_table(TABLE, Settlement)
WAITING: Final = row_table(TABLE, WaitingCommands)
REPORTED_GROUPS: Final = row_table(TABLE, ReportedGroups)
