"""docs/dfsp.md as the tests see it: its text, and the commands that it has its reader type into terminals."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

GUIDE = Path(__file__).resolve().parents[1] / "docs" / "dfsp.md"
_BLOCK = re.compile(r"^```bash\n# (\w+) terminal\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FENCE = re.compile(r"^```\w+$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """Commands for one of the reader's terminals: `first`, `second` or `third`."""

    terminal: str
    commands: str


def text() -> str:
    return GUIDE.read_text()


def blocks() -> list[Block]:
    """Return all blocks of commands in their order; each block must name its terminal in its first line."""
    found = [Block(match[1], match[2]) for match in _BLOCK.finditer(text())]
    assert len(found) == len(_FENCE.findall(text())), "a block of the guide does not begin with `# ... terminal`"
    return found
