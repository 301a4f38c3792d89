"""Accounts, and the funds that go in and out of them (protocol 5.1, 5.2)."""

from __future__ import annotations

from typing import Final

import structlog
from aiohttp.web import Request, Response

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.funds_request import FundsRequest
from clearinghub.domain.participants.scheme import HUB_ACCOUNT_TYPES, is_ledger_account_type
from clearinghub.messages.commands import (
    AbortFundsOut,
    Command,
    CommitFundsOut,
    FundsResult,
    OpenHubAccount,
    RecordFundsIn,
    ReserveFundsOut,
    SetAccountActive,
)
from web.admin.context import AdminContext, json_response
from web.admin.responses import account_body, participant_body
from web.admin.schemas import (
    ACTIVITY,
    COMMIT_FUNDS_OUT,
    FUNDS,
    FUNDS_OUT_COMPLETION,
    HUB_ACCOUNT,
    RECORD_FUNDS_IN,
    Funds,
    FundsOutCompletion,
    id_in_path,
    name_in_path,
    read_body,
    transfer_id_in_path,
)
from web.http.errors import ApiError

_MISMATCH: Final = Rejection(ErrorCode.INTERNAL_SERVER_ERROR, "Participant/account mismatch")

_log = structlog.get_logger(__name__)


class AccountsResource:
    """Handlers of /participants/{name}/accounts and of what is below it."""

    def __init__(self, context: AdminContext) -> None:
        self._context = context

    async def get_accounts(self, request: Request) -> Response:
        """Answer with a participant's accounts and their values."""
        participant = self._context.find(name_in_path(request))
        return json_response([account_body(one) for one in await self._context.positions(participant.name)])

    async def post_accounts(self, request: Request) -> Response:
        """Open an account of the hub."""
        name = name_in_path(request)
        body = (await read_body(request, HUB_ACCOUNT, self._context.currencies)).fields
        fault = self._hub_account_fault(name, body["currency"], body["type"])
        if fault is not None:
            raise ApiError(Rejection(ErrorCode.ADD_PARTY_INFO_ERROR, fault))
        command = OpenHubAccount(currency=body["currency"], account_type=body["type"])
        hub = await self._context.change(name, command)
        return json_response(participant_body(hub, request), status=201)

    async def put_account(self, request: Request) -> Response:
        """Activate or deactivate a POSITION account."""
        name, account_id = name_in_path(request), id_in_path(request)
        active = (await read_body(request, ACTIVITY)).fields["isActive"]
        others = (one for one in self._context.participants.all() if one.name != name)
        if self._context.participants.get(name) and any(one.account_by_id(account_id) for one in others):
            raise ApiError(_MISMATCH)
        await self._context.change(name, SetAccountActive(account_id=account_id, active=active))
        return Response(status=200)

    async def post_funds(self, request: Request) -> Response:
        """Record funds in, or reserve funds out."""
        name, account_id = name_in_path(request), id_in_path(request)
        body, body_hash = await read_body(request, FUNDS, self._context.currencies)
        funds = FundsRequest(
            transfer_id=body["transferId"],
            account_id=account_id,
            amount=body["amount"]["amount"],
            currency=body["amount"]["currency"],
            hash=body_hash,
            external_reference=body["externalReference"],
            extensions=body.get("extensionList"),
        )
        is_in = body["action"] == RECORD_FUNDS_IN
        command = RecordFundsIn(request=funds) if is_in else ReserveFundsOut(request=funds)
        return await self._funds(name, body, funds.transfer_id, command)

    async def put_funds(self, request: Request) -> Response:
        """Commit or abort reserved funds out."""
        name, account_id = name_in_path(request), id_in_path(request)
        transfer_id = transfer_id_in_path(request)
        body = (await read_body(request, FUNDS_OUT_COMPLETION)).fields
        complete = CommitFundsOut if body["action"] == COMMIT_FUNDS_OUT else AbortFundsOut
        return await self._funds(name, body, transfer_id, complete(account_id=account_id, transfer_id=transfer_id))

    async def _funds(self, name: str, body: Funds | FundsOutCompletion, transfer_id: str, command: Command) -> Response:
        """Answer 202 whatever becomes of the funds; that shows in GETs, in the log, and in headers of the hub's own."""
        result = await self._context.execute(name, command, FundsResult)
        _log.info(
            "funds-recorded" if result.state is not None else "funds-ignored",
            participant=name,
            transfer=transfer_id,
            action=body["action"],
            state=result.state,
            outcome=result.reason,
            reason=body["reason"],
        )
        return Response(status=202, headers=_outcome_headers(result))

    def _hub_account_fault(self, name: str, currency: str, account_type: str) -> str | None:
        """Return why that account cannot be opened, in the reference's order, or None."""
        participant = self._context.participants.get(name)
        if participant is None and name != self._context.hub_name:
            return "Participant was not found."
        if not is_ledger_account_type(self._context.hub, account_type):
            return "Ledger account type was not found."
        if participant is not None and participant.account(currency, account_type) is not None:
            return "Hub account has already been registered."
        if name != self._context.hub_name:
            return "Endpoint is reserved for creation of Hub account types only."
        return None if account_type in HUB_ACCOUNT_TYPES else "The requested hub operator account type is not allowed."


def _outcome_headers(result: FundsResult) -> dict[str, str]:
    """Return headers with the state that the transfer has reached and the reason, each if there is one."""
    headers = {"X-Funds-State": result.state, "X-Funds-Reason": result.reason}
    return {name: value for name, value in headers.items() if value is not None}
