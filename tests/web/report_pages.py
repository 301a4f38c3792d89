"""Reads reports: the rows of CSV, the tables of a page."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser
from typing import Any

from tests.web.admin_world import Operator


class Page(HTMLParser):
    """An HTML page: its table rows, the names of its elements, and their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.rows: list[list[str]] = []
        self.attributes: list[tuple[str, str | None]] = []
        self._cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self._cell = True
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.rows[-1][-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._cell = self._cell and tag not in ("td", "th")


async def text_of(operator: Operator, path: str, form: str, **headers: str) -> tuple[str, Any]:
    async with operator.client.get(path, params={"format": form} if form else None, headers=headers) as response:
        assert 200 == response.status, await response.text()
        return await response.text(), response.headers


async def rows_of(operator: Operator, path: str) -> list[dict[str, str]]:
    text, _headers = await text_of(operator, path, "csv")
    return list(csv.DictReader(io.StringIO(text, newline="")))
