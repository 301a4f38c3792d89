"""Commands of settlements whose replies wait until the accounts that they name have moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from agents.posting import emit_reply
from agents.settlement.settlements import settlement_result
from clearinghub.domain.settlement.settlement import AccountResult, Settlement
from clearinghub.engine.record import View
from clearinghub.messages.commands import CommandMessage
from tables.settlements import RESULTS, WAITING, CommandResults, WaitingCommand, results_key, waiting_key

WAITING_MAX: Final = 100  # commands of one settlement whose replies wait
RESULTS_BYTES_MAX: Final = 4 * 1024 * 1024  # of one of them, which is a row; a record may have 7 MiB


def has_room(settlement: Settlement, results: Sequence[AccountResult]) -> bool:
    """Return whether one more command with these results may wait."""
    size = len(RESULTS.encode(CommandResults(tuple(results))))
    return settlement.commands_waiting < WAITING_MAX and size <= RESULTS_BYTES_MAX


def wait(
    view: View, settlement: Settlement, message: CommandMessage, left: int, results: Sequence[AccountResult]
) -> Settlement:
    """Let a command wait, under the number that comes next, for `left` accounts; return the settlement after that."""
    number = settlement.commands + 1
    waiting = WaitingCommand(message.correlation_id, message.reply_to, left)
    view.put(WAITING, waiting_key(settlement.settlement_id, number), waiting)
    view.put(RESULTS, results_key(settlement.settlement_id, number), CommandResults(tuple(results)))
    return replace(settlement, commands=number, commands_waiting=settlement.commands_waiting + 1)


def change_left(view: View, settlement: Settlement, number: int, change: int) -> Settlement:
    """Change for how many accounts a command waits; reply if there is none left. Return the settlement after that.

    The settlement and its accounts are stored already as the reply is to show them.
    """
    key = waiting_key(settlement.settlement_id, number)
    waiting = view.get(WAITING, key)
    assert waiting is not None, f"command {number} of settlement {settlement.settlement_id} does not wait"
    left = waiting.left + change
    assert left >= 0
    if left:
        view.put(WAITING, key, replace(waiting, left=left))
        return settlement
    results = view.get(RESULTS, results_key(settlement.settlement_id, number))
    assert results is not None
    emit_reply(view, waiting, settlement_result(view, settlement, results.results))
    view.delete(WAITING, key)
    view.delete(RESULTS, results_key(settlement.settlement_id, number))
    return replace(settlement, commands_waiting=settlement.commands_waiting - 1)
