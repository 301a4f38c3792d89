"""Bodies with one fault each, made from a good body and its schema (protocol 1.3)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Fault(NamedTuple):
    """A body with one fault, and the beginning of its refusal's text."""

    body: Any
    code: str
    description: str


_WRONG: Mapping[str, Any] = {"string": {}, "object": "x", "array": "x", "boolean": {}}
_NOTHING_LIKE_IT = "?" * 200  # no pattern, enumeration or length of the API accepts it


def body_faults(schema: Mapping[str, Any], good: Any) -> Iterator[Fault]:
    """Yield the body with one fault at a time: every violation of every constraint of its schema."""
    for path, steps, node in _nodes(schema, good, "/requestBody", ()):
        if steps:
            yield Fault(_with(good, steps, _WRONG[node["type"]]), "3101", f"{path} must be {node['type']}")
        if node["type"] == "string":
            yield Fault(_with(good, steps, _NOTHING_LIKE_IT), "3100", f"{path} must ")
        if node["type"] == "array" and "minItems" in node:
            yield Fault(_with(good, steps, []), "3100", f"{path} must NOT have fewer than {node['minItems']} items")
        for name in node.get("required", ()):
            text = f"{path} must have required property '{name}'"
            yield Fault(_with(good, (*steps, name), None), "3102", text)
        if node.get("additionalProperties") is False:
            more = _with(good, (*steps, "unheardOf"), "x")
            yield Fault(more, "3103", f"{path} must NOT have additional properties")


def _nodes(
    schema: Mapping[str, Any], value: Any, path: str, steps: tuple[str | int, ...]
) -> Iterator[tuple[str, tuple[str | int, ...], Mapping[str, Any]]]:
    yield path, steps, schema.get("anyOf", [schema])[0]  # a fault is named by the first of several kinds
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _nodes(schema["properties"][name], one, f"{path}/{name}", (*steps, name))
    if isinstance(value, list):
        yield from _nodes(schema["items"], value[0], f"{path}/0", (*steps, 0))


def _with(good: Any, steps: tuple[str | int, ...], value: Any) -> Any:
    """Return a copy with another value at a place; None removes what is there."""
    body = json.loads(json.dumps(good))  # unlike deepcopy, this copies a part that is there twice into two parts
    node = body
    for step in steps[:-1]:
        node = node[step]
    if value is None:
        del node[steps[-1]]
    else:
        node[steps[-1]] = value
    return body
