"""The part of a hub's state that a scheme's file can declare, read from the admin API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from clearinghub.tools.apply.declared import DeclaredScheme
from clearinghub.tools.client.operations import Operations, of_each
from clearinghub.tools.client.responses import (
    POSITION,
    SETTLEMENT,
    AccountBalance,
    Endpoint,
    LimitValue,
    Participant,
    SettlementModel,
)


@dataclass(frozen=True, slots=True)
class LiveHolding:
    """A participant in one currency; `funds_units` is what the scheme holds for it."""

    position_active: bool = False
    limit: LimitValue | None = None
    funds_units: int = 0


@dataclass(frozen=True, slots=True)
class LiveParticipant:
    """A participant of the file as the hub has it."""

    active: bool = True
    is_proxy: bool = False
    holdings: Mapping[str, LiveHolding] = field(default_factory=dict)
    endpoints: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LiveState:
    """The state of the hub; `other_names` are participants that the file does not mention."""

    hub_accounts: frozenset[tuple[str, str]] = frozenset()
    models: Mapping[str, SettlementModel] = field(default_factory=dict)
    participants: Mapping[str, LiveParticipant] = field(default_factory=dict)
    other_names: frozenset[str] = frozenset()


async def read_live(operations: Operations, scheme: DeclaredScheme, hub_name: str) -> LiveState:
    """Read the hub's state, as far as the file declares it.

    Raises:
        AdminError: the hub cannot be reached or read.
    """
    known = {participant.name: participant for participant in await operations.participants()}
    mentioned = [name for name in scheme.participants if name in known]
    balances = await of_each(mentioned, operations.balances)
    endpoints = await of_each([name for name in mentioned if scheme.participants[name].endpoints], operations.endpoints)
    limits = {(one.name, one.currency): one.limit for one in await operations.limits()} if mentioned else {}
    hub = known.get(hub_name)
    return LiveState(
        hub_accounts=frozenset((one.currency, one.account_type) for one in hub.accounts) if hub else frozenset(),
        models=await _models(operations, scheme),
        participants={
            name: _participant(known[name], balances[name], endpoints.get(name, ()), limits) for name in mentioned
        },
        other_names=frozenset(known) - {*scheme.participants, hub_name},
    )


async def _models(operations: Operations, scheme: DeclaredScheme) -> dict[str, SettlementModel]:
    """Read the active models, and those of the file that are switched off."""
    models = {model.name: model for model in await operations.models()}
    switched_off = await of_each([name for name, _, _ in scheme.models() if name not in models], operations.model)
    return models | {name: model for name, model in switched_off.items() if model is not None}


def _participant(
    participant: Participant,
    balances: Iterable[AccountBalance],
    endpoints: Iterable[Endpoint],
    limits: Mapping[tuple[str, str], LimitValue],
) -> LiveParticipant:
    by_kind = {(balance.currency, balance.account_type): balance for balance in balances}
    holdings = {}
    for currency in participant.currencies:
        position, settlement = by_kind.get((currency, POSITION)), by_kind.get((currency, SETTLEMENT))
        holdings[currency] = LiveHolding(
            position_active=position is not None and position.active,
            limit=limits.get((participant.name, currency)),
            funds_units=0 if settlement is None else -settlement.value_units,
        )
    return LiveParticipant(
        participant.active, participant.is_proxy, holdings, {one.endpoint_type: one.value for one in endpoints}
    )
