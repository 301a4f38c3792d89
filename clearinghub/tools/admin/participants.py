"""The commands on participants and what belongs to them: accounts, limits, positions, endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import typer

from clearinghub.domain.participants.scheme import HUB_ACCOUNT_TYPES, HUB_MULTILATERAL_SETTLEMENT, HUB_RECONCILIATION
from clearinghub.tools.admin.answers import (
    Headroom,
    account_document,
    accounts_answer,
    endpoint_document,
    endpoints_answer,
    limit_document,
    limits_answer,
    participant_document,
    participants_answer,
    positions_answer,
)
from clearinghub.tools.client.admin import AdminError
from clearinghub.tools.client.names import ENDPOINT_PREFIX
from clearinghub.tools.client.operations import Operations, of_each
from clearinghub.tools.client.responses import POSITION, AccountBalance, Endpoint, Limit
from clearinghub.tools.command_line import App, tell
from clearinghub.tools.options import AnyName, Currency, Name, cap_units, endpoint_type, negative_numbers, percent
from clearinghub.tools.screen import Answer
from clearinghub.tools.session import EXITS, Hub, NotDoneError, on_hub

_DEFAULT_HUB_ACCOUNTS: Final = (HUB_RECONCILIATION, HUB_MULTILATERAL_SETTLEMENT)

_participants = App(
    "Who takes part.",
    noun="VERB",
    examples=["admin participants show alphabank", "admin participants add gammabank EUR"],
    exits=EXITS,
)
_accounts = App(
    "What the ledger keeps for each participant.",
    noun="VERB",
    examples=["admin accounts list alphabank", "admin accounts deactivate betawallet USD"],
    exits=EXITS,
)
_hub_accounts = App("The hub's own accounts.", noun="VERB", examples=["admin hub-accounts add EUR"], exits=EXITS)
_limits = App(
    "Net debit caps.",
    noun="VERB",
    examples=["admin limits list", "admin limits set alphabank USD 12000 --alarm 25"],
    exits=EXITS,
)
_positions = App(
    "What each participant owes or is owed, and how much room it has.",
    noun="VERB",
    examples=["admin positions list", "admin positions list alphabank --json"],
    exits=EXITS,
)
_endpoints = App(
    "Where callbacks go.",
    noun="VERB",
    examples=[
        "admin endpoints list alphabank",
        "admin endpoints set alphabank TRANSFER_POST http://alphabank.example/transfers",
    ],
    exits=EXITS,
)
NOUNS: Final = {
    "participants": _participants,
    "accounts": _accounts,
    "hub-accounts": _hub_accounts,
    "limits": _limits,
    "positions": _positions,
    "endpoints": _endpoints,
}


@_participants.add("list")
@on_hub
async def list_participants(hub: Hub) -> Answer:
    """List all participants with their flags and currencies."""
    return participants_answer(await hub.operations.participants())


@_participants.add("show")
@on_hub
async def show_participant(hub: Hub, name: Name) -> Answer:
    """Show a participant with its accounts, limits and endpoints."""
    participant = await hub.operations.participant(name)
    balances = await hub.operations.balances(name)
    limits = [limit for limit in await hub.operations.limits() if limit.name == name]
    endpoints = await hub.operations.endpoints(name)
    document = {
        **participant_document(participant),
        "accounts": [account_document(name, balance) for balance in balances],
        "limits": [limit_document(limit) for limit in limits],
        "endpoints": [endpoint_document(name, endpoint) for endpoint in endpoints],
    }
    parts = [
        accounts_answer([(name, balances)], title="accounts"),
        limits_answer(limits, title="limits"),
        endpoints_answer([(name, endpoints)], title="endpoints"),
    ]
    shown = participants_answer([participant])
    return Answer(document, shown.columns, shown.rows, more=[part for part in parts if part.rows])


@_participants.add("add")
@on_hub
async def add_participant(
    hub: Hub,
    name: Name,
    currency: Currency,
    *,
    proxy: Annotated[bool, typer.Option("--proxy", help="It acts for the participants of another scheme.")] = False,
) -> Answer:
    """Register a participant, or one more currency for it."""
    added = await hub.operations.add_participant(name, currency, is_proxy=proxy)
    done = f"{added.name} has accounts in {currency}; set its limit to open them"
    return Answer(participant_document(added), sentences=[done])


@_participants.add("activate")
@on_hub
async def activate_participant(hub: Hub, name: Name) -> Answer:
    """Let a participant take part."""
    return await _switch_participant(hub, name, active=True)


@_participants.add("deactivate")
@on_hub
async def deactivate_participant(hub: Hub, name: Name) -> Answer:
    """Refuse a participant's transfers; those in flight complete."""
    return await _switch_participant(hub, name, active=False)


@_accounts.add("list")
@on_hub
async def list_accounts(hub: Hub, name: AnyName = None) -> Answer:
    """List accounts with their balances."""
    return accounts_answer(await _balances(hub.operations, name))


@_accounts.add("activate")
@on_hub
async def activate_account(hub: Hub, name: Name, currency: Currency) -> Answer:
    """Switch a POSITION account on."""
    return await _switch_account(hub, name, currency, active=True)


@_accounts.add("deactivate")
@on_hub
async def deactivate_account(hub: Hub, name: Name, currency: Currency) -> Answer:
    """Switch a POSITION account off."""
    return await _switch_account(hub, name, currency, active=False)


@_hub_accounts.add("add")
@on_hub
async def add_hub_accounts(
    hub: Hub,
    currency: Currency,
    types: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TYPE",
            show_default=False,
            help=f"Of {', '.join(HUB_ACCOUNT_TYPES)}; the first two, if none is given.",
        ),
    ] = None,
) -> Answer:
    """Open the hub's accounts in a currency."""
    missing = tuple(dict.fromkeys(types or _DEFAULT_HUB_ACCOUNTS))
    for opened, account_type in enumerate(missing):
        try:
            await hub.operations.add_hub_account(hub.name, currency, account_type)
        except AdminError:
            if opened:
                tell(f"opened: {', '.join(missing[:opened])}; then:")
            raise
    balances = await hub.operations.balances(hub.name)
    opened_now = [one for one in balances if one.currency == currency and one.account_type in missing]
    return accounts_answer([(hub.name, opened_now)])


@_limits.add("list")
@on_hub
async def list_limits(hub: Hub, name: AnyName = None) -> Answer:
    """List net debit caps and alarms."""
    if name is not None:
        await hub.operations.participant(name)  # or else one that is not known would seem to have no limit
    return limits_answer([limit for limit in await hub.operations.limits() if name in (None, limit.name)])


@_limits.add("set", context_settings=negative_numbers())
@on_hub
async def set_limit(
    hub: Hub,
    name: Name,
    currency: Currency,
    cap: Annotated[
        int,
        typer.Argument(
            metavar="CAP", parser=cap_units, help="In currency units, up to four decimals; may be negative."
        ),
    ],
    alarm: Annotated[
        int | None,
        typer.Option(
            "--alarm",
            metavar="PERCENT",
            parser=percent,
            help="The share of the cap at which operators are warned; unchanged, if not given.",
        ),
    ] = None,
) -> Answer:
    """Set a cap; the first one opens the accounts for transfers."""
    before = await _limit(hub.operations, name, currency)
    await hub.operations.set_limit(name, currency, cap, alarm, before.limit if before else None)
    after = await _limit(hub.operations, name, currency)
    if after is None:
        raise NotDoneError(f"the hub took the limit of {name} in {currency} and does not show it")
    return limits_answer([after])


@_positions.add("list")
@on_hub
async def list_positions(hub: Hub, name: AnyName = None) -> Answer:
    """List positions beside caps and funds, and the room that is left."""
    caps = {(limit.name, limit.currency): limit.limit.value_units for limit in await hub.operations.limits()}
    return positions_answer(
        [
            Headroom(participant, position, balances, caps.get((participant, position.currency)))
            for participant, balances in await _balances(hub.operations, name)
            for position in balances
            if position.account_type == POSITION
        ]
    )


@_endpoints.add("list")
@on_hub
async def list_endpoints(hub: Hub, name: AnyName = None) -> Answer:
    """List the endpoints of one participant or all."""
    names = [name] if name else await _names(hub.operations)
    return endpoints_answer((await of_each(names, hub.operations.endpoints)).items())


@_endpoints.add("set")
@on_hub
async def set_endpoint(
    hub: Hub,
    name: Name,
    kind: Annotated[
        str,
        typer.Argument(
            metavar="TYPE", parser=endpoint_type, help=f"Such as TRANSFER_POST; {ENDPOINT_PREFIX} may be left out."
        ),
    ],
    value: Annotated[str, typer.Argument(metavar="URL", help="May hold variables such as {{transferId}}.")],
) -> Answer:
    """Set the endpoint of a type."""
    await hub.operations.set_endpoint(name, kind, value)
    endpoint = Endpoint(endpoint_type=kind, value=value)
    return Answer(endpoint_document(name, endpoint), sentences=[f"{name}: {kind} is {value}"])


async def _switch_participant(hub: Hub, name: str, *, active: bool) -> Answer:
    switched = await hub.operations.set_participant_active(name, active=active)
    done = f"{switched.name} is {'active' if active else 'inactive'}"
    return Answer(participant_document(switched), sentences=[done])


async def _switch_account(hub: Hub, name: str, currency: str, *, active: bool) -> Answer:
    account = await hub.operations.account(name, currency, POSITION)
    await hub.operations.set_account_active(name, account.account_id, active=active)
    return accounts_answer([(name, [await hub.operations.account(name, currency, POSITION)])])


async def _limit(operations: Operations, name: str, currency: str) -> Limit | None:
    limits = await operations.limits()
    return next((limit for limit in limits if (limit.name, limit.currency) == (name, currency)), None)


async def _names(operations: Operations) -> list[str]:
    return [participant.name for participant in await operations.participants()]


async def _balances(operations: Operations, name: str | None) -> Sequence[tuple[str, list[AccountBalance]]]:
    """Return the accounts of a participant, or of all, by its name."""
    names = [name] if name else await _names(operations)
    return list((await of_each(names, operations.balances)).items())
