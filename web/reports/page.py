"""A report as one HTML page, for screen and A4 paper: it needs no other file, and nothing in it runs."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from clearinghub.domain.money import SCALE, UNITS_PER_CURRENCY_UNIT
from web.reports.table import Cell, Column, Kind, plain

DECIMALS_MIN: Final = 2

_NUMBER: Final = ' class="n"'
_CLASSES: Final = {
    Kind.TEXT: "",
    Kind.ID: ' class="i"',
    Kind.TIME: ' class="t"',
    Kind.AMOUNT: _NUMBER,
    Kind.COUNT: _NUMBER,
}
_STYLE: Final = """
@page{size:A4;margin:16mm 14mm 18mm}
@page{@bottom-right{content:counter(page) " / " counter(pages);font:8pt sans-serif;color:#555}}
:root{color:#111;background:#fff;font:10.5pt/1.4 "Liberation Sans",Arial,Helvetica,sans-serif}
body{max-width:182mm;margin:10mm auto;padding:0 6mm}
h1{font-size:17pt;margin:0 0 1mm}
h2{font-size:11.5pt;margin:7mm 0 2mm;break-after:avoid}
.hub{color:#555;margin:0 0 5mm}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.6mm 6mm;margin:0;font-size:9.5pt}
dt{color:#555}
dd{margin:0}
dd,td,th{unicode-bidi:isolate;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;font-size:8.8pt;margin-top:4mm}
h2+table{margin-top:0}
thead{display:table-header-group}
tr{break-inside:avoid}
th,td{padding:.8mm 1.5mm;text-align:left;vertical-align:top}
th{font-weight:600;white-space:nowrap;border-bottom:.3mm solid #111}
td{border-bottom:.1mm solid #ccc}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.t{font-variant-numeric:tabular-nums;white-space:nowrap}
td.i{font:7pt "Liberation Mono",monospace}
tr.sum td{font-weight:600;border-top:.3mm solid #111;border-bottom:0}
.wrong{border:.6mm solid #b00020;color:#b00020;padding:2mm 4mm;margin:5mm 0;break-inside:avoid}
.wrong p{margin:.5mm 0}
.note{color:#555;font-size:9pt;margin:3mm 0}
@media print{body{max-width:none;margin:0;padding:0}a{color:inherit}.wrong{-webkit-print-color-adjust:exact}}
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_NOTHING_BUT_STYLE: Final = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'"

CONTENT_SECURITY_POLICY: Final = f"{_NOTHING_BUT_STYLE}; frame-ancestors 'none'"
"""Of the answer. The page says the same itself, but for who may frame it: it may be opened from a file."""


def page_begin(hub_name: str, title: str, facts: Iterable[tuple[str, str | None]], made_at: str) -> str:
    """Return the page up to its first table; a fact that is None is left out."""
    listed = "".join(f"<dt>{_text(name)}</dt><dd>{_text(fact)}</dd>" for name, fact in facts if fact is not None)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_NOTHING_BUT_STYLE}">\n'
        '<meta name="viewport" content="width=device-width">\n<meta name="robots" content="noindex">\n'
        f"<title>{_text(title)} - {_text(hub_name)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f'<h1>{_text(title)}</h1>\n<p class="hub">{_text(hub_name)}, {_text(made_at)}</p>\n<dl>{listed}</dl>\n'
    )


def page_faults(faults: Sequence[str]) -> str:
    """Return the report's faults, marked so that nobody overlooks them; empty if there are none."""
    if not faults:
        return ""
    paragraphs = "".join(f"<p>{_text(fault)}</p>" for fault in faults)
    return f'<div class="wrong"><p><strong>This report does not add up.</strong></p>{paragraphs}</div>\n'


def page_table(
    caption: str | None, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], total: Sequence[Cell] | None = None
) -> str:
    """Return a table with its caption; `total` is its last row. The amounts of a column have equally many decimals."""
    shown = rows if total is None else [*rows, total]
    decimals = [_decimals([row[index] for row in shown], column.kind) for index, column in enumerate(columns)]
    lines = [
        "".join(
            f"<td{_CLASSES[column.kind]}>{_cell(cell, column.kind, digits)}</td>"
            for column, cell, digits in zip(columns, row, decimals, strict=True)
        )
        for row in shown
    ]
    last = "" if total is None else f'\n<tr class="sum">{lines.pop()}</tr>'
    heads = "".join(f"<th{_CLASSES[column.kind]}>{_text(column.heading)}</th>" for column in columns)
    heading = "" if caption is None else f"<h2>{_text(caption)}</h2>\n"
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f"{heading}<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}{last}\n</tbody>\n</table>\n"


def page_note(text: str) -> str:
    return f'<p class="note">{_text(text)}</p>\n'


def page_link(text: str, path: str) -> str:
    """Return a link to a path of the hub."""
    return f'<p class="note"><a href="{_text(path)}">{_text(text)}</a></p>\n'


def page_end() -> str:
    return "</body>\n</html>\n"


def shown_amount(amount: int, decimals: int) -> str:
    """Return an amount with separated thousands and that number of decimals."""
    whole, fraction = divmod(abs(amount), UNITS_PER_CURRENCY_UNIT)
    return f"{'-' if amount < 0 else ''}{whole:,}.{f'{fraction:0{SCALE}}'[:decimals]}"


def _decimals(cells: Iterable[Cell], kind: Kind) -> int:
    if kind is not Kind.AMOUNT:
        return 0
    fractions = (f"{abs(cell) % UNITS_PER_CURRENCY_UNIT:0{SCALE}}" for cell in cells if isinstance(cell, int))
    return max([DECIMALS_MIN, *(len(fraction.rstrip("0")) for fraction in fractions)])


def _cell(cell: Cell, kind: Kind, decimals: int) -> str:
    if cell is None:
        return ""
    if isinstance(cell, int):
        return shown_amount(cell, decimals) if kind is Kind.AMOUNT else f"{cell:,}"
    if kind is Kind.TIME:
        return _text(cell.replace("T", " ").removesuffix("Z"))
    return _text(cell).replace("_", "_<wbr>")


def _text(text: str) -> str:
    return escape(plain(text))
