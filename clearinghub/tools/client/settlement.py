"""What operators do with windows and settlements, each as one call (protocol 9.1)."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from clearinghub.domain.settlement.settlement import STEPS, SettlementState
from clearinghub.tools.client.admin import AdminClient, AdminError, RefusedError
from clearinghub.tools.client.responses import Shape, Units

Content = TypeVar("Content")

_NOTHING_FOUND: Final = "not found"


class WindowContent(Shape):
    """What one currency and one ledger account type have in a window."""

    currency: str = Field(alias="currencyId")
    account_type: str = Field(alias="ledgerAccountType")
    state: str
    transfers: int
    settlement_id: int | None = Field(default=None, alias="settlementId")


class Window(Shape):
    """A settlement window."""

    window_id: int = Field(alias="settlementWindowId")
    state: str
    reason: str | None
    created_at: str = Field(alias="createdDate")
    changed_at: str = Field(alias="changedDate")
    content: tuple[WindowContent, ...] = ()


class Net(Shape):
    """What one participant owes or is owed; against one other where pairs are netted."""

    participant: str
    counterparty: str | None
    debits_units: Units = Field(alias="debits")
    credits_units: Units = Field(alias="credits")
    net_units: Units = Field(alias="netAmount")


class ContentNets(Shape):
    """The nets of one currency and one ledger account type."""

    currency: str
    account_type: str = Field(alias="ledgerAccountType")
    granularity: str
    nets: tuple[Net, ...]


class WindowNets(Shape):
    """A window with its nets."""

    window_id: int = Field(alias="settlementWindowId")
    state: str
    content: tuple[ContentNets, ...]


class NetAmount(Shape):
    """Positive for what is owed."""

    amount_units: Units = Field(alias="amount")
    currency: str


class SettlementAccount(Shape):
    """An account of a settlement; what was refused has an `error` and no amount."""

    account_id: int = Field(alias="id")
    state: str
    reason: str
    net: NetAmount | None = Field(default=None, alias="netSettlementAmount")
    error: dict[str, str] | None = Field(default=None, alias="errorInformation")


class SettlementParticipant(Shape):
    """A participant of a settlement."""

    participant_id: int = Field(alias="id")
    accounts: tuple[SettlementAccount, ...]


class Settlement(Shape):
    """A settlement; an abort tells no accounts."""

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
    """All methods raise AdminError; see clearinghub/tools/client/admin.py for its kinds."""

    def __init__(self, admin: AdminClient, base_path: str) -> None:
        self._admin = admin
        self._base_path = base_path

    async def windows(self, state: str | None) -> list[Window]:
        """The windows, newest first."""
        query = "fromDateTime=1970-01-01" + (f"&state={state}" if state else "")
        return await self._listed(f"/settlementWindows?{query}", _WINDOWS)

    async def window(self, window_id: int) -> Window:
        """One window."""
        return await self._call("GET", f"/settlementWindows/{window_id}", _WINDOW)

    async def nets(self, window_id: int) -> WindowNets:
        """Who owes and who is owed what in a closed window."""
        return await self._call("GET", f"/settlementWindows/{window_id}/nets", _NETS)

    async def close_window(self, window_id: int, reason: str) -> Window:
        """Close a window; gives the one that is open now."""
        return await self._call(
            "POST", f"/settlementWindows/{window_id}", _WINDOW, {"state": "CLOSED", "reason": reason}
        )

    async def settlements(self) -> list[Settlement]:
        """The settlements, newest first."""
        return await self._listed("/settlements?fromDateTime=1970-01-01", _SETTLEMENTS)

    async def settlement(self, settlement_id: int) -> Settlement:
        """One settlement."""
        return await self._call("GET", f"/settlements/{settlement_id}", _SETTLEMENT)

    async def create(self, model: str, window_ids: list[int], reason: str) -> Settlement:
        """A settlement of closed windows."""
        body = {"settlementModel": model, "reason": reason, "settlementWindows": [{"id": one} for one in window_ids]}
        return await self._call("POST", "/settlements", _SETTLEMENT, body)

    async def advance(self, settlement_id: int, reason: str) -> Settlement:
        """Take all accounts that are not there yet one state further.

        Raises:
            AdminError: the settlement is at its end.
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
        """Undo it."""
        body = {"state": SettlementState.ABORTED.value, "reason": reason}
        await self._call("PUT", f"/settlements/{settlement_id}", _SETTLEMENT, body)
        return await self.settlement(settlement_id)

    async def _listed(self, path: str, kind: TypeAdapter[list[Content]]) -> list[Content]:
        """A list; that nothing was found is a refusal to the API, and none here."""
        try:
            return await self._call("GET", path, kind)
        except RefusedError as error:
            if _NOTHING_FOUND in error.description or "No settlements found" in error.description:
                return []
            raise

    async def _call(self, method: str, path: str, kind: TypeAdapter[Content], body: Any = None) -> Content:
        reply = await self._admin.call(method, self._base_path + path, body)
        try:
            return kind.validate_python(reply.content)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise AdminError(f"the hub's answer cannot be read: {place}: {first['msg']}") from error
