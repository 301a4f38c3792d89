"""Sets up a scheme through the admin API. What exists is not changed, so a second start sends only what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from uuid import uuid4

from clearinghub.domain.money import UNITS_PER_CURRENCY_UNIT, format_amount
from clearinghub.tools.client.admin import AdminClient, AdminError, HubNotReadyError
from clearinghub.tools.client.responses import AccountBalance

POLL_INTERVAL_S: Final = 0.1
RETRY_INTERVAL_S: Final = 0.5
HUB_ACCOUNT_TYPES: Final = ("HUB_MULTILATERAL_SETTLEMENT", "HUB_RECONCILIATION")


class SchemeError(Exception):
    """The scheme could not be set up; the text has the step and the hub's answer."""


class Scheme:
    """Sets up one currency of a hub, its DFSPs and their funds; a step must be visible within `step_timeout_s`."""

    def __init__(self, admin: AdminClient, hub_name: str, currency: str, *, step_timeout_s: float = 60.0) -> None:
        self.admin = admin
        self.hub_name = hub_name
        self.currency = currency
        self._step_timeout_s = step_timeout_s

    async def ensure_currency(self) -> None:
        """Add the hub's own accounts and a settlement model: deferred, net, multilateral.

        Raises (as all methods here):
            SchemeError: the hub refused a step, or it did not take effect in time.
        """
        for account_type in HUB_ACCOUNT_TYPES:
            await self._ensure_hub_account(account_type)
        model = {
            "name": f"DEFERREDNET{self.currency}",
            "settlementGranularity": "NET",
            "settlementInterchange": "MULTILATERAL",
            "settlementDelay": "DEFERRED",
            "currency": self.currency,
            "requireLiquidityCheck": True,
            "ledgerAccountType": "POSITION",
            "settlementAccountType": "SETTLEMENT",
            "autoPositionReset": True,
        }
        await self._ensure(f"settlement model for {self.currency}", self._has_model, "/settlementModels", model)

    async def ensure_dfsp(self, name: str, net_debit_cap_units: int, endpoints: Mapping[str, str]) -> None:
        """Add a participant with accounts and endpoints; its net debit cap must be of whole currency units."""
        participant = {"name": name, "currency": self.currency}

        async def is_participant() -> bool:
            return await self.admin.account(name, self.currency, "SETTLEMENT") is not None

        await self._ensure(f"participant {name} with {self.currency}", is_participant, "/participants", participant)
        await self._ensure_cap(name, net_debit_cap_units)
        await self._ensure_endpoints(name, endpoints)

    async def ensure_funds(self, name: str, funds_units: int) -> int:
        """Raise a participant's funds to `funds_units` if they are lower; return what was added, in 1/10,000."""
        account = await self._settlement_account(name)
        missing_units = funds_units + account.value_units  # a settlement account is negative when funded
        if missing_units <= 0:
            return 0

        async def is_funded() -> bool:
            return -(await self._settlement_account(name)).value_units >= funds_units

        path = f"/participants/{name}/accounts/{account.account_id}"
        funds_in = {
            "transferId": str(uuid4()),
            "externalReference": "sandbox",
            "action": "recordFundsIn",
            "reason": "sandbox",
            "amount": {"amount": format_amount(missing_units), "currency": self.currency},
        }
        await self._ensure(f"funds of {name}", is_funded, path, funds_in)
        return missing_units

    async def _ensure_hub_account(self, account_type: str) -> None:
        async def is_there() -> bool:
            return await self.admin.account(self.hub_name, self.currency, account_type) is not None

        path = f"/participants/{self.hub_name}/accounts"
        body = {"currency": self.currency, "type": account_type}
        await self._ensure(f"hub account {account_type} in {self.currency}", is_there, path, body)

    async def _ensure_cap(self, name: str, net_debit_cap_units: int) -> None:
        assert net_debit_cap_units % UNITS_PER_CURRENCY_UNIT == 0

        async def is_set() -> bool:
            return bool(await self.admin.get(f"/participants/{name}/limits?currency={self.currency}"))

        limit = {"type": "NET_DEBIT_CAP", "value": net_debit_cap_units // UNITS_PER_CURRENCY_UNIT}
        body = {"currency": self.currency, "limit": limit, "initialPosition": 0}
        await self._ensure(f"net debit cap of {name}", is_set, f"/participants/{name}/initialPositionAndLimits", body)

    async def _ensure_endpoints(self, name: str, endpoints: Mapping[str, str]) -> None:
        path = f"/participants/{name}/endpoints"

        async def missing() -> list[Any]:
            known = {endpoint["type"]: endpoint["value"] for endpoint in await self.admin.get(path) or []}
            return [{"type": kind, "value": value} for kind, value in endpoints.items() if known.get(kind) != value]

        await self._ensure_all(f"endpoints of {name}", missing, path)

    async def _has_model(self) -> bool:
        """Return whether the currency has a model; a second one would add a second account for every DFSP."""
        models = await self.admin.get("/settlementModels")
        return any(
            model.get("currency") == self.currency and model.get("isActive")
            for model in models or []
            if isinstance(model, dict)
        )

    async def _settlement_account(self, name: str) -> AccountBalance:
        account = await self.admin.account(name, self.currency, "SETTLEMENT")
        if account is None:
            raise SchemeError(f"{name} has no settlement account in {self.currency}")
        return account

    async def _ensure(self, what: str, is_done: Callable[[], Awaitable[bool]], path: str, body: Any) -> None:
        """POST `body` unless `is_done`, and wait until it is."""

        async def missing() -> list[Any]:
            return [] if await is_done() else [body]

        await self._ensure_all(what, missing, path)

    async def _ensure_all(self, what: str, missing: Callable[[], Awaitable[list[Any]]], path: str) -> None:
        """POST each body that is `missing`, and wait until none is.

        While the hub is not ready the same body is sent again; the hub recognises a repeated command by its id. The
        first may have been carried out although its answer was lost, so a refusal counts only if the body is still
        missing.
        """
        step = _Step(self.admin, missing, path)
        try:
            async with asyncio.timeout(self._step_timeout_s):
                await step.run()
        except TimeoutError:
            raise SchemeError(f"{what}: not visible after {self._step_timeout_s:.0f} s; {step.state}") from None
        except AdminError as error:
            raise SchemeError(f"{what}: {error}") from error


class _Step:
    """One step of a set-up; `state` is the hub's last answer, for an error's text."""

    def __init__(self, admin: AdminClient, missing: Callable[[], Awaitable[list[Any]]], path: str) -> None:
        self._admin = admin
        self._missing = missing
        self._path = path
        self._accepted = False
        self.state = "no request was sent"

    async def run(self) -> None:
        while True:
            try:
                bodies = await self._missing()
                if not bodies:
                    return
                if self._accepted:
                    await asyncio.sleep(POLL_INTERVAL_S)
                else:
                    await self._post(bodies)
            except HubNotReadyError as error:
                self.state = str(error)
                await asyncio.sleep(RETRY_INTERVAL_S)

    async def _post(self, bodies: list[Any]) -> None:
        for body in bodies:
            reply = await self._admin.post(self._path, body)
            self.state = f"POST {self._admin.url}{self._path} was answered {reply.text}"
            if not reply.ok and body in await self._missing():
                raise AdminError(self.state)
        self._accepted = True
