"""EXCLUDED.md is read strictly, and each of its rows names something."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conformance.exclusions import EXCLUDED_FILE, ExclusionError, read_exclusions
from tests.conformance.plan import read_plan

HEAD = "| Collection | Test case | Requests | Reason |\n|---|---|---|---|\n"
FILE = "collections/hub/one.json"
CASES = {"first": ["Send quote", "Send transfer", "Send transfer"], "second": ["Get"]}


def excluded_md(folder: Path, *rows: str) -> Path:
    path = folder / "EXCLUDED.md"
    path.write_text("# Title\n\nWords, and a | bar.\n\n" + HEAD + "".join(f"{row}\n" for row in rows))
    return path


def kit_in(folder: Path) -> Path:
    """A kit with one collection."""
    entry = {"order": 1, "file": FILE, "group": "some", "assertions": 4}
    (folder / "acceptance.json").write_text(json.dumps({"list": [entry]}))
    cases = [{"id": key, "requests": [{"description": name} for name in names]} for key, names in CASES.items()]
    path = folder / "cases" / FILE
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"test_cases": cases}))
    return folder


@pytest.mark.parametrize(
    ("row", "applying"),
    [
        ("| `one.json` | all | all | why |", []),
        ("| `one.json` | first | all | why |", ["second 0"]),
        ("| `one.json` | first | Send quote | why |", ["first 1", "first 2", "second 0"]),
        ("| `one.json` | first | Send transfer | why |", ["first 0", "second 0"]),
        ("| `one.json` | first | Send quote; #3 | why |", ["first 1", "second 0"]),
    ],
)
def test_a_row_leaves_out_what_it_names(tmp_path: Path, row: str, applying: list[str]) -> None:
    (collection,) = read_plan(kit_in(tmp_path), read_exclusions(excluded_md(tmp_path, row)))

    assert applying == [
        f"{case.case_id} {index}" for case in collection.cases for index, one in enumerate(case.excluded) if one is None
    ]
    assert bool(applying) == collection.applies


@pytest.mark.parametrize(
    "row",
    [
        "| `other.json` | all | all | why |",
        "| `one.json` | third | all | why |",
        "| `one.json` | first | Get | why |",
        "| `one.json` | second | #2 | why |",
    ],
)
def test_a_row_that_names_nothing_is_an_error(tmp_path: Path, row: str) -> None:
    exclusions = read_exclusions(excluded_md(tmp_path, row))

    with pytest.raises(ExclusionError, match=r"EXCLUDED\.md:\d+: .* names nothing"):
        read_plan(kit_in(tmp_path), exclusions)


@pytest.mark.parametrize(
    "row", ["| `one.json` | all | why |", "| `one.json` | all | all | |", "| a | all | Get | why |"]
)
def test_a_row_that_is_none_is_an_error(tmp_path: Path, row: str) -> None:
    with pytest.raises(ExclusionError, match=r"EXCLUDED\.md:7: "):
        read_exclusions(excluded_md(tmp_path, row))


def test_our_own_file_can_be_read() -> None:
    exclusions = read_exclusions()

    assert exclusions, EXCLUDED_FILE
    assert all(one.reason and one.file.endswith(".json") for one in exclusions)
