"""Compares a scheme's file with the hub, and returns the steps that are missing: a pure function.

The order of the steps is that of the hub's own needs: the hub's accounts before models before participants; a
participant is switched off before anything else is done to it, and on only when all is set; funds last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from clearinghub.tools.apply.declared import DeclaredHolding, DeclaredModel, DeclaredParticipant, DeclaredScheme
from clearinghub.tools.apply.live import LiveHolding, LiveParticipant, LiveState
from clearinghub.tools.apply.steps import (
    AddModel,
    OpenHubAccount,
    Register,
    SetAccountActive,
    SetEndpoint,
    SetLimit,
    SetModelActive,
    SetParticipantActive,
    Step,
    TopUpFunds,
)
from clearinghub.tools.client.responses import SettlementModel
from clearinghub.yaml_file import Fault

_NO_HOLDING: Final = LiveHolding()


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps in their order. With `conflicts`, which no step can change, nothing is done."""

    steps: tuple[Step, ...]
    conflicts: tuple[Fault, ...]


def make_plan(scheme: DeclaredScheme, live: LiveState) -> Plan:
    """Return the steps that make `live` as declared; none if it is."""
    conflicts = [*_model_conflicts(scheme, live), *_participant_conflicts(scheme, live)]
    steps = [
        *_hub_accounts(scheme, live),
        *_models(scheme, live),
        *(step for name, declared in scheme.participants.items() for step in _participant(name, declared, live)),
    ]
    return Plan(tuple(steps), tuple(conflicts))


def _hub_accounts(scheme: DeclaredScheme, live: LiveState) -> Iterator[Step]:
    for code, currency in scheme.currencies.items():
        for account_type in dict.fromkeys(currency.hub_accounts):
            if (code, account_type) not in live.hub_accounts:
                yield OpenHubAccount(code, account_type)


def _models(scheme: DeclaredScheme, live: LiveState) -> Iterator[Step]:
    for name, currency, model in scheme.models():
        there = live.models.get(name)
        if there is None:
            yield AddModel(name, currency, model)
        is_active = there is None or there.active
        if model.is_active is not None and model.is_active != is_active:
            yield SetModelActive(name, model.is_active)


def _participant(name: str, declared: DeclaredParticipant, live: LiveState) -> Iterator[Step]:
    there = live.participants.get(name)
    known = there or LiveParticipant()
    is_proxy = known.is_proxy if there else bool(declared.is_proxy)
    is_new = there is None
    for currency in declared.currencies:
        if currency not in known.holdings:
            yield Register(name, currency, is_proxy, is_new)
            is_new = False
    if declared.is_active is False and known.active:
        yield SetParticipantActive(name, active=False)
    for currency, holding in declared.currencies.items():
        yield from _holding(name, currency, holding, known.holdings.get(currency, _NO_HOLDING))
    for endpoint_type, value in declared.values_by_type.items():
        before = known.endpoints.get(endpoint_type)
        if before != value:
            yield SetEndpoint(name, endpoint_type, before, value)
    if declared.is_active and not known.active:
        yield SetParticipantActive(name, active=True)
    if known.active if declared.is_active is None else declared.is_active:
        yield from _funds(name, declared, known)


def _holding(name: str, currency: str, declared: DeclaredHolding, there: LiveHolding) -> Iterator[Step]:
    is_active = there.position_active
    if declared.net_debit_cap_units is not None:
        is_active = is_active or there.limit is None  # the first cap opens the account
        if _limit_differs(declared, there):
            yield SetLimit(name, currency, there.limit, declared.net_debit_cap_units, declared.alarm_percent)
    if declared.is_active is not None and declared.is_active != is_active:
        yield SetAccountActive(name, currency, declared.is_active)


def _limit_differs(declared: DeclaredHolding, there: LiveHolding) -> bool:
    if there.limit is None or there.limit.value_units != declared.net_debit_cap_units:
        return True
    return declared.alarm_percent not in (None, there.limit.alarm_percent)


def _funds(name: str, declared: DeclaredParticipant, known: LiveParticipant) -> Iterator[Step]:
    """Yield the funds to record; called for active participants only, for others accept no funds."""
    for currency, holding in declared.currencies.items():
        there = known.holdings.get(currency, _NO_HOLDING)
        if holding.funds_at_least_units is not None and there.funds_units < holding.funds_at_least_units:
            yield TopUpFunds(name, currency, there.funds_units, holding.funds_at_least_units)


def _model_conflicts(scheme: DeclaredScheme, live: LiveState) -> Iterator[Fault]:
    for name, currency, model in scheme.models():
        there = live.models.get(name)
        if there is None:
            continue
        place = ("settlementModels", name) if currency is None else ("currencies", currency, "settlementModels", name)
        for key, declared, present in _model_differences(currency, model, there):
            text = f"is {_word(present)} at the hub, not {_word(declared)}; a model can only be switched off"
            yield Fault((*place, key), text)


def _model_differences(
    currency: str | None, declared: DeclaredModel, there: SettlementModel
) -> Iterator[tuple[str, object, object]]:
    """Yield key, declared and present value where they differ; the API does not show the settlement account's type."""
    pairs = (
        ("currency", currency, there.currency),
        ("settlementDelay", declared.settlement_delay, there.delay),
        ("settlementGranularity", declared.settlement_granularity, there.granularity),
        ("settlementInterchange", declared.settlement_interchange, there.interchange),
        ("ledgerAccountType", declared.ledger_account_type, there.ledger_account_type),
        ("requireLiquidityCheck", declared.require_liquidity_check, there.require_liquidity_check),
        ("autoPositionReset", declared.auto_position_reset, there.auto_position_reset),
    )
    return (pair for pair in pairs if pair[1] != pair[2])


def _participant_conflicts(scheme: DeclaredScheme, live: LiveState) -> Iterator[Fault]:
    others = {name.lower(): name for name in live.other_names}
    served = _served_currencies(scheme, live)
    for name, declared in scheme.participants.items():
        there = live.participants.get(name)
        if name.lower() in others:
            yield Fault(("participants", name), f"the hub knows {others[name.lower()]}, which differs only in case")
        if there is not None and declared.is_proxy is not None and declared.is_proxy != there.is_proxy:
            text = f"is {_word(there.is_proxy)} at the hub, and cannot be changed"
            yield Fault(("participants", name, "isProxy"), text)
        for currency in declared.currencies:
            registered = there is not None and currency in there.holdings
            if not registered and None not in served and currency not in served:
                text = "neither the file nor the hub has an active settlement model for this currency"
                yield Fault(("participants", name, "currencies", currency), text)


def _served_currencies(scheme: DeclaredScheme, live: LiveState) -> set[str | None]:
    """Return the currencies of the models that will be active; None means all others."""
    active = {name: model.currency for name, model in live.models.items() if model.active}
    for name, currency, model in scheme.models():
        there = live.models.get(name)
        if model.is_active is False:
            active.pop(name, None)
        elif model.is_active or there is None:
            active[name] = currency
    return set(active.values())


def _word(value: object) -> str:
    """Return a value as the file writes it."""
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
