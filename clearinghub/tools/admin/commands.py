"""The commands but for funds: each asks the hub and gives what to show."""

from __future__ import annotations

import argparse
from typing import Any

from clearinghub.config import Settings
from clearinghub.tools.admin.answers import (
    Standing,
    account_document,
    accounts_answer,
    endpoint_document,
    endpoints_answer,
    limit_document,
    limits_answer,
    models_answer,
    participant_document,
    participants_answer,
    positions_answer,
)
from clearinghub.tools.admin.exits import NotDoneError, tell
from clearinghub.tools.admin.options import DEFAULT_HUB_ACCOUNTS
from clearinghub.tools.admin.screen import Answer
from clearinghub.tools.client.admin import AdminError
from clearinghub.tools.client.operations import Operations, of_each
from clearinghub.tools.client.responses import POSITION, AccountBalance, Endpoint, Limit


class Commands:
    """One method a command, named by its noun and verb; all raise AdminError."""

    def __init__(self, operations: Operations, settings: Settings, chosen: argparse.Namespace) -> None:
        self._operations = operations
        self._settings = settings
        self._chosen = chosen

    async def participants_list(self) -> Answer:
        """All participants."""
        return participants_answer(await self._operations.participants())

    async def participants_show(self) -> Answer:
        """One with all that belongs to it."""
        name = self._chosen.name
        participant = await self._operations.participant(name)
        balances = await self._operations.balances(name)
        limits = [limit for limit in await self._operations.limits() if limit.name == name]
        endpoints = await self._operations.endpoints(name)
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

    async def participants_add(self) -> Answer:
        """A new participant, or one more currency."""
        chosen = self._chosen
        added = await self._operations.add_participant(chosen.name, chosen.currency, is_proxy=chosen.proxy)
        done = f"{added.name} has accounts in {chosen.currency}; set its limit to open them"
        return Answer(participant_document(added), sentences=[done])

    async def participants_activate(self) -> Answer:
        """On."""
        return await self._switch_participant(active=True)

    async def participants_deactivate(self) -> Answer:
        """Off."""
        return await self._switch_participant(active=False)

    async def accounts_list(self) -> Answer:
        """Accounts with what they hold."""
        return accounts_answer(await self._balances())

    async def accounts_activate(self) -> Answer:
        """On."""
        return await self._switch_account(active=True)

    async def accounts_deactivate(self) -> Answer:
        """Off."""
        return await self._switch_account(active=False)

    async def hub_accounts_add(self) -> Answer:
        """The hub's accounts in a currency."""
        hub, currency = self._settings.hub_name, self._chosen.currency
        wanted = tuple(dict.fromkeys(self._chosen.types)) or DEFAULT_HUB_ACCOUNTS
        for opened, account_type in enumerate(wanted):
            try:
                await self._operations.add_hub_account(hub, currency, account_type)
            except AdminError:
                if opened:
                    tell(f"opened: {', '.join(wanted[:opened])}; then:")
                raise
        balances = await self._operations.balances(hub)
        return accounts_answer(
            [(hub, [one for one in balances if (one.currency == currency and one.account_type in wanted)])]
        )

    async def limits_list(self) -> Answer:
        """Net debit caps."""
        name = self._chosen.name
        if name is not None:
            await self._operations.participant(name)  # or else one that is not known would seem to have no limit
        return limits_answer([limit for limit in await self._operations.limits() if name in (None, limit.name)])

    async def limits_set(self) -> Answer:
        """A cap, the first one or in place of another."""
        chosen = self._chosen
        before = await self._limit(chosen.name, chosen.currency)
        await self._operations.set_limit(
            chosen.name, chosen.currency, chosen.cap_units, chosen.alarm, before.limit if before else None
        )
        after = await self._limit(chosen.name, chosen.currency)
        if after is None:
            raise NotDoneError(f"the hub took the limit of {chosen.name} in {chosen.currency} and does not show it")
        return limits_answer([after])

    async def positions_list(self) -> Answer:
        """Positions beside what bounds them."""
        caps = {(limit.name, limit.currency): limit.limit.value_units for limit in await self._operations.limits()}
        lines = [
            Standing(name, position, balances, caps.get((name, position.currency)))
            for name, balances in await self._balances()
            for position in balances
            if position.account_type == POSITION
        ]
        return positions_answer(lines)

    async def endpoints_list(self) -> Answer:
        """Where callbacks go."""
        names = [self._chosen.name] if self._chosen.name else await self._names()
        return endpoints_answer((await of_each(names, self._operations.endpoints)).items())

    async def endpoints_set(self) -> Answer:
        """The endpoint of a type."""
        chosen = self._chosen
        await self._operations.set_endpoint(chosen.name, chosen.type, chosen.value)
        endpoint = Endpoint(endpoint_type=chosen.type, value=chosen.value)
        done = f"{chosen.name}: {chosen.type} is {chosen.value}"
        return Answer(endpoint_document(chosen.name, endpoint), sentences=[done])

    async def models_list(self) -> Answer:
        """The active settlement models."""
        return models_answer(await self._operations.models())

    async def models_add(self) -> Answer:
        """A settlement model."""
        chosen = self._chosen
        body: dict[str, Any] = {
            "name": chosen.name,
            "settlementGranularity": chosen.granularity,
            "settlementInterchange": chosen.interchange,
            "settlementDelay": chosen.delay,
            "requireLiquidityCheck": not chosen.no_liquidity_check,
            "ledgerAccountType": chosen.account_type,
            "settlementAccountType": chosen.settlement_account_type,
            "autoPositionReset": not chosen.no_position_reset,
        }
        await self._operations.add_model(body | ({"currency": chosen.currency} if chosen.currency else {}))
        model = await self._operations.model(chosen.name)
        if model is None:
            raise NotDoneError(f"the hub took settlement model {chosen.name} and does not show it")
        return Answer(model.document(), sentences=[f"settlement model {model.name} is there"])

    async def _switch_participant(self, *, active: bool) -> Answer:
        switched = await self._operations.set_participant_active(self._chosen.name, active=active)
        return Answer(
            participant_document(switched), sentences=[f"{switched.name} is {'active' if active else 'inactive'}"]
        )

    async def _switch_account(self, *, active: bool) -> Answer:
        name, currency = self._chosen.name, self._chosen.currency
        account = await self._operations.account(name, currency, POSITION)
        await self._operations.set_account_active(name, account.account_id, active=active)
        return accounts_answer([(name, [await self._operations.account(name, currency, POSITION)])])

    async def _limit(self, name: str, currency: str) -> Limit | None:
        limits = await self._operations.limits()
        return next((limit for limit in limits if (limit.name, limit.currency) == (name, currency)), None)

    async def _names(self) -> list[str]:
        return [participant.name for participant in await self._operations.participants()]

    async def _balances(self) -> list[tuple[str, list[AccountBalance]]]:
        """The chosen participant's accounts, or everybody's."""
        names = [self._chosen.name] if self._chosen.name else await self._names()
        return list((await of_each(names, self._operations.balances)).items())
