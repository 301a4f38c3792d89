"""Commands of the settlement API, on the partition of the hub's name (protocol 9.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import orjson

from agents.settlement.settlements import Answer, abort_settlement, advance_settlement, create_settlement
from agents.settlement.windows import close_window
from agents.turn import Turn
from clearinghub.domain.errors import Rejection
from clearinghub.domain.settlement.fields import window_fields
from clearinghub.messages.commands import (
    AbortSettlement,
    AdvanceSettlement,
    CloseWindow,
    Command,
    CommandMessage,
    CreateSettlement,
    WindowResult,
)


def _close_window(turn: Turn, _message: CommandMessage, command: CloseWindow) -> Answer:
    opened = close_window(turn.view, command.window, command.reason, turn.now_ms)
    return opened if isinstance(opened, Rejection) else WindowResult(msgspec.Raw(orjson.dumps(window_fields(opened))))


SETTLEMENT_COMMANDS: Final[Mapping[type[Command], Callable[[Turn, CommandMessage, Any], Answer | None]]] = {
    CloseWindow: _close_window,
    CreateSettlement: create_settlement,
    AdvanceSettlement: advance_settlement,
    AbortSettlement: abort_settlement,
}
"""A handler returns None where the reply follows later, when accounts on other partitions have moved."""
