"""The commands on settlement models, settlement windows and settlements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from clearinghub.domain.participants.scheme import (
    DELAYS,
    GRANULARITIES,
    INTERCHANGES,
    POSITION,
    SETTLEMENT,
    SETTLEMENT_ACCOUNT_TYPES,
)
from clearinghub.domain.settlement.window import WindowState
from clearinghub.tools.admin.answers import models_answer
from clearinghub.tools.client.settlement import Settlement, Window
from clearinghub.tools.command_line import App
from clearinghub.tools.options import currency, number, one_of
from clearinghub.tools.screen import Answer, Column, money
from clearinghub.tools.session import EXITS, Hub, NotDoneError, on_hub

_WINDOW_COLUMNS: Final = (
    Column("window", is_number=True),
    Column("state"),
    Column("content"),
    Column("created"),
    Column("reason"),
)
_NET_COLUMNS: Final = (
    Column("ccy"),
    Column("type"),
    Column("participant"),
    Column("counterparty"),
    Column("owes", is_number=True),
    Column("is owed", is_number=True),
    Column("net", is_number=True),
)
_SETTLEMENT_COLUMNS: Final = (Column("settlement", is_number=True), Column("model"), Column("state"), Column("reason"))
_ACCOUNT_COLUMNS: Final = (
    Column("participant id", is_number=True),
    Column("account id", is_number=True),
    Column("ccy"),
    Column("net", is_number=True),
    Column("state"),
    Column("reason"),
)

_models = App(
    "Settlement models.",
    noun="VERB",
    examples=["admin models list", "admin models add DEFERREDNETEUR --currency EUR"],
    exits=EXITS,
)
_windows = App(
    "Settlement windows.",
    noun="VERB",
    examples=["admin windows list", "admin windows close --reason 'end of day'"],
    exits=EXITS,
)
_settlements = App(
    "Settlements of closed windows.",
    noun="VERB",
    examples=["admin settlements create DEFERREDNETUSD 1 --reason 'day 1'", "admin settlements advance 1"],
    exits=EXITS,
)
NOUNS: Final = {"models": _models, "windows": _windows, "settlements": _settlements}

WindowNumber = Annotated[int, typer.Argument(metavar="WINDOW", parser=number, help="The window's number.")]
SettlementNumber = Annotated[int, typer.Argument(metavar="SETTLEMENT", parser=number, help="The settlement's number.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Kept with it, up to 512 characters.")]


@_models.add("list")
@on_hub
async def list_models(hub: Hub) -> Answer:
    """List the active settlement models."""
    return models_answer(await hub.operations.models())


@_models.add("add")
@on_hub
async def add_model(  # noqa: PLR0913 - one for each option
    hub: Hub,
    name: Annotated[str, typer.Argument(metavar="NAME", help="2 to 30 letters and digits.")],
    *,
    of_currency: Annotated[
        str | None,
        typer.Option(
            "--currency", metavar="CODE", parser=currency, help="If not given, all currencies without their own model."
        ),
    ] = None,
    delay: Annotated[str, typer.Option("--delay", help="When it settles.", **one_of(*DELAYS))] = "DEFERRED",
    granularity: Annotated[
        str, typer.Option("--granularity", help="Nets, or each transfer by itself.", **one_of(*GRANULARITIES))
    ] = "NET",
    interchange: Annotated[
        str, typer.Option("--interchange", help="Against all others, or by pairs.", **one_of(*INTERCHANGES))
    ] = "MULTILATERAL",
    account_type: Annotated[str, typer.Option("--account-type", metavar="TYPE", help="What it settles.")] = POSITION,
    settlement_account_type: Annotated[
        str,
        typer.Option("--settlement-account-type", help="Where it settles to.", **one_of(*SETTLEMENT_ACCOUNT_TYPES)),
    ] = SETTLEMENT,
    no_liquidity_check: Annotated[
        bool, typer.Option("--no-liquidity-check", help="Settle whatever the funds are.")
    ] = False,
    no_position_reset: Annotated[
        bool, typer.Option("--no-position-reset", help="Keep positions when they are settled.")
    ] = False,
) -> Answer:
    """Add a model; without options it is deferred, net, multilateral."""
    body: dict[str, Any] = {
        "name": name,
        "settlementGranularity": granularity,
        "settlementInterchange": interchange,
        "settlementDelay": delay,
        "requireLiquidityCheck": not no_liquidity_check,
        "ledgerAccountType": account_type,
        "settlementAccountType": settlement_account_type,
        "autoPositionReset": not no_position_reset,
    }
    await hub.operations.add_model(body | ({"currency": of_currency} if of_currency else {}))
    model = await hub.operations.model(name)
    if model is None:
        raise NotDoneError(f"the hub took settlement model {name} and does not show it")
    return Answer(model.document(), sentences=[f"settlement model {model.name} is there"])


@_windows.add("list")
@on_hub
async def list_windows(
    hub: Hub,
    state: Annotated[
        str | None,
        typer.Option("--state", help="Only these.", **one_of(*(state.value for state in WindowState))),
    ] = None,
) -> Answer:
    """List the windows, newest first."""
    return _windows_answer(await hub.settlement.windows(state))


@_windows.add("close")
@on_hub
async def close_window(
    hub: Hub,
    window: Annotated[
        int | None,
        typer.Argument(metavar="WINDOW", parser=number, help="The open one, if not given.", show_default=False),
    ] = None,
    reason: Reason = "operator",
) -> Answer:
    """Close the open window; the next one is open at once."""
    window_id = window or await _open_window(hub)
    opened = await hub.settlement.close_window(window_id, reason)
    done = f"window {window_id} is being closed; window {opened.window_id} is open"
    return Answer(opened.document(), sentences=[done])


@_windows.add("nets")
@on_hub
async def show_nets(hub: Hub, window: WindowNumber) -> Answer:
    """Show who owes and who is owed what in a closed window."""
    nets = await hub.settlement.nets(window)
    rows = [
        (
            content.currency,
            content.account_type,
            net.participant,
            net.counterparty or "",
            money(net.debits_units),
            money(net.credits_units),
            money(net.net_units),
        )
        for content in nets.content
        for net in content.nets
    ]
    return Answer(nets.document(), _NET_COLUMNS, rows, [f"window {nets.window_id} is {nets.state}"])


@_settlements.add("list")
@on_hub
async def list_settlements(hub: Hub) -> Answer:
    """List the settlements, newest first."""
    found = await hub.settlement.settlements()
    rows = [(str(one.settlement_id), one.model or "", one.state, one.reason or "") for one in found]
    return Answer([one.document() for one in found], _SETTLEMENT_COLUMNS, rows)


@_settlements.add("show")
@on_hub
async def show_settlement(hub: Hub, settlement: SettlementNumber) -> Answer:
    """Show a settlement with its accounts."""
    return _settlement_answer(await hub.settlement.settlement(settlement))


@_settlements.add("create")
@on_hub
async def create_settlement(
    hub: Hub,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The settlement model's name.")],
    windows: Annotated[list[int], typer.Argument(metavar="WINDOW", parser=number, help="Closed windows.")],
    reason: Reason = "operator",
) -> Answer:
    """Settle windows by a model."""
    return _settlement_answer(await hub.settlement.create(model, windows, reason))


@_settlements.add("advance")
@on_hub
async def advance_settlement(hub: Hub, settlement: SettlementNumber, reason: Reason = "operator") -> Answer:
    """Take all accounts of a settlement one state further."""
    return _settlement_answer(await hub.settlement.advance(settlement, reason))


@_settlements.add("abort")
@on_hub
async def abort_settlement(hub: Hub, settlement: SettlementNumber, reason: Reason = "operator") -> Answer:
    """Undo a settlement; not once an account is committed."""
    return _settlement_answer(await hub.settlement.abort(settlement, reason))


async def _open_window(hub: Hub) -> int:
    opened = await hub.settlement.windows("OPEN")
    if not opened:
        raise NotDoneError("no window is open yet: the ledger has just begun")
    return opened[0].window_id


def _windows_answer(windows: Sequence[Window]) -> Answer:
    rows = [
        (
            str(window.window_id),
            window.state,
            ", ".join(f"{one.currency} {one.account_type} {one.state} ({one.transfers})" for one in window.content),
            window.created_at,
            window.reason or "",
        )
        for window in windows
    ]
    return Answer([window.document() for window in windows], _WINDOW_COLUMNS, rows)


def _settlement_answer(settlement: Settlement) -> Answer:
    rows = [
        (
            str(participant.participant_id),
            str(account.account_id),
            account.net.currency if account.net else "",
            money(account.net.amount_units if account.net else None),
            account.state,
            account.reason,
        )
        for participant in settlement.participants
        for account in participant.accounts
    ]
    done = f"settlement {settlement.settlement_id} is {settlement.state}"
    return Answer(settlement.document(), _ACCOUNT_COLUMNS, rows, [done])
