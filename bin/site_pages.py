"""Hooks of mkdocs.yml: pages from outside docs/, the list of decisions, and links that also work on the site.

In the project's folder a page links to files by their place, code included. The site has pages only, so a link to a
page leads to it there, and a link to anything else becomes its text.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).resolve().parents[1]
OUTSIDE: Final = (
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "bench/README.md",
    "tests/PROPERTIES.md",
    "tests/conformance/EXCLUDED.md",
    "tests/simulation/MUTANTS.md",
    "tests/simulation/README.md",
)
_LINK: Final = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Replace a folder in the navigation by its pages, in the order of their names."""
    assert config.nav is not None
    config.nav = [_with_pages(entry, Path(config.docs_dir)) for entry in config.nav]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside docs/, under their own paths."""
    for name in OUTSIDE:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Make the page's links those of the site."""
    del config
    here = page.file.src_uri if page.file.src_uri in OUTSIDE else f"docs/{page.file.src_uri}"
    pages = {file.src_uri for file in files}

    def rewritten(match: re.Match[str]) -> str:
        mark, text, target = match.groups()
        path, hash_mark, anchor = target.partition("#")
        if not path or re.match(r"[a-z]+:", target):
            return match.group(0)
        place = posixpath.normpath(posixpath.join(posixpath.dirname(here), path)).removeprefix("docs/")
        if place == "README.md":
            place = "index.md"
        if place not in pages:
            return text
        return f"{mark}[{text}]({posixpath.relpath(place, posixpath.dirname(page.file.src_uri))}{hash_mark}{anchor})"

    return _LINK.sub(rewritten, markdown)


def _with_pages(entry: Any, folder: Path) -> Any:
    if not isinstance(entry, dict):
        return entry
    ((title, value),) = entry.items()
    if not isinstance(value, str) or not value.endswith("/"):
        return entry
    names = sorted(path.name for path in (folder / value).glob("*.md"))
    return {title: [f"{value}README.md", *(f"{value}{name}" for name in names if name != "README.md")]}
