"""The commands on funds in and out.

The API accepts every such request with 202; what the ledger made of it is what the operator must know.
"""

from __future__ import annotations

from typing import Annotated, Any, Final
from uuid import uuid4

import typer

from clearinghub.domain.money import format_amount
from clearinghub.tools.client.admin import HubNotReadyError
from clearinghub.tools.client.operations import (
    ABORT_FUNDS_OUT,
    COMMIT_FUNDS_OUT,
    RECORD_FUNDS_IN,
    RESERVE_FUNDS_OUT,
    Funds,
    FundsAnswer,
)
from clearinghub.tools.client.responses import SETTLEMENT
from clearinghub.tools.command_line import App
from clearinghub.tools.options import Currency, Name, amount_units, transfer_id
from clearinghub.tools.screen import Answer, money
from clearinghub.tools.session import EXITS, Hub, NotDoneError, on_hub

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
_REPEAT: Final = "To repeat a request safely; a new one, if not given."

_out = App(
    "Money that goes out: reserve it, then commit or abort.",
    noun="STEP",
    examples=[
        "admin funds out reserve alphabank USD 500",
        "admin funds out commit alphabank USD 5f2c5a2e-3c0b-4b5e-9a71-3e4d2c1b0a99",
    ],
    exits=EXITS,
)
_funds = App(
    "Money that comes into or leaves the scheme's bank account.",
    noun="VERB",
    examples=[
        "admin funds in alphabank USD 2500.25 --reference 'statement 7, line 3'",
        "admin funds out reserve alphabank USD 500",
    ],
    exits=EXITS,
)
NOUNS: Final = {"funds": _funds}

Amount = Annotated[
    int, typer.Argument(metavar="AMOUNT", parser=amount_units, help="In currency units, up to four decimals.")
]
TransferId = Annotated[str | None, typer.Option("--transfer-id", metavar="ID", parser=transfer_id, help=_REPEAT)]
ReservedId = Annotated[str, typer.Argument(metavar="ID", parser=transfer_id, help="The id that `reserve` printed.")]
Reference = Annotated[str, typer.Option("--reference", metavar="TEXT", help="The bank's, up to 128 characters.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="For the hub's log, up to 512 characters.")]


@_funds.add("in")
@on_hub
async def funds_in(
    hub: Hub,
    name: Name,
    currency: Currency,
    amount: Amount,
    transfer_id: TransferId = None,
    reference: Reference = "clearinghub admin",
    reason: Reason = "operator",
) -> Answer:
    """Record money that has come in."""
    funds = Funds(transfer_id or str(uuid4()), name, currency, amount, reference, reason)
    return await _request(hub, RECORD_FUNDS_IN, funds)


@_out.add("reserve")
@on_hub
async def reserve(
    hub: Hub,
    name: Name,
    currency: Currency,
    amount: Amount,
    transfer_id: TransferId = None,
    reference: Reference = "clearinghub admin",
    reason: Reason = "operator",
) -> Answer:
    """Hold money back until it is paid."""
    funds = Funds(transfer_id or str(uuid4()), name, currency, amount, reference, reason)
    return await _request(hub, RESERVE_FUNDS_OUT, funds)


@_out.add("commit")
@on_hub
async def commit(
    hub: Hub, name: Name, currency: Currency, transfer_id: ReservedId, reason: Reason = "operator"
) -> Answer:
    """Record that reserved money has been paid."""
    return await _complete(hub, COMMIT_FUNDS_OUT, name, currency, transfer_id, reason)


@_out.add("abort")
@on_hub
async def abort(
    hub: Hub, name: Name, currency: Currency, transfer_id: ReservedId, reason: Reason = "operator"
) -> Answer:
    """Cancel reserved money: it has not been paid."""
    return await _complete(hub, ABORT_FUNDS_OUT, name, currency, transfer_id, reason)


_funds.add_typer(_out, name="out")


async def _request(hub: Hub, action: str, funds: Funds) -> Answer:
    try:
        outcome = await hub.operations.request_funds(action, funds)
    except HubNotReadyError as error:
        hint = f"it may have been recorded; to ask again safely, repeat with --transfer-id {funds.transfer_id}"
        raise HubNotReadyError(f"{error} - {hint}") from error
    return await _answer(hub, action, funds.participant, funds.currency, funds.transfer_id, outcome, funds.amount_units)


async def _complete(hub: Hub, action: str, name: str, currency: str, reserved_id: str, reason: str) -> Answer:
    outcome = await hub.operations.complete_funds_out(action, name, currency, reserved_id, reason)
    return await _answer(hub, action, name, currency, reserved_id, outcome, None)


async def _answer(
    hub: Hub,
    action: str,
    name: str,
    currency: str,
    of_transfer: str,
    outcome: FundsAnswer,
    amount: int | None,
) -> Answer:
    """Show what the ledger did, with the funds as they are now.

    Raises:
        NotDoneError: the ledger refused it.
    """
    state, is_repeat = outcome.state, outcome.repeated
    if state is not None and state not in _DONE_STATES[action]:
        because = f": {outcome.reason}" if outcome.reason else ""
        raise NotDoneError(f"not done: transfer {of_transfer} is {state}{because}")
    if state is None and outcome.reason is not None:
        raise NotDoneError(f"not done: {outcome.reason} (transfer {of_transfer})")
    settlement = await hub.operations.account(name, currency, SETTLEMENT)
    document: dict[str, Any] = {
        "transferId": of_transfer,
        "participant": name,
        "currency": currency,
        "action": action,
        "amount": None if amount is None else format_amount(amount),
        "state": state,
        "repeated": is_repeat,
        "funds": format_amount(-settlement.value_units),
    }
    what = f"{name}: " + (f"{money(amount)} {currency} " if amount is not None else "")
    verb = "asked for; the hub does not tell the outcome" if state is None else _VERBS[action]
    sentences = [
        f"{what}{'had been ' if is_repeat else ''}{verb}{' before; nothing has changed' if is_repeat else ''}",
        f"transfer id {of_transfer}",
        f"funds now {money(-settlement.value_units)} {currency}",
    ]
    return Answer(document, sentences=sentences)
