"""What operators do with windows and settlements, each as one call (protocol 9.1)."""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field, TypeAdapter

from clearinghub.domain.settlement.settlement import STEPS, SettlementState
from clearinghub.tools.client.admin import AdminClient, AdminError, Content, RefusedError, parsed
from clearinghub.tools.client.responses import Response, Units

_NOTHING_FOUND: Final = "not found"


class WindowContent(Response):
    """The part of a window in one currency and ledger account type."""

    currency: str = Field(alias="currencyId")
    account_type: str = Field(alias="ledgerAccountType")
    state: str
    transfers: int
    settlement_id: int | None = Field(default=None, alias="settlementId")


class Window(Response):
    window_id: int = Field(alias="settlementWindowId")
    state: str
    reason: str | None
    created_at: str = Field(alias="createdDate")
    changed_at: str = Field(alias="changedDate")
    content: tuple[WindowContent, ...] = ()


class Net(Response):
    """The amounts that a participant owes and is owed; against one other where pairs are netted."""

    participant: str
    counterparty: str | None
    debits_units: Units = Field(alias="debits")
    credits_units: Units = Field(alias="credits")
    net_units: Units = Field(alias="netAmount")


class ContentNets(Response):
    """The nets of one currency and one ledger account type."""

    currency: str
    account_type: str = Field(alias="ledgerAccountType")
    granularity: str
    nets: tuple[Net, ...]


class WindowNets(Response):
    window_id: int = Field(alias="settlementWindowId")
    state: str
    content: tuple[ContentNets, ...]


class NetAmount(Response):
    """A net amount, positive for what the participant owes."""

    amount_units: Units = Field(alias="amount")
    currency: str


class SettlementAccount(Response):
    """An account of a settlement; one whose change was refused has an `error` and no amount."""

    account_id: int = Field(alias="id")
    state: str
    reason: str
    net: NetAmount | None = Field(default=None, alias="netSettlementAmount")
    error: dict[str, str] | None = Field(default=None, alias="errorInformation")


class SettlementParticipant(Response):
    participant_id: int = Field(alias="id")
    accounts: tuple[SettlementAccount, ...]


class Settlement(Response):
    """A settlement; the answer to an abort has no accounts."""

    settlement_id: int = Field(alias="id")
    model: str | None = Field(default=None, alias="settlementModel")
    state: str
    reason: str | None = None
    participants: tuple[SettlementParticipant, ...] = ()


_WINDOW: Final = TypeAdapter(Window)
_WINDOWS: Final = TypeAdapter(list[Window])
_NETS: Final = TypeAdapter(WindowNets)
_SETTLEMENT: Final = TypeAdapter(Settlement)
_SETTLEMENTS: Final = TypeAdapter(list[Settlement])


class SettlementOperations:
    """The operations on windows and settlements. All methods may raise AdminError."""

    def __init__(self, admin: AdminClient, base_path: str) -> None:
        self._admin = admin
        self._base_path = base_path

    async def windows(self, state: str | None) -> list[Window]:
        """Return the windows, newest first."""
        query = "fromDateTime=1970-01-01" + (f"&state={state}" if state else "")
        return await self._listed(f"/settlementWindows?{query}", _WINDOWS)

    async def window(self, window_id: int) -> Window:
        return await self._call("GET", f"/settlementWindows/{window_id}", _WINDOW)

    async def nets(self, window_id: int) -> WindowNets:
        """Return who owes and who is owed what in a closed window."""
        return await self._call("GET", f"/settlementWindows/{window_id}/nets", _NETS)

    async def close_window(self, window_id: int, reason: str) -> Window:
        """Close a window; returns the one that is open now."""
        return await self._call(
            "POST", f"/settlementWindows/{window_id}", _WINDOW, {"state": "CLOSED", "reason": reason}
        )

    async def settlements(self) -> list[Settlement]:
        """Return the settlements, newest first."""
        return await self._listed("/settlements?fromDateTime=1970-01-01", _SETTLEMENTS)

    async def settlement(self, settlement_id: int) -> Settlement:
        return await self._call("GET", f"/settlements/{settlement_id}", _SETTLEMENT)

    async def create(self, model: str, window_ids: list[int], reason: str) -> Settlement:
        """Create a settlement of closed windows."""
        body = {"settlementModel": model, "reason": reason, "settlementWindows": [{"id": one} for one in window_ids]}
        return await self._call("POST", "/settlements", _SETTLEMENT, body)

    async def advance(self, settlement_id: int, reason: str) -> Settlement:
        """Take all accounts of a settlement one state further.

        Raises:
            AdminError: the settlement has its last state.
        """
        now = await self.settlement(settlement_id)
        following = STEPS.get(SettlementState(now.state))
        if following is None:
            raise AdminError(f"settlement {settlement_id} is {now.state}")
        accounts = [
            {
                "id": one.participant_id,
                "accounts": [
                    {"id": account.account_id, "state": following.value, "reason": reason} for account in one.accounts
                ],
            }
            for one in now.participants
        ]
        await self._call("PUT", f"/settlements/{settlement_id}", _SETTLEMENT, {"participants": accounts})
        return await self.settlement(settlement_id)

    async def abort(self, settlement_id: int, reason: str) -> Settlement:
        body = {"state": SettlementState.ABORTED.value, "reason": reason}
        await self._call("PUT", f"/settlements/{settlement_id}", _SETTLEMENT, body)
        return await self.settlement(settlement_id)

    async def _listed(self, path: str, kind: TypeAdapter[list[Content]]) -> list[Content]:
        """Read a list; the API refuses where there is nothing, here the list is empty."""
        try:
            return await self._call("GET", path, kind)
        except RefusedError as error:
            if _NOTHING_FOUND in error.description or "No settlements found" in error.description:
                return []
            raise

    async def _call(self, method: str, path: str, kind: TypeAdapter[Content], body: Any = None) -> Content:
        return parsed(await self._admin.call(method, self._base_path + path, body), kind)
