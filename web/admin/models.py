"""Settlement models and ledger account types (protocol 5.3)."""

from __future__ import annotations

from aiohttp.web import Request, Response

from clearinghub.domain.participants.participant import LedgerAccountType, ModelDefinition, Participant
from clearinghub.domain.participants.scheme import accounts_missing, find_model, ledger_account_types
from clearinghub.messages.commands import (
    AddLedgerAccountType,
    AddSettlementModel,
    OpenAccounts,
    SetSettlementModelActive,
)
from web.admin.context import AdminContext, json_response
from web.admin.participants import RESOURCE_NOT_FOUND
from web.admin.responses import account_type_body, model_body
from web.admin.schemas import ACTIVITY, NEW_LEDGER_ACCOUNT_TYPE, NEW_SETTLEMENT_MODEL, read_body
from web.http.errors import ApiError


class ModelsResource:
    """Handlers of /settlementModels and /ledgerAccountTypes."""

    def __init__(self, context: AdminContext) -> None:
        self._context = context

    async def get_models(self, _request: Request) -> Response:
        hub = self._context.hub
        models = () if hub is None else hub.models
        return json_response([model_body(model) for model in models if model.active])

    async def get_model(self, request: Request) -> Response:
        """Answer with one model, active or not."""
        model = find_model(self._context.hub, request.match_info["name"])
        if model is None:
            raise ApiError(RESOURCE_NOT_FOUND)
        return json_response(model_body(model))

    async def post_models(self, request: Request) -> Response:
        """Define a model, and open the accounts that it requires for participants that have its currency already."""
        body = (await read_body(request, NEW_SETTLEMENT_MODEL, self._context.currencies)).fields
        model = ModelDefinition(
            name=body["name"],
            granularity=body["settlementGranularity"],
            interchange=body["settlementInterchange"],
            delay=body["settlementDelay"],
            currency=body.get("currency"),
            require_liquidity_check=body["requireLiquidityCheck"],
            ledger_account_type=body["ledgerAccountType"],
            settlement_account_type=body["settlementAccountType"],
            auto_position_reset=body["autoPositionReset"],
        )
        hub = await self._context.change(self._context.hub_name, AddSettlementModel(model=model))
        await self._back_fill(hub)
        return Response(status=201)

    async def put_model(self, request: Request) -> Response:
        """Activate or deactivate a model. Activation opens the accounts that are missing, as a new model does."""
        name = request.match_info["name"]
        active = (await read_body(request, ACTIVITY)).fields["isActive"]
        command = SetSettlementModelActive(model_name=name, active=active)
        hub = await self._context.change(self._context.hub_name, command)
        if active:
            await self._back_fill(hub)
        model = find_model(hub, name)
        assert model is not None
        return json_response(model_body(model))

    async def get_account_types(self, _request: Request) -> Response:
        kinds = ledger_account_types(self._context.hub)
        return json_response([account_type_body(kind) for kind in kinds if kind.active])

    async def post_account_types(self, request: Request) -> Response:
        body = (await read_body(request, NEW_LEDGER_ACCOUNT_TYPE)).fields
        account_type = LedgerAccountType(body["name"], body["description"], body["isActive"], body["isSettleable"])
        await self._context.change(self._context.hub_name, AddLedgerAccountType(account_type=account_type))
        return Response(status=201)

    async def _back_fill(self, hub: Participant) -> None:
        """Open the accounts that participants lack, by a command for each participant.

        If a command is not answered, the request fails with that; to activate the model once more completes it.
        """
        for participant in self._context.participants.all():
            missing = accounts_missing(hub, participant) if participant.name != hub.name else ()
            if missing:
                await self._context.change(participant.name, OpenAccounts(accounts=missing))
