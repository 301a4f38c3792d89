"""What the documents name exists, from files to commands; what is rendered from code is current."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clearinghub.tools import messages_page, state_diagram

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
TRACKED = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    if name and (ROOT / name).is_file()
]
PAGES = [path for path in TRACKED if path.suffix == ".md"]
CITING = [
    path
    for path in TRACKED
    if path.suffix in {".py", ".md", ".yaml", ".yml", ".toml"} or path.name in {"Makefile", "run"}
]
README_LINES_MAX = 90

LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
NUMBERS = r"((?:\d+(?:\.\d+)?)(?:(?:, (?:and )?| and | to )\d+(?:\.\d+)?)*)"
SECTION = re.compile(r"^#{2,3} (\d+(?:\.\d+)?)[. ]", re.MULTILINE)
ROOTS = ("agents", "bench", "bin", "clearinghub", "deploy", "docs", "sandbox", "tables", "tests", "web", ".ci")
PLACE = re.compile(rf"(?<![\w/-])(?:{'|'.join(re.escape(root) for root in ROOTS)})/[\w./*-]*")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """The anchors that a reader of the Markdown finds: GitHub's, of each heading."""
    found: dict[str, int] = {}
    for heading in HEADING.findall(prose(page)):
        text = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
        if found[slug]:
            found[f"{slug}-{found[slug]}"] = 0
    return set(found)


def cited(word: str) -> Iterator[tuple[str, str]]:
    """Every number that is cited after the word, and the file."""
    pattern = re.compile(rf"\b{word} {NUMBERS}(?![\w.]*[a-z])")
    for path in CITING:
        if path == Path(__file__):
            continue
        for match in pattern.finditer(re.sub(r"\n\s*(?:#|//)? *", " ", path.read_text())):
            for number in re.findall(r"\d+(?:\.\d+)?", match.group(1)):
                yield name_of(path), number


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    lost = []
    for target in LINK.findall(SPAN.sub("", prose(page))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
            lost.append(target)

    assert [] == lost


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_is_named_is_there(page: Path) -> None:
    named = {match.rstrip(".") for span in SPAN.findall(prose(page)) for match in PLACE.findall(span)}
    made = ("bench/out", "bench/generator/loadgen", "deploy/kafka/jars", "deploy/ingress")  # no files of the project
    lost = [place for place in sorted(named) if not place.startswith(made) and not any(ROOT.glob(place.rstrip("/")))]

    assert [] == lost


def test_every_section_of_the_protocol_that_is_cited_is_there() -> None:
    text = (DOCS / "protocol.md").read_text()
    sections = set(SECTION.findall(text))
    items = re.findall(r"^(\d+)\. ", text[text.index("\n## 13. ") :], re.MULTILINE)
    known = sections | {f"13.{item}" for item in items}

    citations = list(cited("protocol"))
    assert len(citations) > 200
    assert [] == [citation for citation in citations if citation[1] not in known]


def test_no_citation_has_the_old_name() -> None:
    assert [] == [name_of(path) for path in CITING if re.search(r"\bfspiop \d", path.read_text())]


def test_every_section_of_the_design_that_is_cited_is_there() -> None:
    sections = set(SECTION.findall((DOCS / "design.md").read_text()))

    citations = list(cited("design"))
    assert len(citations) > 20
    assert [] == [citation for citation in citations if citation[1] not in sections]


def test_decisions_have_no_hole_and_every_cited_one_is_there() -> None:
    files = sorted(path.name for path in (DOCS / "adr").glob("[0-9]*.md"))
    numbers = [int(name[:4]) for name in files]
    listed = re.findall(r"^\d+\. \[(.+)\]\((.+)\)$", (DOCS / "adr/README.md").read_text(), re.MULTILINE)

    assert list(range(1, len(numbers) + 1)) == numbers
    assert files == [name for _, name in listed]
    for number, (title, name) in enumerate(listed, start=1):
        assert (DOCS / "adr" / name).read_text().startswith(f"# {number}. {title}\n"), name
    assert [] == [citation for citation in cited("ADRs?") if int(citation[1]) not in numbers]


def test_every_target_of_make_that_is_named_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        (name_of(page), target)
        for page in PAGES
        for target in re.findall(r"(?:^    |`|\$ )make (?:-C \S+ )?([a-z-]+)", page.read_text(), re.MULTILINE)
    }

    assert ("README.md", "run") in named
    assert ("README.md", "test") in named
    assert [] == sorted(pair for pair in named if pair[1] not in targets)


def test_every_command_that_is_named_is_there() -> None:
    usage = subprocess.run(
        [sys.executable, "-m", "clearinghub", "--help"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    named = {
        (name_of(page), command)
        for page in PAGES
        for command in re.findall(
            r"(?:^    |`)(?:bin/|python -m )?clearinghub ([a-z]+)", page.read_text(), re.MULTILINE
        )
    }

    assert len(named) > 10
    assert [] == sorted(pair for pair in named if not re.search(rf"\b{pair[1]}\b", usage))


def test_the_readme_is_short() -> None:
    assert (ROOT / "README.md").read_text().count("\n") < README_LINES_MAX


def test_the_states_are_drawn_from_the_table() -> None:
    assert state_diagram.page() == (DOCS / state_diagram.PAGE).read_text(), "make docs"
    assert state_diagram.picture() == (DOCS / state_diagram.PICTURE).read_text(), "make docs"


def test_the_messages_are_rendered_from_their_structs() -> None:
    assert messages_page.page() == (DOCS / messages_page.PAGE).read_text(), "make messages"


def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert 0 == built.returncode, built.stdout + built.stderr

    loading = re.compile(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=\"?(https?:|//)")
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 30
    assert [] == [
        page.name for page in pages if loading.search(page.read_text()) or 'class="mermaid"' in page.read_text()
    ]
