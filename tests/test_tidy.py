"""How the code is to look, where no linter knows: budgets, words that are banned, and who may import whom."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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
]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function from its first statement behind the docstring to its end."""
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
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: write the whole name of the module"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_within(module: str, prefixes: Iterable[str]) -> bool:
    return any(module == prefix or module.startswith(f"{prefix}.") for prefix in prefixes)


def test_functions_are_within_budget() -> None:
    long = {
        f"{name_of(path)}::{name}": lines
        for path in SOURCES
        for name, function in functions(ast.parse(path.read_text()))
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
