"""The OpenAPI description of a surface as one document, made of the surface's files in web/openapi/."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

Document: TypeAlias = dict[str, Any]

FOLDER: Final = Path(__file__).parents[1] / "openapi"
_METHODS: Final = frozenset({"get", "post", "put", "patch", "delete", "head", "options"})


def surface_description(surface: str) -> Document:
    """Return the description of a surface: `{surface}.yaml`, or all of `{surface}-*.yaml` as one document.

    Each operation has a tag, by which a page groups them: the first segment of its path unless the file says otherwise.
    The server is the one that serves the document.
    """
    whole = FOLDER / f"{surface}.yaml"
    if whole.exists():
        document = _read(whole)
    else:
        parts = {
            path.stem.removeprefix(f"{surface}-"): _read(path) for path in sorted(FOLDER.glob(f"{surface}-*.yaml"))
        }
        document = one_document(f"{surface.upper()} API", parts)
    for path, item in document["paths"].items():
        for method in _METHODS & item.keys():
            item[method].setdefault("tags", [path.split("/")[1]])
    return document | {"servers": [{"url": "/"}]}


def one_document(title: str, parts: Mapping[str, Document]) -> Document:
    """Return the parts as one document, in their order.

    If two components have the same name and different contents, the second gets its part's name as a suffix.

    Raises:
        ValueError: two parts describe the same path, or are not of the same version.
    """
    paths: dict[str, Any] = {}
    components: dict[str, Any] = {}
    for name, part in parts.items():
        renamed = _renamed(components, part, name)
        components |= {
            renamed.get(reference, reference): _refer(component, renamed) for reference, component in _components(part)
        }
        twice = paths.keys() & part["paths"].keys()
        if twice:
            raise ValueError(f"{name} describes again: {sorted(twice)}")
        paths |= _refer(part["paths"], renamed)
    versions = {(part["openapi"], part["info"]["version"]) for part in parts.values()}
    if len(versions) != 1:
        raise ValueError(f"versions differ: {sorted(versions)}")
    ((openapi, version),) = versions
    about = "\n\n".join(f"## {part['info']['title']}\n\n{part['info']['description']}" for part in parts.values())
    info = {"title": title, "version": version, "description": about}
    return {"openapi": openapi, "info": info, "paths": paths, "components": _by_section(components)}


def _read(path: Path) -> Document:
    document: Document = yaml.load(path.read_bytes(), yaml.CSafeLoader)
    return document


def _components(part: Document) -> Iterator[tuple[str, Any]]:
    """Yield each component with the text of a `$ref` to it."""
    for section, components in part["components"].items():
        for name, component in components.items():
            yield f"#/components/{section}/{name}", component


def _renamed(present: Mapping[str, Any], part: Document, suffix: str) -> dict[str, str]:
    """Return the references of a part that must be renamed, with their new texts."""
    renamed: dict[str, str] = {}
    while True:
        more = {
            reference: f"{reference}-{suffix}"
            for reference, component in _components(part)
            if reference not in renamed and reference in present and present[reference] != _refer(component, renamed)
        }
        if not more:
            return renamed
        renamed |= more


def _refer(node: Any, renamed: Mapping[str, str]) -> Any:
    """Return a part of a document with its references renamed."""
    if isinstance(node, list):
        return [_refer(one, renamed) for one in node]
    if not isinstance(node, dict):
        return node
    return {key: renamed.get(value, value) if key == "$ref" else _refer(value, renamed) for key, value in node.items()}


def _by_section(components: Mapping[str, Any]) -> Document:
    sections: Document = {}
    for reference, component in components.items():
        section, name = reference.removeprefix("#/components/").split("/")
        sections.setdefault(section, {})[name] = component
    return sections
