"""The hub's reports: where they are, and what they say as checked values."""

from __future__ import annotations

from enum import Enum
from typing import Final, TypeVar
from urllib.parse import quote, urlencode

from pydantic import Field, TypeAdapter, ValidationError

from clearinghub.tools.client.admin import AdminClient, AdminError
from clearinghub.tools.client.responses import Shape, Units

Content = TypeVar("Content")


class Form(Enum):
    """The forms that a report may be had in."""

    JSON = "json"
    CSV = "csv"
    HTML = "html"


class ReportNet(Shape):
    """Debits, credits and how many of each; the net is positive for what is owed to the scheme."""

    debits_units: Units = Field(alias="debits")
    debit_count: int = Field(alias="debitCount")
    credits_units: Units = Field(alias="credits")
    credit_count: int = Field(alias="creditCount")
    net_units: Units = Field(alias="netAmount")


class ReportRow(ReportNet):
    """A participant's, against one other where pairs are netted; with its state in a settlement."""

    participant: str
    counterparty: str | None
    state: str | None = Field(default=None, alias="accountState")


class ReportSection(Shape):
    """One currency and one ledger account type."""

    currency: str
    account_type: str = Field(alias="ledgerAccountType")
    granularity: str
    rows: tuple[ReportRow, ...] = Field(alias="participants")
    total: ReportNet


class Report(Shape):
    """The report of a window or of a settlement; it does not add up if there are `faults`."""

    state: str
    reason: str | None
    sections: tuple[ReportSection, ...]
    faults: tuple[str, ...]


class WindowTransfer(Shape):
    """One transfer of a window."""

    transfer_id: str = Field(alias="transferId")
    payer: str
    payee: str
    currency: str
    amount_units: Units = Field(alias="amount")
    fee_units: Units = Field(alias="interchangeFee")
    finished_at: str = Field(alias="finishedAt")


class WindowTransfers(Shape):
    """Transfers of a window; `rest` is set when there are more."""

    state: str
    transfers: tuple[WindowTransfer, ...]
    faults: tuple[str, ...]
    rest: str | None = Field(default=None, alias="next")


class StatementEntry(Shape):
    """One change of an account."""

    number: int = Field(alias="changeNumber")
    at: str
    transfer_id: str = Field(alias="transferId")
    entry_type: str = Field(alias="entryType")
    change_units: Units = Field(alias="change")
    value_units: Units = Field(alias="value")


class Statement(Shape):
    """An account's statement; `rest` is set when there are more lines."""

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
    """Where the reports are on the admin port."""

    def __init__(self, base_path: str) -> None:
        self._base_path = base_path

    def window(self, number: int) -> str:
        """The report of a window."""
        return f"{self._base_path}/settlementWindows/{number}/report"

    def settlement(self, number: int) -> str:
        """The report of a settlement."""
        return f"{self._base_path}/settlements/{number}/report"

    def transfers(self, number: int) -> str:
        """The transfers of a window."""
        return f"{self._base_path}/settlementWindows/{number}/transfers"

    @staticmethod
    def statement(name: str, account_id: int) -> str:
        """The statement of an account."""
        return f"/participants/{quote(name, safe='')}/accounts/{account_id}/statement"


def in_form(path: str, form: Form, **query: object) -> str:
    """A report's path with its query; what is None is left out."""
    asked = {"format": form.value, **{name: value for name, value in query.items() if value is not None}}
    return f"{path}?{urlencode(asked)}"


async def read_report(admin: AdminClient, path: str, kind: TypeAdapter[Content]) -> Content:
    """A report's document.

    Raises:
        AdminError: there is none, or it cannot be read.
    """
    reply = await admin.call("GET", path)
    try:
        return kind.validate_python(reply.content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise AdminError(f"the hub's answer cannot be read: {place}: {first['msg']}") from error
