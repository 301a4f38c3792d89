"""Helpers: a scheme from its text, and a hub in memory on which steps have the same effect as on a real one."""

from __future__ import annotations

from dataclasses import replace

from clearinghub.domain.currencies import currencies_with
from clearinghub.tools.apply.declared import Context, DeclaredScheme, read_scheme
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
from clearinghub.tools.client.responses import LimitValue, SettlementModel
from clearinghub.yaml_file import read_document

ALARM_PERCENT_DEFAULT = 10


def declared(text: str) -> DeclaredScheme:
    scheme, faults = read_scheme(read_document(text), Context("Hub", currencies_with(())))
    assert scheme is not None, faults
    return scheme


def after(live: LiveState, steps: tuple[Step, ...]) -> LiveState:
    """The hub after all steps; a step that the hub would refuse fails an assertion."""
    for step in steps:
        live = _done(live, step)
    return live


def _done(live: LiveState, step: Step) -> LiveState:
    match step:
        case OpenHubAccount():
            account = (step.currency, step.account_type)
            assert account not in live.hub_accounts
            return replace(live, hub_accounts=live.hub_accounts | {account})
        case AddModel():
            assert step.name not in live.models
            return replace(live, models={**live.models, step.name: _model(step)})
        case SetModelActive():
            model = live.models[step.name]
            assert model.active != step.active
            return replace(live, models={**live.models, step.name: model.model_copy(update={"active": step.active})})
        case _:
            return replace(live, participants={**live.participants, step.participant: _changed(live, step)})


def _model(step: AddModel) -> SettlementModel:
    return SettlementModel(
        name=step.name,
        active=True,
        granularity=step.model.settlement_granularity,
        interchange=step.model.settlement_interchange,
        delay=step.model.settlement_delay,
        currency=step.currency,
        require_liquidity_check=step.model.require_liquidity_check,
        ledger_account_type=step.model.ledger_account_type,
        auto_position_reset=step.model.auto_position_reset,
    )


def _changed(live: LiveState, step: Step) -> LiveParticipant:
    if isinstance(step, Register):
        return _registered(live, step)
    assert not isinstance(step, OpenHubAccount | AddModel | SetModelActive)
    participant = live.participants[step.participant]
    match step:
        case SetParticipantActive():
            assert participant.active != step.active
            return replace(participant, active=step.active)
        case SetEndpoint():
            assert participant.endpoints.get(step.endpoint_type) == step.before != step.value
            return replace(participant, endpoints={**participant.endpoints, step.endpoint_type: step.value})
        case _:
            holding = _held(participant, participant.holdings[step.currency], step)
            return replace(participant, holdings={**participant.holdings, step.currency: holding})


def _registered(live: LiveState, step: Register) -> LiveParticipant:
    assert {
        (step.currency, kind) for kind in ("HUB_RECONCILIATION", "HUB_MULTILATERAL_SETTLEMENT")
    } <= live.hub_accounts
    assert any(model.active and model.currency in (None, step.currency) for model in live.models.values())
    known = live.participants.get(step.participant)
    assert (known is None) == step.is_new
    participant = known or LiveParticipant(is_proxy=step.is_proxy)
    assert step.currency not in participant.holdings
    return replace(participant, holdings={**participant.holdings, step.currency: LiveHolding()})


def _held(participant: LiveParticipant, there: LiveHolding, step: Step) -> LiveHolding:
    match step:
        case SetLimit():
            assert there.limit == step.before
            before = ALARM_PERCENT_DEFAULT if there.limit is None else there.limit.alarm_percent
            percent = before if step.alarm_percent is None else step.alarm_percent
            limit = LimitValue.model_construct(value_units=step.cap_units, alarm_percent=percent)
            return replace(there, limit=limit, position_active=there.position_active or there.limit is None)
        case SetAccountActive():
            assert there.position_active != step.active
            return replace(there, position_active=step.active)
        case TopUpFunds():
            assert participant.active
            assert there.limit is not None
            assert there.funds_units == step.before_units < step.at_least_units
            return replace(there, funds_units=step.at_least_units)
        case _:
            raise AssertionError(step)
