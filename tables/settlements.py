"""Table `settlement`: windows, what they hold, and settlements, all on the coordinator's partition.

Rows of several kinds share one store, told apart by the first part of their keys: a store has its price on every
partition, and only the partition of the hub's name has any of these rows.
"""

from __future__ import annotations

from typing import Final

import msgspec
import orjson

from clearinghub.domain.settlement.creation import ContentNets
from clearinghub.domain.settlement.fields import (
    content_fields,
    content_of,
    settlement_fields,
    settlement_of,
    window_fields,
    window_of,
)
from clearinghub.domain.settlement.netting import NettingGroup
from clearinghub.domain.settlement.progress import AccountResult
from clearinghub.domain.settlement.settlement import Settlement
from clearinghub.domain.settlement.window import Window
from clearinghub.engine.record import TableSpec, row_table
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


def window_key(window_id: int) -> str:
    """The key of a window; in the order of their numbers."""
    return f"window/{window_id:012d}"


def settlement_key(settlement_id: int) -> str:
    """The key of a settlement; in the order of their numbers."""
    return f"settlement/{settlement_id:012d}"


def content_key(window_id: int, netting_group: NettingGroup) -> str:
    """The key of a content's nets."""
    return "/".join(("content", str(window_id), *netting_group))


def netting_groups_key(window_id: int) -> str:
    """The key of what was reported of a window that is not closed yet."""
    return f"netting_groups/{window_id}"


def waiting_key(settlement_id: int) -> str:
    """The key of the commands whose answer waits until accounts on other partitions were moved."""
    return f"waiting/{settlement_id}"


SETTLEMENT_WINDOWS: Final[TableSpec[Window]] = TableSpec(
    TABLE, lambda row: orjson.dumps(window_fields(row)), lambda data: window_of(orjson.loads(data))
)
CONTENTS: Final[TableSpec[ContentNets]] = TableSpec(
    TABLE, lambda row: orjson.dumps(content_fields(row)), lambda data: content_of(orjson.loads(data))
)
SETTLEMENTS: Final[TableSpec[Settlement]] = TableSpec(
    TABLE, lambda row: orjson.dumps(settlement_fields(row)), lambda data: settlement_of(orjson.loads(data))
)
WAITING: Final = row_table(TABLE, WaitingCommands)
NETTING_GROUPS: Final[TableSpec[list[list[str]]]] = TableSpec(TABLE, orjson.dumps, orjson.loads)
