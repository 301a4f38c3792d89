"""Funds in and out. The API takes any such request; what the ledger made of it is what the operator must know."""

from __future__ import annotations

import argparse
from typing import Any, Final
from uuid import uuid4

from clearinghub.domain.money import format_amount
from clearinghub.tools.admin.exits import NotDoneError
from clearinghub.tools.admin.screen import Answer, money
from clearinghub.tools.client.admin import HubNotReadyError
from clearinghub.tools.client.operations import (
    ABORT_FUNDS_OUT,
    COMMIT_FUNDS_OUT,
    RECORD_FUNDS_IN,
    RESERVE_FUNDS_OUT,
    Funds,
    FundsAnswer,
    Operations,
)
from clearinghub.tools.client.responses import SETTLEMENT

# The states in which a request has had its effect, now or when it was sent before.
_DONE_STATES: Final = {
    RECORD_FUNDS_IN: ("COMMITTED",),
    RESERVE_FUNDS_OUT: ("RESERVED", "COMMITTED"),
    COMMIT_FUNDS_OUT: ("COMMITTED",),
    ABORT_FUNDS_OUT: ("ABORTED_REJECTED",),
}
_VERBS: Final = {
    RECORD_FUNDS_IN: "recorded as come in",
    RESERVE_FUNDS_OUT: "reserved to go out",
    COMMIT_FUNDS_OUT: "recorded as gone out",
    ABORT_FUNDS_OUT: "given back",
}


class FundsCommands:
    """One method a command; all raise AdminError, and NotDoneError where the ledger left things as they were."""

    def __init__(self, operations: Operations, chosen: argparse.Namespace) -> None:
        self._operations = operations
        self._chosen = chosen

    async def funds_in(self) -> Answer:
        """Money has come in."""
        return await self._request(RECORD_FUNDS_IN)

    async def funds_out_reserve(self) -> Answer:
        """Money shall go out."""
        return await self._request(RESERVE_FUNDS_OUT)

    async def funds_out_commit(self) -> Answer:
        """It has."""
        return await self._complete(COMMIT_FUNDS_OUT)

    async def funds_out_abort(self) -> Answer:
        """It has not."""
        return await self._complete(ABORT_FUNDS_OUT)

    async def _request(self, action: str) -> Answer:
        chosen = self._chosen
        transfer_id = chosen.transfer_id or str(uuid4())
        funds = Funds(transfer_id, chosen.name, chosen.currency, chosen.amount_units, chosen.reference, chosen.reason)
        try:
            answer = await self._operations.request_funds(action, funds)
        except HubNotReadyError as error:
            hint = f"it may have been recorded; to ask again safely, repeat with --transfer-id {transfer_id}"
            raise HubNotReadyError(f"{error} - {hint}") from error
        return await self._told(action, transfer_id, answer, chosen.amount_units)

    async def _complete(self, action: str) -> Answer:
        chosen = self._chosen
        answer = await self._operations.complete_funds_out(
            action, chosen.name, chosen.currency, chosen.transfer_id, chosen.reason
        )
        return await self._told(action, chosen.transfer_id, answer, None)

    async def _told(self, action: str, transfer_id: str, answer: FundsAnswer, amount_units: int | None) -> Answer:
        """What the ledger did, with the funds as they are now.

        Raises:
            NotDoneError: nothing of what was asked.
        """
        state, is_repeat = answer.state, answer.repeated
        if state is not None and state not in _DONE_STATES[action]:
            because = f": {answer.reason}" if answer.reason else ""
            raise NotDoneError(f"not done: transfer {transfer_id} is {state}{because}")
        if state is None and answer.reason is not None:
            raise NotDoneError(f"not done: {answer.reason} (transfer {transfer_id})")
        name, currency = self._chosen.name, self._chosen.currency
        settlement = await self._operations.account(name, currency, SETTLEMENT)
        document: dict[str, Any] = {
            "transferId": transfer_id,
            "participant": name,
            "currency": currency,
            "action": action,
            "amount": None if amount_units is None else format_amount(amount_units),
            "state": state,
            "repeated": is_repeat,
            "funds": format_amount(-settlement.value_units),
        }
        what = f"{name}: " + (f"{money(amount_units)} {currency} " if amount_units is not None else "")
        verb = "asked for; the hub does not tell the outcome" if state is None else _VERBS[action]
        sentences = [
            f"{what}{'had been ' if is_repeat else ''}{verb}{' before; nothing has changed' if is_repeat else ''}",
            f"transfer id {transfer_id}",
            f"funds now {money(-settlement.value_units)} {currency}",
        ]
        return Answer(document, sentences=sentences)
