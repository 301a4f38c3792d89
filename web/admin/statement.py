"""GET /participants/{name}/accounts/{id}/statement: the movements of an account in a period. Not in the reference."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import (
    Annotated,
    Any,
    Final,
    NotRequired,
    TypeAlias,
)
from urllib.parse import urlencode

import orjson
from aiohttp.web import Request, StreamResponse
from pydantic import Field, TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic takes typing's only from Python 3.12 on

from clearinghub.clock import system_now_ms
from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.position import Position
from clearinghub.domain.participants.statement import Statement, StatementEntry
from clearinghub.domain.time import timestamp_text
from clearinghub.ports import StatementReader, StatementTooLongError
from web.admin.context import AdminContext
from web.admin.responses import number
from web.admin.schema_types import NO_OTHER_KEYS
from web.admin.schemas import id_in_path, name_in_path, read_query
from web.http.errors import ApiError
from web.reports.formats import Format, FormatText, chosen_format, report_response, streamed_response
from web.reports.statement import statement_csv, statement_page

ENTRIES_MAX: Final = 1_000  # read at a time; of an answer in JSON
HTML_PAGES_MAX: Final = 10  # so many times as many lines, some two hundred sheets of paper
PERIOD_DEFAULT_MS: Final = 24 * 3_600_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
_MOMENT: Final = (
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,3})?"
    r"(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])$"
)
Moment: TypeAlias = Annotated[str, Field(min_length=1, pattern=_MOMENT)]
ChangeNumber: TypeAlias = Annotated[str, Field(min_length=1, pattern="^(0|[1-9][0-9]{0,17})$")]
StatementQuery = TypedDict(  # `from` is a keyword, so it cannot be a field of a class
    "StatementQuery",
    {
        "from": NotRequired[Moment],
        "to": NotRequired[Moment],
        "after": NotRequired[ChangeNumber],
        "format": NotRequired[FormatText],
    },
)
with_config(NO_OTHER_KEYS)(StatementQuery)
QUERY: Final = TypeAdapter(StatementQuery)

_ACCOUNT_NOT_FOUND: Final = Rejection(ErrorCode.INTERNAL_SERVER_ERROR, "Account not found")
_MISMATCH: Final = Rejection(ErrorCode.INTERNAL_SERVER_ERROR, "Participant/account mismatch")
_NO_SUCH_DAY: Final = Rejection(ErrorCode.VALIDATION_ERROR, "There is no such day")
_BACKWARDS: Final = Rejection(ErrorCode.VALIDATION_ERROR, "The period ends before it begins")
_TOO_LONG: Final = Rejection(
    ErrorCode.VALIDATION_ERROR, "Too much was booked in or since the period; ask for a shorter or a later one"
)


class StatementResource:
    """Handler of one account's statement."""

    def __init__(
        self, context: AdminContext, statements: StatementReader, clock: Callable[[], int] = system_now_ms
    ) -> None:
        """`clock` returns milliseconds since the epoch: the end of a period without `to`."""
        self._context = context
        self._statements = statements
        self._clock = clock

    async def get_statement(self, request: Request) -> StreamResponse:
        """Answer with the balance before a period, the entries in it, and the balance after it."""
        name, account_id = name_in_path(request), id_in_path(request)
        query = read_query(request, QUERY)
        form = chosen_format(request, query)
        to_ms = milliseconds(query["to"]) if "to" in query else self._clock()
        from_ms = milliseconds(query["from"]) if "from" in query else max(to_ms - PERIOD_DEFAULT_MS, 0)
        if from_ms > to_ms:
            raise ApiError(_BACKWARDS)
        # Before the history is read: what is in no record of it from then on, the account still holds.
        account = await self._account(name, account_id)
        pages = self._pages(account, from_ms, to_ms, int(query.get("after", 0)))
        called = f"statement-{name}-{account_id}"
        async with aclosing(pages):
            try:
                if form is Format.CSV:
                    async with aclosing(statement_csv(account, from_ms, to_ms, pages)) as parts:
                        return await streamed_response(request, form, called, parts)
                if form is Format.HTML:
                    return report_response(form, called, await self._html(account, from_ms, to_ms, pages))
                shape = _body(account, await anext(pages), from_ms, to_ms)
            except StatementTooLongError as error:
                raise ApiError(_TOO_LONG) from error
        return report_response(form, called, orjson.dumps(shape))

    async def _html(self, account: Position, from_ms: int, to_ms: int, pages: AsyncGenerator[Statement, None]) -> bytes:
        parts = [await anext(pages)]
        while not parts[-1].is_whole and len(parts) < HTML_PAGES_MAX:
            parts.append(await anext(pages))
        rest = None if parts[-1].is_whole else _next(account, parts[-1], to_ms, Format.HTML)
        return statement_page(self._context.hub_name, account, (from_ms, to_ms), parts, rest)

    async def _pages(self, account: Position, from_ms: int, to_ms: int, after: int) -> AsyncGenerator[Statement, None]:
        """Yield the statement in parts of at most ENTRIES_MAX entries."""
        while True:
            statement = await self._statements.statement(account, from_ms, to_ms, after, ENTRIES_MAX)
            yield statement
            if statement.is_whole:
                return
            # From the last line's own time on, so that what was read is not read again.
            from_ms, after = statement.entries[-1].at_ms, statement.entries[-1].change_number

    async def _account(self, name: str, account_id: int) -> Position:
        self._context.find(name)
        for position in await self._context.positions(name):
            if position.account_id == account_id:
                return position
        others = (one for one in self._context.participants.all() if one.name != name)
        raise ApiError(_MISMATCH if any(one.account_by_id(account_id) for one in others) else _ACCOUNT_NOT_FOUND)


def milliseconds(moment: str) -> int:
    """Return a timestamp as milliseconds since 1970, within the limits of what can be represented."""
    try:
        at_ms = (datetime.fromisoformat(moment) - _EPOCH) // timedelta(milliseconds=1)
    except ValueError as error:
        raise ApiError(_NO_SUCH_DAY) from error
    return min(max(at_ms, 0), _LAST_MS)


def _body(account: Position, statement: Statement, from_ms: int, to_ms: int) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "participant": account.participant,
        "accountId": account.account_id,
        "ledgerAccountType": account.account_type,
        "currency": account.currency,
        "from": timestamp_text(from_ms),
        "to": timestamp_text(to_ms),
        "openingBalance": number(statement.opening),
        "lines": [_entry_body(entry) for entry in statement.entries],
        "closingBalance": number(statement.closing),
    }
    if statement.kept_from_ms is not None:
        shape["keptFrom"] = timestamp_text(statement.kept_from_ms)
    if not statement.is_whole:
        shape["next"] = _next(account, statement, to_ms)
    return shape


def _next(account: Position, statement: Statement, to_ms: int, form: Format | None = None) -> str:
    """Return the path of the entries after these."""
    last = statement.entries[-1]
    parameters = {"from": timestamp_text(last.at_ms), "to": timestamp_text(to_ms), "after": last.change_number}
    rest = urlencode(parameters if form is None else {**parameters, "format": form.value})
    return f"/participants/{account.participant}/accounts/{account.account_id}/statement?{rest}"


def _entry_body(entry: StatementEntry) -> dict[str, Any]:
    return {
        "changeNumber": entry.change_number,
        "at": timestamp_text(entry.at_ms),
        "transferId": entry.transfer_id,
        "entryType": entry.entry_type,
        "change": number(entry.change),
        "value": number(entry.value),
    }
