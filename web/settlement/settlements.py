"""Settlements: create, show, advance and abort them (protocol 9.1, 9.3 to 9.5)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from typing import Final

from aiohttp.web import Request, Response

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.settlement.settlement import (
    LEAVING,
    MAKING,
    AccountRequest,
    Leg,
    Settlement,
    SettlementAccount,
    SettlementState,
)
from clearinghub.domain.settlement.window import Window
from clearinghub.messages.commands import (
    AbortSettlement,
    AdvanceSettlement,
    Command,
    CreateSettlement,
    SettlementResult,
)
from clearinghub.ports import SettlementReader
from clearinghub.rows import make_row_decoder
from web.admin.context import AdminContext, json_response
from web.admin.schemas import read_body, read_query
from web.http.errors import ApiError
from web.settlement.responses import aborted_body, progress_body, settlement_body
from web.settlement.schemas import (
    ACCOUNT_CHANGE,
    ACCOUNTS_MAX,
    NEW_SETTLEMENT,
    PARTICIPANT_CHANGE,
    SETTLEMENT_CHANGE,
    SETTLEMENT_FILTERS,
    SETTLEMENTS_QUERY,
    AccountChange,
    NamedAccountChange,
    SettlementChange,
    SettlementsQuery,
    number_in_path,
    refuse_unknown,
)

_decode_settlement: Final = make_row_decoder(Settlement)
_decode_account: Final = make_row_decoder(SettlementAccount)
_decode_window: Final = make_row_decoder(Window)
# A settlement by pairs may have hundreds of thousands of legs; its accounts show theirs one by one.
COUNTERPARTIES_SHOWN_MAX: Final = 1_000
ACCOUNTS_SHOWN_MAX: Final = 20_000  # in a list of settlements; older ones are left out
_STAGES: Final = {MAKING: "being made of its windows", LEAVING: "about to leave the hub"}
_OTHERS: Final = ("state", "reason", "externalReference")
_NOT_FOUND: Final = Rejection(ErrorCode.VALIDATION_ERROR, "Settlement not found")
_NO_OTHERS: Final = Rejection(
    ErrorCode.VALIDATION_ERROR, "No other properties are allowed when participants is provided"
)
_BOTH: Final = Rejection(ErrorCode.MISSING_ELEMENT, "State and reason are mandatory")
_TOO_MANY: Final = Rejection(
    ErrorCode.VALIDATION_ERROR, f"All participants together must have less than or equal to {ACCOUNTS_MAX} accounts"
)
_INVALID: Final = Rejection(ErrorCode.VALIDATION_ERROR, "Invalid request payload input")


class SettlementsResource:
    """Handlers of /settlements and of what is below it."""

    def __init__(self, context: AdminContext, reader: SettlementReader) -> None:
        self._context = context
        self._reader = reader

    async def post_settlements(self, request: Request) -> Response:
        """Create a settlement of closed windows by a model."""
        body = (await read_body(request, NEW_SETTLEMENT)).fields
        command = CreateSettlement(
            model=body["settlementModel"],
            reason=body["reason"],
            windows=tuple(one["id"] for one in body["settlementWindows"]),
        )
        result = await self._execute(command)
        return await self._whole(_decode_settlement(bytes(result.settlement)))

    async def get_settlements(self, request: Request) -> Response:
        """Answer with the settlements that match all filters, newest first."""
        refuse_unknown(request, SETTLEMENT_FILTERS)
        query = read_query(request, SETTLEMENTS_QUERY, self._context.currencies)
        if not query:
            names = ", ".join(SETTLEMENT_FILTERS)
            raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, f"Use at least one parameter: {names}"))
        shapes = []
        shown = 0
        for settlement in await self._reader.last_settlements():
            if not settlement.is_whole or not _matches(settlement, query):
                continue
            windows = await self._reader.windows(settlement.window_ids)
            if not _is_between(windows, query) or shown > ACCOUNTS_SHOWN_MAX:
                continue
            accounts = await self._accounts(settlement)
            if any(_has_account(account, query) for account in accounts):
                shapes.append(settlement_body(settlement, windows, accounts))
                shown += len(accounts)
        if not shapes:
            filters = json.dumps(dict(request.query), separators=(",", ":"))
            detail = f"No settlements found matching the provided parameters: {filters}"
            raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, detail))
        return json_response(shapes)

    async def get_settlement(self, request: Request) -> Response:
        """Answer with a settlement and all of its accounts."""
        return await self._whole(await self._settlement(request))

    async def get_participant(self, request: Request) -> Response:
        """Answer with a settlement and the accounts of one participant."""
        participant_id = number_in_path(request, "pid")
        settlement = await self._settlement(request)
        return await self._shown(settlement, await self._accounts_of(settlement, participant_id))

    async def get_account(self, request: Request) -> Response:
        """Answer with a settlement and one account."""
        participant_id, account_id = number_in_path(request, "pid"), number_in_path(request, "aid")
        settlement = await self._settlement(request)
        return await self._shown(settlement, [await self._account_of(settlement, participant_id, account_id)])

    async def put_settlement(self, request: Request) -> Response:
        """Move accounts to their next states, or abort the settlement."""
        settlement_id = number_in_path(request, "id")
        body = (await read_body(request, SETTLEMENT_CHANGE)).fields
        if "participants" not in body:
            return await self._abort(settlement_id, body)
        if any(name in body for name in _OTHERS):
            raise ApiError(_NO_OTHERS)
        if sum(len(one["accounts"]) for one in body["participants"]) > ACCOUNTS_MAX:
            raise ApiError(_TOO_MANY)
        requests = [
            _account_request(one["id"], change["id"], change)
            for one in body["participants"]
            for change in one["accounts"]
        ]
        return await self._advance(settlement_id, requests)

    async def put_participant(self, request: Request) -> Response:
        """Move accounts of one participant to their next states."""
        settlement_id, participant_id = number_in_path(request, "id"), number_in_path(request, "pid")
        body = (await read_body(request, PARTICIPANT_CHANGE)).fields
        await self._accounts_of(await self._settlement(request, _NOT_FOUND), participant_id)
        requests = [_account_request(participant_id, change["id"], change) for change in body["accounts"]]
        return await self._advance(settlement_id, requests)

    async def put_account(self, request: Request) -> Response:
        """Move one account to its next state."""
        settlement_id, participant_id = number_in_path(request, "id"), number_in_path(request, "pid")
        account_id = number_in_path(request, "aid")
        body = (await read_body(request, ACCOUNT_CHANGE)).fields
        account = await self._account_of(await self._settlement(request, _NOT_FOUND), participant_id, account_id)
        return await self._advance(settlement_id, [_account_request(participant_id, account.account_id, body)])

    async def _abort(self, settlement_id: int, body: SettlementChange) -> Response:
        if ("state" in body) != ("reason" in body):
            raise ApiError(_BOTH)
        if body.get("state") != SettlementState.ABORTED.value:
            raise ApiError(_INVALID)
        command = AbortSettlement(
            settlement=settlement_id, reason=body["reason"], external_reference=body.get("externalReference")
        )
        result = await self._execute(command)
        return json_response(aborted_body(_decode_settlement(bytes(result.settlement))))

    async def _advance(self, settlement_id: int, requests: Iterable[AccountRequest]) -> Response:
        command = AdvanceSettlement(settlement=settlement_id, accounts=tuple(requests))
        result = await self._execute(command)
        windows = [_decode_window(bytes(row)) for row in result.windows]
        rows = [_decode_account(bytes(row)) for row in result.account_rows]
        accounts = {account.account_id: account for account in rows}
        settlement = _decode_settlement(bytes(result.settlement))
        return json_response(progress_body(settlement, windows, result.accounts, accounts))

    async def _execute(self, command: Command) -> SettlementResult:
        return await self._context.execute(self._context.hub_name, command, SettlementResult)

    async def _settlement(self, request: Request, absent: Rejection | None = None) -> Settlement:
        settlement_id = number_in_path(request, "id")
        settlement = await self._reader.settlement(settlement_id)
        if settlement is None:
            detail = f"Settlement with ID '{settlement_id}' not found"
            raise ApiError(absent or Rejection(ErrorCode.VALIDATION_ERROR, detail))
        if not settlement.is_whole:
            detail = f"Settlement with ID '{settlement_id}' is {_STAGES[settlement.stage]}; repeat it in a while"
            raise ApiError(Rejection(ErrorCode.SERVER_BUSY, detail))
        return settlement

    async def _whole(self, settlement: Settlement) -> Response:
        """Answer with a settlement and all accounts, and their counterparties if these are few."""
        accounts = await self._accounts(settlement)
        if settlement.legs <= COUNTERPARTIES_SHOWN_MAX:
            return await self._shown(settlement, accounts)
        windows = await self._reader.windows(settlement.window_ids)
        return json_response(settlement_body(settlement, windows, accounts))

    async def _shown(self, settlement: Settlement, accounts: Sequence[SettlementAccount]) -> Response:
        """Answer with a settlement and some of its accounts, each with its counterparties."""
        windows = await self._reader.windows(settlement.window_ids)
        legs: dict[int, list[Leg]] = {}
        if settlement.terms.by_pairs:
            for account in accounts:
                async with aclosing(self._reader.legs(settlement.settlement_id, account.account_id)) as pages:
                    legs[account.account_id] = [leg async for page in pages for _account_id, leg in page]
        return json_response(settlement_body(settlement, windows, accounts, legs))

    async def _accounts(self, settlement: Settlement) -> list[SettlementAccount]:
        async with aclosing(self._reader.accounts(settlement.settlement_id)) as pages:
            return [account async for page in pages for account in page]

    async def _accounts_of(self, settlement: Settlement, participant_id: int) -> list[SettlementAccount]:
        accounts = [one for one in await self._accounts(settlement) if one.participant_id == participant_id]
        if not accounts:
            number = settlement.settlement_id
            detail = f"Participant with ID '{participant_id}' is not part of settlement '{number}'"
            raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, detail))
        return accounts

    async def _account_of(self, settlement: Settlement, participant_id: int, account_id: int) -> SettlementAccount:
        """Return the account of that id, which must be of that participant."""
        account = await self._reader.account(settlement.settlement_id, account_id)
        if account is not None and account.participant_id == participant_id:
            return account
        await self._accounts_of(settlement, participant_id)
        if account is None:
            detail = f"Account ID '{account_id}' is not part of settlement '{settlement.settlement_id}'"
            raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, detail))
        detail = f"Provided account ID '{account_id}' does not match any position account for participant"
        raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, f"{detail} '{participant_id}'"))


def _account_request(
    participant_id: int, account_id: int, change: AccountChange | NamedAccountChange
) -> AccountRequest:
    return AccountRequest(
        participant_id=participant_id,
        account_id=account_id,
        state=SettlementState(change["state"]),
        reason=change["reason"],
        external_reference=change.get("externalReference"),
    )


def _matches(settlement: Settlement, query: SettlementsQuery) -> bool:
    created_at_ms = settlement.created_at_ms
    return (
        query.get("state") in (None, settlement.state.value)
        and query.get("fromDateTime", 0) <= created_at_ms <= query.get("toDateTime", created_at_ms)
        and query.get("settlementWindowId") in (None, *settlement.window_ids)
        and query.get("currency") in (None, *(group.currency for _window_id, group in settlement.contents))
    )


def _has_account(account: SettlementAccount, query: SettlementsQuery) -> bool:
    return (
        query.get("currency") in (None, account.currency)
        and query.get("participantId") in (None, account.participant_id)
        and query.get("accountId") in (None, account.account_id)
    )


def _is_between(windows: Sequence[Window], query: SettlementsQuery) -> bool:
    first_ms, last_ms = query.get("fromSettlementWindowDateTime"), query.get("toSettlementWindowDateTime")
    return any(
        (first_ms is None or first_ms <= window.created_at_ms) and (last_ms is None or window.created_at_ms <= last_ms)
        for window in windows
    )
