"""The index from a command of the settlement API to its handler, on the coordinator's partition (protocol 9.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from agents.settlement.closing import close_window
from agents.settlement.creation import create_settlement
from agents.settlement.progress import abort_settlement, advance_settlement
from agents.settlement.settlements import Answer
from agents.turn import Turn
from clearinghub.domain.errors import Rejection
from clearinghub.messages.commands import (
    AbortSettlement,
    AdvanceSettlement,
    CloseWindow,
    Command,
    CommandMessage,
    CreateSettlement,
    WindowResult,
)
from clearinghub.rows import encode_row


def _close_window(turn: Turn, _message: CommandMessage, command: CloseWindow) -> Answer:
    opened = close_window(turn.view, command.window, command.reason, turn.now_ms)
    return opened if isinstance(opened, Rejection) else WindowResult(msgspec.Raw(encode_row(opened)))


SETTLEMENT_COMMANDS: Final[Mapping[type[Command], Callable[[Turn, CommandMessage, Any], Answer | None]]] = {
    CloseWindow: _close_window,
    CreateSettlement: create_settlement,
    AdvanceSettlement: advance_settlement,
    AbortSettlement: abort_settlement,
}
"""A handler returns None if the reply follows later, when accounts on other partitions have moved."""
