"""The versions in Accept and Content-Type: the grammar of both headers (protocol 1.2).

The grammar is the reference's, exactly: one optional blank on each side of `;`, none after the comma of a list, no
parameter but `version`. A request with any other header is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

ANY_VERSION: Final = "*"  # of an Accept without a version; in a list of supported versions it allows one

_ITEM: Final = r"application/vnd\.interoperability\.{resource}\+json"
_ACCEPT_ITEM: Final = _ITEM + r"(?:[ \t]?;[ \t]?version=([0-9]+(?:\.[0-9]+)?))?"
_CONTENT_TYPE: Final = _ITEM + r"[ \t]?;[ \t]?version=([0-9]+\.[0-9]+)"

# The media types that the reference's server can read; any other is refused before the header's grammar is checked.
_READABLE: Final = re.compile(
    r"(?:application/(?:[^\s;+]+\+)?json|application/(?:octet-stream|x-www-form-urlencoded)|multipart/form-data|text/[^\s;]+)"
    r"[ \t]*(?:;.*)?",
    re.IGNORECASE,
)


@lru_cache(maxsize=512)
def accepted_versions(resource: str, accept: str) -> frozenset[str] | None:
    """Return the versions in an Accept header, e.g. {"1", "1.1"}, or None if the header breaks the grammar."""
    item = re.compile(_ACCEPT_ITEM.format(resource=re.escape(resource)))
    versions = set()
    for part in accept.split(","):
        match = item.fullmatch(part)
        if match is None:
            return None
        versions.add(match.group(1) or ANY_VERSION)
    return frozenset(versions)


@lru_cache(maxsize=512)
def content_version(resource: str, content_type: str) -> str | None:
    """Return the version in a Content-Type header, e.g. "1.1", or None if the header breaks the grammar."""
    match = re.fullmatch(_CONTENT_TYPE.format(resource=re.escape(resource)), content_type)
    return None if match is None else match.group(1)


def is_readable_media_type(content_type: str) -> bool:
    """Return whether the media type can be read, though it may not be the resource's."""
    return _READABLE.fullmatch(content_type) is not None


def extension_list(versions: Iterable[str]) -> dict[str, list[dict[str, str]]]:
    """Return the supported versions as the extensionList of a 406: the major version as key, the minor as value.

    A version without a minor one counts as `.0`; each pair is listed once.
    """
    pairs: dict[tuple[str, str], None] = {}
    for version in versions:
        if version == ANY_VERSION:
            continue
        major, _, minor = version.partition(".")
        pairs[major, minor or "0"] = None
    return {"extension": [{"key": major, "value": minor} for major, minor in pairs]}
