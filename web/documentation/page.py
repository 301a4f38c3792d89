"""The page and its files: read once, kept in memory in the form in which they are sent, and cached by browsers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from gzip import compress
from html import escape
from pathlib import Path
from string import Template
from typing import Final

import orjson
from aiohttp.web import Application, HTTPNotFound, Request, Response

from web.documentation.description import surface_description
from web.http.errors import CONTENT_TYPE

PATH: Final = "/documentation"
DESCRIPTION: Final = "openapi.json"

_HERE: Final = Path(__file__).parent
# What the page may send to the hub: on the admin surface, which needs no token, only requests that change nothing; on
# the FSPIOP surface nothing, because a browser lets no page set `Date`, and cannot sign.
_METHODS: Final[Mapping[str, str]] = {"admin": "get", "fspiop": ""}
_HTML: Final = "text/html; charset=utf-8"
_SCRIPT: Final = "text/javascript; charset=utf-8"
_STYLE: Final = "text/css; charset=utf-8"
_HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "max-age=300",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is sent: its bytes, its compressed bytes, and its ETag."""

    content: bytes
    compressed: bytes
    tag: str
    headers: Mapping[str, str]

    @classmethod
    def of(cls, content: bytes, content_type: str) -> File:
        """Return the file for a content."""
        tag = hashlib.sha256(content).hexdigest()[:32]
        # Weak, because it is the same for both forms.
        headers = {**_HEADERS, "Content-Type": content_type, "ETag": f'W/"{tag}"'}
        return cls(content, compress(content, mtime=0), tag, headers)

    def response(self, request: Request) -> Response:
        """Return the answer to a GET or a HEAD."""
        if any(known.value == self.tag for known in request.if_none_match or ()):
            return Response(status=304, headers=self.headers)
        if "gzip" in request.headers.get("Accept-Encoding", "").lower():
            return Response(body=self.compressed, headers={**self.headers, "Content-Encoding": "gzip"})
        return Response(body=self.content, headers=self.headers)


def add_documentation_routes(app: Application, surface: str) -> None:
    """Serve the page of a surface, `admin` or `fspiop`, and its files below it."""
    page, files = _page(surface)

    async def get_page(request: Request) -> Response:
        return page.response(request)

    async def get_file(request: Request) -> Response:
        file = files.get(request.match_info["file"])
        if file is None:
            raise HTTPNotFound
        return file.response(request)

    app.router.add_get(PATH, get_page)
    app.router.add_get(PATH + "/{file}", get_file)


@cache
def _page(surface: str) -> tuple[File, Mapping[str, File]]:
    """Return the page, and its files by their names."""
    description = surface_description(surface)
    page = Template((_HERE / "page.html").read_text()).substitute(
        title=escape(description["info"]["title"]), methods=_METHODS[surface]
    )
    files = {
        DESCRIPTION: File.of(orjson.dumps(description), CONTENT_TYPE),
        "page.js": File.of((_HERE / "page.js").read_bytes(), _SCRIPT),
        "swagger-ui-bundle.js": File.of((_HERE / "swagger-ui" / "swagger-ui-bundle.js").read_bytes(), _SCRIPT),
        "swagger-ui.css": File.of((_HERE / "swagger-ui" / "swagger-ui.css").read_bytes(), _STYLE),
    }
    return File.of(page.encode(), _HTML), files
