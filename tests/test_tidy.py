"""Rules of style that no linter knows: lengths, banned texts, docstrings that say nothing, fragments of files.

Who may import whom is in pyproject.toml (import-linter).
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = ("agents", "clearinghub", "sandbox", "tables", "web")
SOURCES = sorted(path for folder in (*OURS, "bench", "tests") for path in (ROOT / folder).rglob("*.py"))
SCRIPTS = [ROOT / "Makefile", ROOT / ".ci/run"]

FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 400
# What was over budget once, at its length then. An entry may only shrink, and goes when it is within budget.
LONG_FUNCTIONS: dict[str, int] = {
    "tests/unit/tools/apply/test_declared.py::test_all_faults_are_reported_in_the_order_of_the_file": 61,
}
LONG_FILES: dict[str, int] = {}


@dataclass(frozen=True)
class Ban:
    """A text that may not stand in some files, and what to write instead."""

    pattern: str
    folders: tuple[str, ...]
    instead: str


EVERYWHERE = ("agents/", "bench/", "clearinghub/", "sandbox/", "tables/", "tests/", "web/")
BANS = [
    Ban(r"\bfloat\(", ("agents/", "clearinghub/domain/", "tables/", "web/"), "integers of 1/10,000 (domain/money.py)"),
    Ban(
        r"\btime\.time|\bmonotonic\(|datetime\.now|utcnow|\brandom\b|\buuid4\b|\bos\.environ|\blogging\b|structlog",
        ("clearinghub/domain/",),
        "an argument: now_ms, an id, a limit; a replay must decide the same",
    ),
    Ban(r"^\s*except\s*:", EVERYWHERE, "except and the exceptions that are meant"),
    Ban(r"\bTODO\b|\bFIXME\b", EVERYWHERE, "the thing itself, or an issue"),
    Ban(
        r"from aiohttp import (.*\b)?web\b",
        EVERYWHERE,
        "from aiohttp.web import Request, Response (web is our package)",
    ),
    Ban(r"unittest\.mock|from unittest import mock|\bmonkeypatch\.setattr\(", EVERYWHERE, "a small class as a fake"),
    Ban(
        r"\bautodiscover\s*=\s*[^F\s]",
        EVERYWHERE,
        "wiring by hand in clearinghub/roles: discovery swallows import errors",
    ),
    Ban(r"\|\|\s*true\b", ("Makefile", ".ci/"), "a check that can fail"),
    Ban(r"fmt: " + "skip", EVERYWHERE, "lines that the formatter likes; split by subject, not by length"),
]

DOCSTRING_WORDS_MIN = 5

SMALL_FILE_LINES = 40
# Files below that length which only one file imports, with the reason why they are not a part of it.
SMALL_FILES: dict[str, str] = {
    "agents/commands.py": "the index of all commands, as handlers.py is that of all topics",
    "agents/settlement/commands.py": "a part of the index of commands, with its feature",
    "agents/transfers/credit.py": "the handler of one topic",
    "clearinghub/engine/environment.py": "what tests replace to simulate a process",
    "clearinghub/roles/schedule.py": "cron expressions, tested alone",
    "web/admin/transactions.py": "the handlers of one path",
    "web/fspiop/keys.py": "the handler of one path",
}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function from the first statement after its docstring to its end."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    assert function.end_lineno is not None
    return function.end_lineno - body[0].lineno + 1 if body else 0


def functions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + child.name, child
        name = getattr(child, "name", None)
        yield from functions(child, f"{prefix}{name}." if isinstance(name, str) else prefix)


def imports(path: Path) -> Iterator[str]:
    """All modules that a file imports, and for `from a import b` both `a` and `a.b`'s fuller name."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: write the whole name of the module"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def names_given(node: ast.Call | ast.Dict) -> set[object]:
    """The names of a call's keyword arguments, or the keys of a display of a dict."""
    if isinstance(node, ast.Call):
        return {keyword.arg for keyword in node.keywords}
    return {key.value for key in node.keys if isinstance(key, ast.Constant)}


def is_within(module: str, prefixes: Iterable[str]) -> bool:
    return any(module == prefix or module.startswith(f"{prefix}.") for prefix in prefixes)


def test_functions_are_within_budget() -> None:
    long = {
        f"{name_of(path)}::{name}": lines
        for path in SOURCES
        for name, function in functions(tree_of(path))
        if (lines := body_lines(function)) > FUNCTION_LINES_MAX
    }

    assert LONG_FUNCTIONS == long


def test_files_are_within_budget() -> None:
    long = {}
    for path in SOURCES:
        lines = path.read_text().count("\n")
        if lines > FILE_LINES_MAX:
            long[name_of(path)] = lines

    assert LONG_FILES == long


@pytest.mark.parametrize("ban", BANS, ids=lambda ban: ban.pattern)
def test_banned_words(ban: Ban) -> None:
    pattern = re.compile(ban.pattern)
    found = [
        f"{name_of(path)}:{number}: {line.strip()}"
        for path in (*SOURCES, *SCRIPTS)
        if name_of(path).startswith(ban.folders) and path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if pattern.search(line)
    ]

    assert [] == found, f"write instead: {ban.instead}"


def test_the_domain_needs_the_standard_library_and_msgspec() -> None:
    foreign = [
        f"{name_of(path)} imports {module}"
        for path in SOURCES
        if name_of(path).startswith("clearinghub/domain/")
        for module in imports(path)
        if module.partition(".")[0] not in {*sys.stdlib_module_names, "msgspec"} and not is_within(module, OURS)
    ]

    assert [] == foreign


def test_the_model_imports_nothing_of_ours() -> None:
    """It judges the hub by rules of its own."""
    ours = (*OURS, "bench", "tests")
    wrong = [
        f"{name_of(path)} imports {module}"
        for path in SOURCES
        if name_of(path).startswith("tests/model/")
        for module in imports(path)
        if is_within(module, ours) and not is_within(module, ("tests.model",))
    ]

    assert [] == wrong


def test_docstrings_say_more_than_the_name() -> None:
    short = [
        f"{name_of(path)}: {docstring}"
        for path in SOURCES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and (docstring := ast.get_docstring(node)) is not None
        and len(docstring.split()) < DOCSTRING_WORDS_MIN
    ]

    assert [] == short


def test_small_files_have_a_reason() -> None:
    """A file that only one other file imports is a part of that file, unless there is a reason."""
    product = [path for path in SOURCES if name_of(path).startswith(OURS)]
    importers: dict[str, set[Path]] = {}
    for path in product:
        for module in imports(path):
            for name in (module, module.rpartition(".")[0]):
                importers.setdefault(name, set()).add(path)
    small = {
        name_of(path)
        for path in product
        if path.name != "__init__.py"
        and path.read_text().count("\n") < SMALL_FILE_LINES
        and len(importers.get(name_of(path).removesuffix(".py").replace("/", "."), set())) == 1
    }

    assert set() == small - set(SMALL_FILES)


def test_a_prefix_comes_with_an_application_id() -> None:
    """With the default id a test gets other tests' changelogs; tests/apart.py makes settings with both."""
    pairs = (("topic_prefix", "application_id"), ("CLEARINGHUB_TOPIC_PREFIX", "CLEARINGHUB_APPLICATION_ID"))

    assert [] == [
        f"{name_of(path)}:{node.lineno}: {prefix} without {application}"
        for path in SOURCES
        if name_of(path).startswith(("bench/", "tests/"))
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call | ast.Dict)
        for prefix, application in pairs
        if prefix in names_given(node) and application not in names_given(node)
    ]


def test_messages_and_rows_are_typed() -> None:
    typed = ("agents/", "clearinghub/domain/", "tables/")

    assert [] == [
        name_of(path) for path in SOURCES if name_of(path).startswith(typed) and "dict[str, Any]" in path.read_text()
    ]
