"""Bodies with one fault each, made from a good one and from the schema that it follows (protocol 1.3)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Fault(NamedTuple):
    """A body with one fault, and how its refusal must begin."""

    body: Any
    code: str
    description: str


_WRONG: Mapping[str, Any] = {"string": {}, "object": "x", "array": "x", "boolean": {}}
_NOTHING_LIKE_IT = "?" * 200  # no pattern, enumeration or length of the API takes it


def body_faults(schema: Mapping[str, Any], good: Any) -> Iterator[Fault]:
    """A good body with one fault at a time, in all that it has: each fault that the schema's constraints allow for."""
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
    """A copy with another value somewhere; None takes what is there away."""
    body = json.loads(json.dumps(good))  # parts that stand there twice are of their own in it, unlike in a deepcopy
    node = body
    for step in steps[:-1]:
        node = node[step]
    if value is None:
        del node[steps[-1]]
    else:
        node[steps[-1]] = value
    return body
