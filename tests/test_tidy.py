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
OURS = ("agents", "clearinghub", "tables", "web")
SOURCES = sorted(path for folder in (*OURS, "bench", "tests") for path in (ROOT / folder).rglob("*.py"))
SCRIPTS = [ROOT / "Makefile", ROOT / ".ci/run"]

FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 300
DOMAIN_FILE_LINES_MAX = 260
# What was over budget once, at its length then. An entry may only shrink, and goes when it is within budget.
LONG_FUNCTIONS: dict[str, int] = {}
LONG_FILES: dict[str, int] = {}


@dataclass(frozen=True)
class Ban:
    """A text that may not stand in some files, and what to write instead."""

    pattern: str
    folders: tuple[str, ...]
    instead: str


EVERYWHERE = ("agents/", "bench/", "clearinghub/", "tables/", "tests/", "web/")
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
        "wiring by hand in clearinghub/hub: discovery swallows import errors",
    ),
    Ban(r"\|\|\s*true\b", ("Makefile", ".ci/"), "a check that can fail"),
]

# Who may import whom (design 10, style 3); an area may always import itself, agents only their shell. What is not
# listed here is glue around the parts: entry points, the broker, the topics.
ARROWS: dict[str, tuple[str, ...]] = {
    "clearinghub/domain/": (),
    "clearinghub/engine/": (),
    "clearinghub/messages.py": (),
    "clearinghub/bulk_messages.py": (),
    "clearinghub/party_messages.py": (),
    "clearinghub/settlement_messages.py": (),
    "clearinghub/config.py": (),
    "clearinghub/ports.py": ("clearinghub.domain",),
    "clearinghub/delivery/": (
        "clearinghub.config", "clearinghub.domain", "clearinghub.jws", "clearinghub.messages", "clearinghub.ports",
    ),
    "clearinghub/jws/": ("clearinghub.config",),
    "clearinghub/oracles/": (
        "clearinghub.config", "clearinghub.delivery", "clearinghub.messages", "clearinghub.party_messages",
    ),
    "clearinghub/client/": ("clearinghub.config", "clearinghub.delivery.templates", "clearinghub.domain"),
    "clearinghub/sandbox/": ("clearinghub.client", "clearinghub.config", "clearinghub.domain", "clearinghub.jws"),
    "clearinghub/demo/": ("clearinghub.client", "clearinghub.config", "clearinghub.domain", "clearinghub.sandbox"),
    # Independent of what it checks: no decision of the domain, no agent, no table, not even its way of writing amounts.
    "clearinghub/audit/": ("clearinghub.broker", "clearinghub.config", "clearinghub.messages"),
    "clearinghub/admin_cli/": (
        "clearinghub.client", "clearinghub.config", "clearinghub.delivery.templates", "clearinghub.domain",
    ),
    "clearinghub/archive/": (
        "clearinghub.broker", "clearinghub.config", "clearinghub.logs", "clearinghub.messages", "clearinghub.signals",
    ),
    "clearinghub/parties_cli/": (
        "clearinghub.broker", "clearinghub.config", "clearinghub.domain", "clearinghub.engine.overlay",
        "clearinghub.kafka", "clearinghub.messages", "clearinghub.party_messages", "clearinghub.ports",
    ),
    "clearinghub/report_cli/": (
        "clearinghub.admin_cli", "clearinghub.audit", "clearinghub.broker", "clearinghub.client", "clearinghub.config",
        "clearinghub.domain",
    ),
    "clearinghub/apply/": (
        "clearinghub.admin_cli", "clearinghub.client", "clearinghub.config", "clearinghub.delivery.templates",
        "clearinghub.domain",
    ),
    # Judges the hub by rules of its own.
    "tests/model/": (),
    "tables/": ("clearinghub.domain", "clearinghub.engine.record", "clearinghub.messages"),
    "agents/": (
        "agents.alarms", "agents.bulk_notifier", "agents.fees", "agents.netting", "agents.notifier",
        "agents.one_transfer", "agents.oracle_question", "agents.party_notifier", "agents.settlement",
        "agents.settlement_moves", "agents.settlements", "agents.shell", "agents.windows",
        "clearinghub.bulk_messages", "clearinghub.delivery", "clearinghub.domain", "clearinghub.engine.record",
        "clearinghub.messages", "clearinghub.oracles", "clearinghub.party_messages", "clearinghub.ports",
        "clearinghub.settlement_messages", "tables",
    ),
    # Values of the domain, and none of its decisions: these are the ledger's.
    "web/": (
        "clearinghub.__version__", "clearinghub.bulk_messages", "clearinghub.config", "clearinghub.delivery.templates",
        "clearinghub.domain.currencies", "clearinghub.domain.ilp", "clearinghub.domain.money",
        "clearinghub.domain.netting", "clearinghub.domain.settlement", "clearinghub.domain.settlement_creation",
        "clearinghub.domain.settlement_fields", "clearinghub.domain.settlement_report",
        "clearinghub.domain.settlement_window", "clearinghub.domain.window_transfer",
        "clearinghub.domain.participant", "clearinghub.domain.party", "clearinghub.domain.position",
        "clearinghub.domain.rejections",
        "clearinghub.domain.scheme", "clearinghub.domain.statement", "clearinghub.domain.timestamps",
        "clearinghub.domain.transfer", "clearinghub.jws.signature",
        "clearinghub.messages", "clearinghub.party_messages", "clearinghub.ports",
    ),
}  # fmt: skip
MAY_IMPORT_HUB = ("clearinghub/__main__.py", "clearinghub/hub/", "tests/", "bench/")


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


def area_of(path: Path) -> str | None:
    return next((area for area in ARROWS if name_of(path).startswith(area)), None)


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
        if lines > (DOMAIN_FILE_LINES_MAX if name_of(path).startswith("clearinghub/domain/") else FILE_LINES_MAX):
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


def test_arrows_point_inward() -> None:
    wrong = []
    for path in SOURCES:
        area = area_of(path)
        if area is None:
            continue
        own = () if area == "agents/" else (area.rstrip("/").removesuffix(".py").replace("/", "."),)
        wrong += [
            f"{name_of(path)} imports {module}"
            for module in imports(path)
            if is_within(module, (*OURS, "tests")) and not is_within(module, (*ARROWS[area], *own))
        ]

    assert [] == wrong


def test_the_domain_needs_only_the_standard_library() -> None:
    foreign = [
        f"{name_of(path)} imports {module}"
        for path in SOURCES
        if name_of(path).startswith("clearinghub/domain/")
        for module in imports(path)
        if module.partition(".")[0] not in sys.stdlib_module_names and not is_within(module, OURS)
    ]

    assert [] == foreign


def test_only_the_entry_point_knows_the_composition_root() -> None:
    wrong = [
        name_of(path)
        for path in SOURCES
        if not name_of(path).startswith(MAY_IMPORT_HUB)
        and any(is_within(module, ("clearinghub.hub",)) for module in imports(path))
    ]

    assert [] == wrong


def test_the_rules_see_the_files() -> None:
    assert {area_of(path) for path in SOURCES} >= set(ARROWS)
