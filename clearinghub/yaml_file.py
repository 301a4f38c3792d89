"""A YAML file as plain values in which every one knows its line.

Numbers become Decimal from what is written, never floats, and keys stay text: a participant may be called `on`. A key
that stands twice is a fault, where YAML's usual readers take the last one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import yaml

FILE_BYTES_MAX: Final = 4 * 1024 * 1024
NODES_MAX: Final = 200_000  # aliases count each time: a small file can stand for a very large one
DEPTH_MAX: Final = 20

Path = tuple[str | int, ...]

_NUMBER: Final = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong in the file: where, and what."""

    path: Path
    text: str


class UnreadableError(Exception):
    """The file is no YAML that this reader takes; the text tells why, and `line` where, counted from 1, if known."""

    def __init__(self, text: str, line: int | None = None) -> None:
        super().__init__(text)
        self.line = line


@dataclass(frozen=True, slots=True)
class Document:
    """The values, where each stands, and what was wrong with the writing alone."""

    content: Any
    lines: Mapping[Path, int]
    faults: tuple[Fault, ...]

    def line_of(self, path: Path) -> int:
        """The line of a value, or of the nearest one around it that the file has."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_document(text: str) -> Document:
    """The document of a file's text.

    Raises:
        UnreadableError: it is no YAML, more than one document, or too large when its aliases are followed.
    """
    if len(text.encode()) > FILE_BYTES_MAX:
        raise UnreadableError(f"the file has more than {FILE_BYTES_MAX} bytes")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise UnreadableError(error.problem or str(error), None if mark is None else mark.line + 1) from error
    except yaml.YAMLError as error:
        raise UnreadableError(" ".join(str(error).split())) from error
    except RecursionError:
        raise UnreadableError("the file is nested too deeply") from None
    if node is None:
        raise UnreadableError("the file is empty")
    reading = _Reading()
    content = reading.value(node, ())
    return Document(content, reading.lines, tuple(reading.faults))


@dataclass
class _Reading:
    lines: dict[Path, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    nodes: int = 0

    def value(self, node: yaml.Node, path: Path) -> Any:
        self.nodes += 1
        line = node.start_mark.line + 1
        if self.nodes > NODES_MAX or len(path) > DEPTH_MAX:
            raise UnreadableError("the file is too large, or an alias leads back to itself", line)
        self.lines.setdefault(path, line)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        """What the node holds; what is merged by `<<` first, so that the node's own keys win."""
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise UnreadableError("a key must be a word", line)
            key = key_node.value
            if key_node.tag == "tag:yaml.org,2002:merge":
                parts = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                for part in parts:
                    if not isinstance(part, yaml.MappingNode):
                        raise UnreadableError("<< takes a mapping", line)
                    merged = {**self._mapping(part, path), **merged}
                continue
            if key in own:
                self.faults.append(Fault((*path, key), f"stands twice, first in line {self.lines[(*path, key)]}"))
                continue
            self.lines[*path, key] = line
            own[key] = self.value(value_node, (*path, key))
        return {**merged, **own}


def _scalar(node: yaml.ScalarNode) -> Any:
    """Text, a flag, nothing, or a number as it is written; YAML's other kinds stay text."""
    match node.tag.removeprefix("tag:yaml.org,2002:"):
        case "null":
            return None
        case "bool":
            return node.value.lower() in ("true", "yes", "on")
        case "int" | "float" if _NUMBER.fullmatch(node.value):
            return Decimal(node.value)
        case _:
            return node.value
