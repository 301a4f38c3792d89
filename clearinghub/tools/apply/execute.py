"""Takes the steps of a plan: the requests that each one needs."""

from __future__ import annotations

from uuid import NAMESPACE_URL, uuid5

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
from clearinghub.tools.client.admin import AdminError
from clearinghub.tools.client.operations import RECORD_FUNDS_IN, Funds, Operations
from clearinghub.tools.client.responses import POSITION, SETTLEMENT, AccountBalance


async def do(step: Step, operations: Operations, hub_name: str) -> None:
    """Send the requests of one step.

    Raises:
        AdminError: the hub refused it, or cannot be reached; another run finds what is left to do.
    """
    match step:
        case OpenHubAccount():
            await operations.add_hub_account(hub_name, step.currency, step.account_type)
        case AddModel():
            await operations.add_model(_model_body(step))
        case SetModelActive():
            await operations.set_model_active(step.name, active=step.active)
        case Register():
            await operations.add_participant(step.participant, step.currency, is_proxy=step.is_proxy)
        case SetLimit():
            await operations.set_limit(step.participant, step.currency, step.cap_units, step.alarm_percent, step.before)
        case SetAccountActive():
            account = await operations.account(step.participant, step.currency, POSITION)
            await operations.set_account_active(step.participant, account.account_id, active=step.active)
        case SetParticipantActive():
            await operations.set_participant_active(step.participant, active=step.active)
        case SetEndpoint():
            await operations.set_endpoint(step.participant, step.endpoint_type, step.value)
        case TopUpFunds():
            await _top_up(step, operations)


def _model_body(step: AddModel) -> dict[str, object]:
    body = step.model.model_dump(by_alias=True, exclude={"is_active"})
    return {"name": step.name, **body, **({} if step.currency is None else {"currency": step.currency})}


async def _top_up(step: TopUpFunds, operations: Operations) -> None:
    """Record the amount that is missing now; someone else may have paid in since the plan was made."""
    settlement = await operations.account(step.participant, step.currency, SETTLEMENT)
    missing_units = step.at_least_units + settlement.value_units  # a settlement account is negative when funded
    if missing_units <= 0:
        return
    funds = Funds(
        transfer_id=_transfer_id(step, settlement, missing_units),
        participant=step.participant,
        currency=step.currency,
        amount_units=missing_units,
        reference="clearinghub apply",
        reason="funds as the scheme declares them",
    )
    answer = await operations.request_funds(RECORD_FUNDS_IN, funds)
    if answer.state not in (None, "COMMITTED") or answer.reason is not None:
        why = answer.reason or answer.state
        raise AdminError(f"the funds were not recorded: {why} (transfer {funds.transfer_id})")


def _transfer_id(step: TopUpFunds, settlement: AccountBalance, missing_units: int) -> str:
    """Return the same id for the same account in the same state: a run that lost an answer cannot pay in twice."""
    account = f"{step.participant}/{step.currency}/{settlement.account_id}"
    return str(uuid5(NAMESPACE_URL, f"clearinghub:{account}/{settlement.changed_at}/{missing_units}"))
