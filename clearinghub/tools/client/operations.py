"""What operators do with a hub, each as one call; used by `admin` and `apply`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from pydantic import TypeAdapter

from clearinghub.domain.errors import ErrorCode
from clearinghub.domain.money import format_amount
from clearinghub.tools.client.admin import AdminClient, AdminError, Content, RefusedError, Reply, parsed
from clearinghub.tools.client.responses import (
    BALANCES,
    SETTLEMENT,
    AccountBalance,
    Approval,
    CallbacksWorker,
    Credential,
    Endpoint,
    Features,
    Limit,
    LimitValue,
    Operator,
    Participant,
    Partition,
    SettlementModel,
)

NET_DEBIT_CAP: Final = "NET_DEBIT_CAP"
RECORD_FUNDS_IN: Final = "recordFundsIn"
RESERVE_FUNDS_OUT: Final = "recordFundsOutPrepareReserve"
COMMIT_FUNDS_OUT: Final = "recordFundsOutCommit"
ABORT_FUNDS_OUT: Final = "recordFundsOutAbort"

# The outcome of a request for funds, which the API answers with 202 in any case (protocol 5.2).
STATE_HEADER: Final = "X-Funds-State"
REASON_HEADER: Final = "X-Funds-Reason"
_ALREADY: Final = "already "  # how the reason of a repeated request begins

QUERIES_MAX: Final = 8  # at a time; each one is a request to the ledger

_PARTICIPANT: Final = TypeAdapter(Participant)
_PARTICIPANTS: Final = TypeAdapter(list[Participant])
_LIMITS: Final = TypeAdapter(list[Limit])
_ENDPOINTS: Final = TypeAdapter(list[Endpoint])
_OPERATOR: Final = TypeAdapter(Operator)
_OPERATORS: Final = TypeAdapter(list[Operator])
_APPROVALS: Final = TypeAdapter(list[Approval])
_CREDENTIAL: Final = TypeAdapter(Credential)
_CREDENTIALS: Final = TypeAdapter(list[Credential])
_FEATURES: Final = TypeAdapter(Features)
_PARTITIONS: Final = TypeAdapter(list[Partition])
_CALLBACKS_WORKER: Final = TypeAdapter(CallbacksWorker)
_MODEL: Final = TypeAdapter(SettlementModel)
_MODELS: Final = TypeAdapter(list[SettlementModel])


class NoSuchAccountError(AdminError):
    """The participant has no such account, so nothing was sent."""


@dataclass(frozen=True, slots=True)
class Funds:
    """A request to move funds; it may be repeated with the same fields."""

    transfer_id: str
    participant: str
    currency: str
    amount_units: int
    reference: str
    reason: str


@dataclass(frozen=True, slots=True)
class FundsAnswer:
    """What the ledger did with a request for funds: the transfer's state, and the reason for it or for a refusal.

    `repeated` is True if the same request had brought it to this state before. A hub that only answers 202, as
    protocol 5.2 requires, sends neither state nor reason.
    """

    state: str | None
    reason: str | None
    repeated: bool = False


class Operations:
    """The operations on participants and settlement models. All methods may raise AdminError."""

    def __init__(self, admin: AdminClient) -> None:
        self._admin = admin

    async def participants(self) -> list[Participant]:
        """Return all participants, the hub included."""
        return await self._read("/participants", _PARTICIPANTS)

    async def participant(self, name: str) -> Participant:
        return await self._read(_path(name), _PARTICIPANT)

    async def balances(self, name: str) -> list[AccountBalance]:
        """Return a participant's accounts with their balances."""
        return await self._read(f"{_path(name)}/accounts", BALANCES)

    async def account(self, name: str, currency: str, account_type: str) -> AccountBalance:
        """One of them.

        Raises:
            NoSuchAccountError: there is none.
        """
        for account in await self.balances(name):
            if (account.currency, account.account_type) == (currency, account_type):
                return account
        raise NoSuchAccountError(f"{name} has no {account_type} account in {currency}")

    async def limits(self) -> list[Limit]:
        """Return the net debit caps of all participants."""
        return await self._read("/participants/limits", _LIMITS)

    async def endpoints(self, name: str) -> list[Endpoint]:
        return await self._read(f"{_path(name)}/endpoints", _ENDPOINTS)

    async def models(self) -> list[SettlementModel]:
        """Return the active settlement models."""
        return await self._read("/settlementModels", _MODELS)

    async def model(self, name: str) -> SettlementModel | None:
        """Return a settlement model, active or not, or None if there is none of the name."""
        try:
            return await self._read(f"/settlementModels/{quote(name, safe='')}", _MODEL)
        except RefusedError as error:
            if error.code == ErrorCode.ID_NOT_FOUND.code:
                return None
            raise

    async def callbacks_worker(self) -> CallbacksWorker:
        """Return what waits for each receiver; the client's URL is that of a callbacks worker."""
        return await self._read("/callbacks", _CALLBACKS_WORKER)

    async def partitions(self) -> list[Partition]:
        """Return how each partition of the ledger is."""
        return await self._read("/partitions", _PARTITIONS)

    async def features(self) -> Features:
        """Return the scheme's feature level, and the processes that run."""
        return await self._read("/features", _FEATURES)

    async def raise_features(self, level: int, reason: str) -> Features:
        """Raise the scheme's feature level; it is never lowered."""
        return parsed(await self._admin.call("PUT", "/features", {"level": level, "reason": reason}), _FEATURES)

    async def operators(self) -> list[Operator]:
        """Return the operators that have been appointed."""
        return await self._read("/operators", _OPERATORS)

    async def set_operator(self, name: str, roles: Iterable[str], certificate: str) -> Operator:
        """Appoint an operator, or replace its roles and key; the certificate is in PEM."""
        body = {"roles": list(roles), "certificate": certificate}
        return parsed(await self._admin.call("PUT", f"/operators/{quote(name, safe='')}", body), _OPERATOR)

    async def remove_operator(self, name: str) -> None:
        await self._admin.call("DELETE", f"/operators/{quote(name, safe='')}")

    async def approvals(self) -> list[Approval]:
        """Return the commands that wait for a second operator."""
        return await self._read("/approvals", _APPROVALS)

    async def decide_approval(self, approval_id: str, decision: str, reason: str) -> None:
        """Run a command that waits (`approve`), or drop it (`reject`)."""
        body = {"decision": decision, "reason": reason}
        await self._admin.call("PUT", f"/approvals/{quote(approval_id, safe='')}", body)

    async def add_hub_account(self, hub_name: str, currency: str, account_type: str) -> None:
        await self._admin.call("POST", f"{_path(hub_name)}/accounts", {"currency": currency, "type": account_type})

    async def add_model(self, body: dict[str, Any]) -> None:
        """Add a settlement model; `body` is that of POST /settlementModels."""
        await self._admin.call("POST", "/settlementModels", body)

    async def set_model_active(self, name: str, *, active: bool) -> None:
        await self._admin.call("PUT", f"/settlementModels/{quote(name, safe='')}", {"isActive": active})

    async def add_participant(self, name: str, currency: str, *, is_proxy: bool = False) -> Participant:
        """Register a participant, or one more currency of it."""
        body = {"name": name, "currency": currency, **({"isProxy": True} if is_proxy else {})}
        return parsed(await self._admin.call("POST", "/participants", body), _PARTICIPANT)

    async def set_participant_active(self, name: str, *, active: bool) -> Participant:
        return parsed(await self._admin.call("PUT", _path(name), {"isActive": active}), _PARTICIPANT)

    async def set_account_active(self, name: str, account_id: int, *, active: bool) -> None:
        await self._admin.call("PUT", f"{_path(name)}/accounts/{account_id}", {"isActive": active})

    async def set_limit(
        self, name: str, currency: str, cap_units: int, alarm_percent: int | None, before: LimitValue | None
    ) -> None:
        """Set a net debit cap; the first one opens the accounts for transfers.

        Args:
            name: the participant.
            currency: of the cap.
            cap_units: the cap, in 1/10,000 of the currency unit.
            alarm_percent: share of the cap at which operators are warned; None leaves it unchanged.
            before: the cap that is set already, or None.
        """
        limit = {"type": NET_DEBIT_CAP, "value": format_amount(cap_units)}
        if before is None:
            first = {"currency": currency, "limit": limit, "initialPosition": 0}
            await self._admin.call("POST", f"{_path(name)}/initialPositionAndLimits", first)
            if alarm_percent is None:
                return
        kept = before.alarm_percent if before is not None else None
        adjusted = {**limit, "alarmPercentage": alarm_percent if alarm_percent is not None else kept}
        await self._admin.call("PUT", f"{_path(name)}/limits", {"currency": currency, "limit": adjusted})

    async def set_endpoint(self, name: str, endpoint_type: str, value: str) -> None:
        await self._admin.call("POST", f"{_path(name)}/endpoints", {"type": endpoint_type, "value": value})

    async def credentials(self, name: str) -> list[Credential]:
        """Return a participant's credentials, also those that count no more."""
        return await self._read(f"{_path(name)}/credentials", _CREDENTIALS)

    async def add_credential(self, name: str, use: str, pem: str) -> Credential:
        """Register a certificate, a request or a public key, pending."""
        reply = await self._admin.call("POST", f"{_path(name)}/credentials", {"use": use, "pem": pem})
        return parsed(reply, _CREDENTIAL)

    async def change_credential(self, name: str, credential_id: str, change: Mapping[str, str]) -> Credential:
        """Change a credential's state; `change` is the body of the PUT."""
        path = f"{_path(name)}/credentials/{quote(credential_id, safe='')}"
        return parsed(await self._admin.call("PUT", path, dict(change)), _CREDENTIAL)

    async def request_funds(self, action: str, funds: Funds) -> FundsAnswer:
        """Record funds in, or reserve funds out (`action`)."""
        account = await self.account(funds.participant, funds.currency, SETTLEMENT)
        body = {
            "transferId": funds.transfer_id,
            "externalReference": funds.reference,
            "action": action,
            "reason": funds.reason,
            "amount": {"amount": format_amount(funds.amount_units), "currency": funds.currency},
        }
        path = f"{_path(funds.participant)}/accounts/{account.account_id}"
        return _funds_answer(await self._admin.call("POST", path, body))

    async def complete_funds_out(
        self, action: str, name: str, currency: str, transfer_id: str, reason: str
    ) -> FundsAnswer:
        """Commit or abort reserved funds out (`action`)."""
        account = await self.account(name, currency, SETTLEMENT)
        path = f"{_path(name)}/accounts/{account.account_id}/transfers/{quote(transfer_id, safe='')}"
        return _funds_answer(await self._admin.call("PUT", path, {"action": action, "reason": reason}))

    async def _read(self, path: str, kind: TypeAdapter[Content]) -> Content:
        return parsed(await self._admin.call("GET", path), kind)


async def of_each(names: Iterable[str], ask: Callable[[str], Awaitable[Content]]) -> dict[str, Content]:
    """Return what `ask` returns for each name, QUERIES_MAX at a time; the first failure ends it."""
    turns = asyncio.Semaphore(QUERIES_MAX)

    async def in_turn(name: str) -> tuple[str, Content]:
        async with turns:
            return name, await ask(name)

    tasks = [asyncio.create_task(in_turn(name)) for name in names]
    try:
        return dict(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


def _path(name: str) -> str:
    return f"/participants/{quote(name, safe='')}"


def _funds_answer(reply: Reply) -> FundsAnswer:
    state, reason = reply.headers.get(STATE_HEADER), reply.headers.get(REASON_HEADER)
    if state is None and reason is not None and reason.startswith(_ALREADY):
        return FundsAnswer(reason.removeprefix(_ALREADY), None, repeated=True)
    return FundsAnswer(state, reason)
