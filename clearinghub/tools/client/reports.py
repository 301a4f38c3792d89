"""The hub's reports: their paths, and their content as checked values."""

from __future__ import annotations

from enum import Enum
from typing import Final
from urllib.parse import quote, urlencode

from pydantic import Field, TypeAdapter

from clearinghub.tools.client.admin import AdminClient, Content, parsed
from clearinghub.tools.client.responses import Response, Units


class Form(Enum):
    """The formats in which a report can be read."""

    JSON = "json"
    CSV = "csv"
    HTML = "html"


class ReportNet(Response):
    """Debits and credits with their numbers; the net is positive for what is owed to the scheme."""

    debits_units: Units = Field(alias="debits")
    debit_count: int = Field(alias="debitCount")
    credits_units: Units = Field(alias="credits")
    credit_count: int = Field(alias="creditCount")
    net_units: Units = Field(alias="netAmount")


class ReportRow(ReportNet):
    """The row of a participant; against one other where pairs are netted, with its state in a settlement."""

    participant: str
    counterparty: str | None
    state: str | None = Field(default=None, alias="accountState")


class ReportSection(Response):
    """The rows of one currency and ledger account type."""

    currency: str
    account_type: str = Field(alias="ledgerAccountType")
    granularity: str
    rows: tuple[ReportRow, ...] = Field(alias="participants")
    total: ReportNet


class Report(Response):
    """The report of a window or of a settlement; it does not add up if there are `faults`."""

    state: str
    reason: str | None
    sections: tuple[ReportSection, ...]
    faults: tuple[str, ...]


class WindowTransfer(Response):
    transfer_id: str = Field(alias="transferId")
    payer: str
    payee: str
    currency: str
    amount_units: Units = Field(alias="amount")
    fee_units: Units = Field(alias="interchangeFee")
    finished_at: str = Field(alias="finishedAt")


class WindowTransfers(Response):
    """Transfers of a window; `rest` is set when there are more."""

    state: str
    transfers: tuple[WindowTransfer, ...]
    faults: tuple[str, ...]
    rest: str | None = Field(default=None, alias="next")


class StatementEntry(Response):
    number: int = Field(alias="changeNumber")
    at: str
    transfer_id: str = Field(alias="transferId")
    entry_type: str = Field(alias="entryType")
    change_units: Units = Field(alias="change")
    value_units: Units = Field(alias="value")


class Statement(Response):
    """An account's statement; `rest` is set when there are more entries."""

    from_at: str = Field(alias="from")
    to_at: str = Field(alias="to")
    opening_units: Units = Field(alias="openingBalance")
    entries: tuple[StatementEntry, ...] = Field(alias="lines")
    closing_units: Units = Field(alias="closingBalance")
    kept_from: str | None = Field(default=None, alias="keptFrom")
    rest: str | None = Field(default=None, alias="next")


REPORT: Final = TypeAdapter(Report)
TRANSFERS: Final = TypeAdapter(WindowTransfers)
STATEMENT: Final = TypeAdapter(Statement)


class ReportPaths:
    """The paths of the reports on the admin port."""

    def __init__(self, base_path: str) -> None:
        self._base_path = base_path

    def window(self, number: int) -> str:
        return f"{self._base_path}/settlementWindows/{number}/report"

    def settlement(self, number: int) -> str:
        return f"{self._base_path}/settlements/{number}/report"

    def transfers(self, number: int) -> str:
        return f"{self._base_path}/settlementWindows/{number}/transfers"

    @staticmethod
    def statement(name: str, account_id: int) -> str:
        return f"/participants/{quote(name, safe='')}/accounts/{account_id}/statement"


def in_form(path: str, form: Form, **query: object) -> str:
    """Return a report's path with its query, without parameters that are None."""
    parameters = {"format": form.value, **{name: value for name, value in query.items() if value is not None}}
    return f"{path}?{urlencode(parameters)}"


async def read_report(admin: AdminClient, path: str, kind: TypeAdapter[Content]) -> Content:
    """Read a report.

    Raises:
        AdminError: the hub has no such report, or its answer cannot be read.
    """
    return parsed(await admin.call("GET", path), kind)
