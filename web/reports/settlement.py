"""GET .../report: the settlement report of a closed window and of a settlement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import (
    Any,
    Final,
    NotRequired,
)

import orjson
from aiohttp.web import Request, Response
from pydantic import TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic takes typing's only from Python 3.12 on

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.money import format_amount
from clearinghub.domain.settlement.netting import Net, NettingGroup
from clearinghub.domain.settlement.report import (
    CLOSED,
    ContentNets,
    Section,
    Settled,
    SettlementReport,
    report_settlement,
    report_window,
)
from clearinghub.domain.settlement.settlement import Settlement
from clearinghub.domain.time import timestamp_text
from clearinghub.ports import SettlementReader
from web.admin.schema_types import NO_OTHER_KEYS
from web.admin.schemas import read_query
from web.http.errors import ApiError
from web.reports.formats import Format, FormatText, chosen_format, report_response
from web.reports.page import page_begin, page_end, page_faults, page_note, page_table
from web.reports.table import Cell, Column, Kind, csv_header, csv_lines
from web.settlement.responses import window_body
from web.settlement.schemas import number_in_path, refuse_unknown
from web.settlement.windows import NETS_SHOWN_MAX, ParticipantText, find_nets, find_window


@with_config(NO_OTHER_KEYS)
class ReportQuery(TypedDict):
    """The query of GET .../report."""

    format: NotRequired[FormatText]
    participant: NotRequired[ParticipantText]


QUERY: Final = TypeAdapter(ReportQuery)

_PARTY: Final = (Column("participant", "participant"), Column("counterparty", "against"))
_NET: Final = (
    Column("debits", "debits", Kind.AMOUNT),
    Column("debitCount", "number", Kind.COUNT),
    Column("credits", "credits", Kind.AMOUNT),
    Column("creditCount", "number", Kind.COUNT),
    Column("netAmount", "net", Kind.AMOUNT),
)
_ACCOUNT: Final = (Column("accountState", "state"), Column("externalReference", "reference"))
_IDS: Final = (Column("participantId", "participant id", Kind.COUNT), Column("accountId", "account id", Kind.COUNT))
_NETTING_GROUP: Final = (
    Column("currency", "currency"),
    Column("ledgerAccountType", "account type"),
    Column("granularity", "granularity"),
)
_SIGNS: Final = "A positive net is owed to the scheme, a negative one by it. All nets of a table add up to zero."


class SettlementReportsResource:
    """Serves the report below one window and below one settlement."""

    def __init__(self, hub_name: str, reader: SettlementReader, clock: Callable[[], int]) -> None:
        """`clock` returns milliseconds since the epoch: when a page was made."""
        self._hub_name = hub_name
        self._reader = reader
        self._clock = clock

    async def get_window_report(self, request: Request) -> Response:
        """Return what the participants owe and are owed in a closed window."""
        form, window_id, participant = _query(request)
        window = await find_window(self._reader, window_id)
        if window.state not in CLOSED:
            detail = f"Window {window_id} is {window.state.value}; its report is there once it is closed"
            raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, detail))
        nets = await find_nets(self._reader, window, participant)
        report = report_window(window, nets, is_whole=participant is None)
        name = f"window-{window_id}-report"
        if form is Format.JSON:
            shape = {**window_body(window), **_report_body(report)}
            return report_response(form, name, orjson.dumps(shape))
        about = Column("settlementWindowId", "window", Kind.COUNT)
        if form is Format.CSV:
            return report_response(form, name, _csv(about, window_id, report))
        facts = [
            ("State", window.state.value),
            ("Reason", window.reason),
            ("Opened", timestamp_text(window.created_at_ms)),
            ("Changed", timestamp_text(window.changed_at_ms)),
        ]
        return report_response(form, name, self._page(f"Settlement window {window_id}", facts, report))

    async def get_settlement_report(self, request: Request) -> Response:
        """Return what the participants owed and were owed in a settlement's windows, and how far it is settled."""
        form, settlement_id, participant = _query(request)
        settlement = await self._reader.settlement(settlement_id)
        if settlement is None:
            detail = f"Settlement with ID '{settlement_id}' not found"
            raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, detail))
        kept: dict[int, ContentNets] = {}
        for window in await self._reader.windows(settlement.window_ids):
            if await self._reader.sums(window) is not None:
                kept[window.window_id] = await find_nets(self._reader, window, participant)
        if participant is None and settlement.legs > NETS_SHOWN_MAX:
            detail = (
                f"Settlement {settlement_id} has {settlement.legs} nets, and a report at most {NETS_SHOWN_MAX}; "
                "name one participant (?participant=...), or read topic settlements or the archive"
            )
            raise ApiError(Rejection(ErrorCode.VALIDATION_ERROR, detail))
        settled = await self._settled(settlement, participant)
        report = report_settlement(settled, kept, is_whole=participant is None)
        name = f"settlement-{settlement_id}-report"
        if form is Format.JSON:
            shape = {**_settlement_head(settlement), **_report_body(report)}
            return report_response(form, name, orjson.dumps(shape))
        about = Column("settlementId", "settlement", Kind.COUNT)
        if form is Format.CSV:
            return report_response(form, name, _csv(about, settlement_id, report))
        facts = [
            ("Model", settlement.terms.model),
            ("State", settlement.state.value),
            ("Reason", settlement.reason),
            ("Reference", settlement.external_reference),
            ("Windows", ", ".join(map(str, settlement.window_ids))),
            ("Created", timestamp_text(settlement.created_at_ms)),
            ("Changed", timestamp_text(settlement.changed_at_ms)),
        ]
        return report_response(form, name, self._page(f"Settlement {settlement_id}", facts, report))

    async def _settled(self, settlement: Settlement, participant: str | None) -> Settled:
        """Return a settlement with all of its accounts and legs, or those of one participant."""
        number = settlement.settlement_id
        async with aclosing(self._reader.accounts(number)) as pages:
            found = [one async for page in pages for one in page if participant in (None, one.participant)]
        legs: dict[tuple[int, str], int] = {}
        for account in found:
            async with aclosing(self._reader.legs(number, account.account_id)) as parts:
                async for part in parts:
                    legs.update({(account_id, leg.counterparty): leg.net for account_id, leg in part})
        return Settled(settlement, {account.account_id: account for account in found}, legs)

    def _page(self, title: str, facts: list[tuple[str, str | None]], report: SettlementReport) -> bytes:
        parts = [
            page_begin(self._hub_name, title, facts, f"report made {timestamp_text(self._clock())}"),
            page_faults(report.faults),
            *(_section_table(section) for section in report.sections),
            page_note(_SIGNS),
            page_end(),
        ]
        return "".join(parts).encode()


def _query(request: Request) -> tuple[Format, int, str | None]:
    refuse_unknown(request, ReportQuery.__annotations__)
    query = read_query(request, QUERY)
    return chosen_format(request, query), number_in_path(request, "id"), query.get("participant")


def _settlement_head(settlement: Settlement) -> dict[str, Any]:
    return {
        "settlementId": settlement.settlement_id,
        "settlementModel": settlement.terms.model,
        "state": settlement.state.value,
        "reason": settlement.reason,
        "createdDate": timestamp_text(settlement.created_at_ms),
        "changedDate": timestamp_text(settlement.changed_at_ms),
        "settlementWindows": list(settlement.window_ids),
    }


def _report_body(report: SettlementReport) -> dict[str, Any]:
    """Return the sections; amounts are text, for most readers make floats of JSON's numbers."""
    return {"sections": [_section_body(section) for section in report.sections], "faults": list(report.faults)}


def _section_body(section: Section) -> dict[str, Any]:
    shapes = []
    for row in section.rows:
        shape: dict[str, Any] = {
            "participant": row.party.participant,
            "participantId": row.ids.participant_id,
            "accountId": row.ids.account_id,
            "counterparty": row.party.counterparty or None,
            **_net_body(row.net),
        }
        if row.account is not None:
            shape["accountState"] = row.account.state.value
            shape["externalReference"] = row.account.external_reference
        shapes.append(shape)
    return {**_netting_group_fields(section.netting_group), "participants": shapes, "total": _net_body(section.total)}


def _netting_group_fields(netting_group: NettingGroup) -> dict[str, str]:
    return {
        "currency": netting_group.currency,
        "ledgerAccountType": netting_group.account_type,
        "granularity": netting_group.granularity,
    }


def _net_body(net: Net) -> dict[str, Any]:
    return {
        "debits": format_amount(net.debits),
        "debitCount": net.debit_count,
        "credits": format_amount(net.credits),
        "creditCount": net.credit_count,
        "netAmount": format_amount(net.amount),
    }


def _csv(about: Column, number: int, report: SettlementReport) -> bytes:
    """Return all sections as one table, in which every row names its netting group."""
    is_settlement = about.name == "settlementId"
    columns = (about, *_NETTING_GROUP, *_PARTY, *_IDS, *_NET, *(_ACCOUNT if is_settlement else ()))

    def rows() -> Iterator[tuple[Cell, ...]]:
        for section in report.sections:
            for row in section.rows:
                account = row.account
                of_account = () if account is None else (account.state.value, account.external_reference)
                absent: tuple[Cell, ...] = (None, None) if is_settlement and account is None else ()
                yield (
                    number,
                    *section.netting_group,
                    *row.party,
                    *row.ids,
                    *_net_cells(row.net),
                    *of_account,
                    *absent,
                )

    return csv_header(columns) + csv_lines(columns, rows())


def _section_table(section: Section) -> str:
    """Return a netting group's table without the columns that would be empty in all its rows."""
    by_pairs = any(row.party.counterparty for row in section.rows)
    is_settlement = any(row.account is not None for row in section.rows)
    has_reference = any(row.account is not None and row.account.external_reference for row in section.rows)
    party = _PARTY if by_pairs else _PARTY[:1]
    account = _ACCOUNT[: is_settlement + has_reference]
    rows: list[tuple[Cell, ...]] = []
    for row in section.rows:
        progress = (None, None) if row.account is None else (row.account.state.value, row.account.external_reference)
        rows.append((*row.party[: len(party)], *_net_cells(row.net), *progress[: len(account)]))
    total: tuple[Cell, ...] = ("all", *(None for _ in party[1:]), *_net_cells(section.total), *(None for _ in account))
    gross = ", settled one by one" if section.netting_group.granularity == "GROSS" else ""
    caption = f"{section.netting_group.currency}, {section.netting_group.account_type}{gross}"
    return page_table(caption, (*party, *_NET, *account), rows, total)


def _net_cells(net: Net) -> tuple[Cell, ...]:
    return (net.debits, net.debit_count, net.credits, net.credit_count, net.amount)
