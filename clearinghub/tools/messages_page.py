"""Render the page of all messages from their structs: `python -m clearinghub.tools.messages_page docs`.

`make messages` runs it. It writes `messages.md`; a test compares the page with the structs.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Final, get_args

import msgspec

from clearinghub.messages import AnyMessage, Message

PAGE: Final = "messages.md"

_INTRODUCTION: Final = """\
# Messages

Rendered by `make messages` from the structs in `clearinghub/messages/`. These are the records of the hub's own topics;
the records for analysts are in [topics](topics/README.md).

A record's value is a header in JSON, a newline, and a body that the hub only passes on, which may be empty. Every
header has `kind`, which is given below with each message, `v`, the version of the header's form, and `trace`, the W3C
trace context of the request that led to the record, or null: the traceparent and, after a blank, the tracestate. A
field with a default may be missing in a record of an older release. `agents/handlers.py` lists which function decides
which message.
"""


def page() -> str:
    """Return the page: the messages by the modules that define them, in the order of the source."""
    return "\n".join((_INTRODUCTION, *_sections()))


def _sections() -> Iterator[str]:
    types: tuple[type[Message], ...] = get_args(AnyMessage)
    for name in sorted({one.__module__ for one in types}):
        module = sys.modules[name]
        yield f"## {name.rpartition('.')[2].capitalize()}\n"
        yield _text(module) + "\n"
        for struct in _structs(module):
            yield from _struct(struct)


def _structs(module: ModuleType) -> list[type[msgspec.Struct]]:
    """Return the messages of a module and their parts, in the order of the source."""
    defined = (one for one in vars(module).values() if isinstance(one, type) and one.__module__ == module.__name__)
    shown = [one for one in defined if issubclass(one, msgspec.Struct) and not one.__name__.startswith("_")]
    return sorted(shown, key=lambda one: inspect.getsourcelines(one)[1])


def _struct(struct: type[msgspec.Struct]) -> Iterator[str]:
    tag = struct.__struct_config__.tag
    yield f"### {struct.__name__}\n"
    yield (f"`kind` is `{tag}`. " if tag else "") + _text(struct) + "\n"
    yield "| Field | Type | Default |"
    yield "| --- | --- | --- |"
    for field in msgspec.structs.fields(struct):
        if field.name not in Message.__struct_fields__:
            yield f"| `{field.encode_name}` | {_type_name(struct, field.name)} | {_default(field)} |"
    yield ""


def _text(documented: object) -> str:
    docstring = inspect.getdoc(documented)
    assert docstring is not None, f"{documented} has no docstring"
    return docstring


def _type_name(struct: type[msgspec.Struct], field: str) -> str:
    """Return the type of a field as the source has it."""
    owner = next(one for one in struct.__mro__ if field in inspect.get_annotations(one))
    return f"`{inspect.get_annotations(owner)[field]}`".replace("|", "\\|")


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return ""
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if isinstance(value, msgspec.Raw):
        value = msgspec.json.decode(value)
    return "left out" if value is msgspec.UNSET else f"`{value!r}`"


if __name__ == "__main__":
    (Path(sys.argv[1]) / PAGE).write_text(page())
