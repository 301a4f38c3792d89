"""Only what the kit has drawn badly is run again, and only so often."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.chance import DRAWN, DRAWS_MAX, REFUSED, draw_again
from tests.conformance.plan import Collection

OTHER = "collections/hub/other.json"


def report_of(callback: dict[str, Any] | None, operation: str = "/parties/{Type}/{ID}") -> str:
    request: dict[str, Any] = {"request": {"operationPath": operation}, "callback": callback}
    return json.dumps({"test_cases": [{"requests": [request]}]})


def refused(**changed: str) -> dict[str, Any]:
    extension = [{"key": key, "value": value} for key, value in (REFUSED | changed).items()]
    return {"body": {"errorInformation": {"errorCode": "3000", "extensionList": {"extension": extension}}}}


class Kit:
    """Writes one report after the other; the first is there before anything is run again."""

    def __init__(self, folder: Path, reports: list[str], file: str = DRAWN[0]) -> None:
        self.collection = Collection({"order": 18, "file": file}, ())
        self.again = 0
        self._folder = folder
        self._reports = reports
        self._write()

    def run_one(self, _collection: Collection) -> None:
        self.again += 1
        self._write()

    def draw_again(self) -> int:
        draw_again([self.collection], self._folder, self.run_one, lambda _line: None)
        return self.again

    def _write(self) -> None:
        (self._folder / "018.json").write_text(self._reports.pop(0))


def test_it_runs_again_until_the_draw_is_valid(tmp_path: Path) -> None:
    good = report_of({"body": {"party": {}}})
    assert 2 == Kit(tmp_path, [report_of(refused()), report_of(refused()), good]).draw_again()


def test_it_ends_where_every_draw_is_refused(tmp_path: Path) -> None:
    assert DRAWS_MAX == Kit(tmp_path, [report_of(refused())] * (DRAWS_MAX + 1)).draw_again()


@pytest.mark.parametrize(
    "report",
    [
        report_of(None),
        report_of({"body": {"errorInformation": {"errorCode": "3204"}}}),
        report_of(refused(status="500")),
        report_of(refused(sourceFsp="payeefsp")),
        report_of(refused(), "/quotes"),
    ],
)
def test_another_failure_is_a_failure(tmp_path: Path, report: str) -> None:
    assert 0 == Kit(tmp_path, [report]).draw_again()


def test_another_collection_is_not_run_again(tmp_path: Path) -> None:
    assert 0 == Kit(tmp_path, [report_of(refused())], OTHER).draw_again()
