"""Each thing has one name (docs/glossary.md): the words that were used for it before are kept out."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("agents", "bench", "clearinghub", "examples", "sandbox", "tables", "tests", "web")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
PAGES = sorted(path for path in ROOT.rglob("*.md") if ".venv" not in path.parts)
HOT = (
    "agents/",
    "clearinghub/callbacks/",
    "clearinghub/domain/",
    "clearinghub/engine/",
    "clearinghub/messages/",
    "tables/",
)


class Word(NamedTuple):
    """A word that is not used, what is said instead, and the folders in which that holds."""

    banned: str
    say: str
    folders: tuple[str, ...] = ("",)


WORDS = (
    Word("lines?", "header (of a record), item (of a bulk), account, entry, row", HOT),
    Word("overlays?", "pending changes"),
    Word("culprits?", "poison record"),
    Word("set aside|buried|bury", "dead-letter"),
    Word("sweeps?|sweeping|swept", "punctuator, punctuate"),
    Word("surroundings", "environment"),
    Word("stamps?|stamped", "checkpoint"),
    Word("lanes?", "receiver queue"),
    Word("couriers?", "sender"),
    Word("desks?", "oracle client"),
    Word("staff", "workers"),
    Word("doors?", "admission control"),
    Word("standings?", "eligibility"),
    Word("manners?", "settlement method"),
    Word("burnt|used up", "id consumed"),
    Word("told", "notified, already answered"),
    Word("taken", "accepted"),
    Word("asked", "request"),
    Word("one transfer", "apply_transfer", ("agents/",)),
    Word("tellers?", "scenario runner"),
    Word("played", "result"),
    Word("wanted", "report query"),
    Word("gives?|given by", "returns"),
    Word("hears?", "is notified"),
    Word("stands", "is; current"),
    Word("behind", "after"),
)


class Place(NamedTuple):
    """A text that a person reads, and where it is."""

    path: str
    line: int
    text: str


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def in_words(name: str) -> str:
    """`readPartyOf` and `read_party_of` as `read party of`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").strip()


def texts_of(path: Path) -> Iterator[Place]:
    """Names, comments and docstrings of a source file; not its strings, which may be the API's words."""
    source, name = path.read_text(), name_of(path)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            yield Place(name, token.start[0], in_words(token.string))
        elif token.type == tokenize.COMMENT:
            yield Place(name, token.start[0], token.string)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False)
            if docstring is not None:
                first = node.body[0].lineno
                yield from (Place(name, first + number, text) for number, text in enumerate(docstring.split("\n")))


def prose_of(path: Path) -> Iterator[Place]:
    """The sentences of a page, without its code."""
    fenced = False
    for number, text in enumerate(path.read_text().split("\n"), start=1):
        if text.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and not text.startswith("    "):
            yield Place(name_of(path), number, re.sub(r"`[^`]*`|\]\([^)]*\)", " ", text))


def test_the_words_that_were_replaced_stay_out() -> None:
    places = [place for path in SOURCES if path != Path(__file__) for place in texts_of(path)]
    places += [place for path in PAGES for place in prose_of(path)]
    found = []
    for word in WORDS:
        pattern = re.compile(rf"\b(?:{word.banned})\b", re.IGNORECASE)
        found += [
            f"{place.path}:{place.line}: {pattern.findall(place.text)} - say: {word.say}"
            for place in places
            if place.path.startswith(word.folders) and pattern.search(place.text)
        ]

    assert [] == found
