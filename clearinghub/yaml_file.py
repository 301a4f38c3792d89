"""A YAML file in which every value knows its line.

Numbers become Decimal from what is written, never floats, and keys stay text: a participant may be called `on`. A key
that is there twice is a fault, where YAML's usual readers use the last one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.composer import MaxDepthExceededError
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

FILE_BYTES_MAX: Final = 4 * 1024 * 1024
VALUES_MAX: Final = 200_000  # an alias counts each time: a small file can make a very large one
DEPTH_MAX: Final = 20
READ_DEPTH_MAX: Final = 100  # beyond which nothing is read, however deep a file goes

Path = tuple[str | int, ...]

_NUMBER: Final = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?")
_TAG: Final = "tag:yaml.org,2002:"
_TOO_LARGE: Final = "the file is too large, or an alias leads back to itself"
_SCALARS: Final = frozenset(f"{_TAG}{kind}" for kind in ("null", "bool", "int", "float"))
_FLAGS: Final = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong in the file: where, and what."""

    path: Path
    text: str


class UnreadableError(Exception):
    """The file is no YAML that can be used; the text says why, and `line` where, counted from 1, if known."""

    def __init__(self, text: str, line: int | None = None) -> None:
        super().__init__(text)
        self.line = line


@dataclass(frozen=True, slots=True)
class Document:
    """The values of a file, and what was wrong with its keys alone."""

    content: Any
    faults: tuple[Fault, ...]

    def line_of(self, path: Path) -> int:
        """Return the line of a value, counted from 1; of one that the file does not have, that of what surrounds it."""
        line, value = 1, self.content
        for part in path:
            try:
                position = value.lc.key(part) if isinstance(value, CommentedMap) else value.lc.item(part)
                value = value[part]
            except (AttributeError, KeyError, TypeError, IndexError):
                break
            line = position[0] + 1
        return line


def read_document(text: str) -> Document:
    """Read a file's text.

    Raises:
        UnreadableError: it is no YAML, more than one document, or too large when its aliases are followed.
    """
    if len(text.encode()) > FILE_BYTES_MAX:
        raise UnreadableError(f"the file has more than {FILE_BYTES_MAX} bytes")
    reader = YAML()
    reader.version = (1, 1)
    reader.max_depth = READ_DEPTH_MAX
    reader.Constructor = _Constructor
    try:
        content = reader.load(text)
        twice = reader.constructor.twice
    except MaxDepthExceededError:
        raise UnreadableError("the file is nested too deeply") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise UnreadableError(error.problem or str(error), None if mark is None else mark.line + 1) from error
    except YAMLError as error:
        raise UnreadableError(" ".join(str(error).split())) from error
    if content is None:
        raise UnreadableError("the file is empty")
    faults: list[Fault] = []
    for count, (path, value) in enumerate(_values(content, ()), start=1):
        if count > VALUES_MAX or len(path) > DEPTH_MAX:
            line = Document(content, ()).line_of(path)
            raise UnreadableError(_TOO_LARGE, line)
        faults += (
            Fault((*path, key), f"stands twice, first in line {value.lc.key(key)[0] + 1}")
            for key in twice.get(id(value), ())
        )
    return Document(content, tuple(faults))


def _values(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    yield path, value
    if isinstance(value, CommentedMap):
        for key, member in value.items():
            yield from _values(member, (*path, key))
    elif isinstance(value, CommentedSeq):
        for index, member in enumerate(value):
            yield from _values(member, (*path, index))


class _Constructor(RoundTripConstructor):
    """Values as a scheme needs them. `twice` has, by the identity of a mapping, its keys that are there again."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.twice: dict[int, list[str]] = {}

    def construct_object(self, node: Any, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - ruamel's
        """Return the value of a node, which must not be a part of itself; YAML's rarer types are text."""
        if node in self.recursive_objects:
            raise UnreadableError(_TOO_LARGE, node.start_mark.line + 1)
        if isinstance(node, ScalarNode):
            node.tag = node.tag if node.tag in _SCALARS else f"{_TAG}str"
        else:
            node.tag = f"{_TAG}map" if isinstance(node, MappingNode) else f"{_TAG}seq"
        return super().construct_object(node, deep=deep)

    def construct_mapping(self, node: Any, maptyp: Any, deep: bool = False) -> Any:  # type: ignore[override]  # noqa: FBT001, FBT002 - ruamel's
        """Fill a mapping; its keys are text, whatever they look like."""
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, ScalarNode):
                raise UnreadableError("a key must be a word", line)
            if key.tag != f"{_TAG}merge":
                key.tag = f"{_TAG}str"
                continue
            parts = value.value if isinstance(value, SequenceNode) else [value]
            if not all(isinstance(part, MappingNode) for part in parts):
                raise UnreadableError("<< takes a mapping", line)
        return super().construct_mapping(node, maptyp, deep=deep)

    def check_mapping_key(self, node: Any, key_node: Any, mapping: Any, key: Any, value: Any) -> bool:
        """Return whether a key is new; the first one of a name counts."""
        del node, key_node, value
        if key in mapping:
            self.twice.setdefault(id(mapping), []).append(key)
            return False
        return True

    def construct_flag(self, node: Any) -> bool | str:
        """Return a flag, or text: YAML has one-letter flags, which are as likely to be names."""
        text: str = node.value
        return _FLAGS.get(text.lower(), text)

    def construct_number(self, node: Any) -> Decimal | str:
        """Return a number as it is written, or text where it is not plain decimal."""
        text: str = node.value
        return Decimal(text) if _NUMBER.fullmatch(text) else text


_Constructor.add_constructor(f"{_TAG}bool", _Constructor.construct_flag)
_Constructor.add_constructor(f"{_TAG}int", _Constructor.construct_number)
_Constructor.add_constructor(f"{_TAG}float", _Constructor.construct_number)
