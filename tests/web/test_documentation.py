"""GET /documentation of both surfaces: a page that needs nothing from elsewhere, and the description that it shows."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urljoin

import pytest
from aiohttp.test_utils import TestClient
from multidict import CIMultiDictProxy

from clearinghub.config import Settings
from tests.fakes import FakeHealth, FakeParticipants, FakeRecorder
from tests.web.admin_world import Operator
from tests.web.fspiop_client import Dfsp, HubServer
from web.documentation.description import FOLDER, one_document, surface_description
from web.fspiop.app import build_fspiop_app

SWAGGER_UI = Path(__file__).parents[2] / "web" / "documentation" / "swagger-ui"
PAGE = "/documentation"
SURFACES = ("fspiop", "admin")
EMPTY = "data:,"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
Client: TypeAlias = TestClient[Any, Any]
Got: TypeAlias = tuple[int, CIMultiDictProxy[str], bytes]


class Page(HTMLParser):
    """What a page refers to, and what of it runs without being referred to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.inline: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        for name, value in attributes:
            if name in ("src", "href", "action", "data", "poster", "srcset", "content") and tag != "meta":
                self.references.append(value or "")
            if name == "style" or name.startswith("on"):
                self.inline.append(f"{tag} {name}")

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style") and data.strip():
            self.inline.append(data)


@pytest.fixture(params=SURFACES)
def surface(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def client(surface: str, dfsp: Dfsp, operator: Operator) -> Client:
    return dfsp.http if surface == "fspiop" else operator.client


async def ask(client: Client, path: str = PAGE, method: str = "GET", **headers: str) -> Got:
    """Without what the client would do by itself."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.request(
        method, path, headers=sent, skip_auto_headers=("Accept-Encoding",), allow_redirects=False
    ) as response:
        return response.status, response.headers, await response.read()


async def references(client: Client) -> list[str]:
    """The paths that the page refers to, in its HTML and in its script."""
    _, _, page = await ask(client)
    _, _, script = await ask(client, f"{PAGE}/page.js")
    named = Page(page.decode()).references + re.findall(r'"(documentation/[^"]*)"', script.decode())
    return [urljoin(PAGE, one) for one in named if one != EMPTY]


async def test_the_page_refers_to_its_own_files_alone_and_all_are_there(client: Client) -> None:
    status, headers, page = await ask(client)

    assert (200, "text/html; charset=utf-8") == (status, headers["Content-Type"])
    assert [] == Page(page.decode()).inline
    found = await references(client)
    assert {
        "/documentation/openapi.json",
        "/documentation/page.js",
        "/documentation/swagger-ui-bundle.js",
        "/documentation/swagger-ui.css",
    } == set(found)
    kinds = {"js": "text/javascript", "css": "text/css", "json": "application/json"}
    for path in found:
        status, headers, content = await ask(client, path)
        expected = (200, f"{kinds[path.rpartition('.')[2]]}; charset=utf-8")
        assert expected == (status, headers["Content-Type"]), path
        assert content


async def test_its_own_script_and_the_style_name_no_other_host(client: Client) -> None:
    for name in ("", "/page.js", "/swagger-ui.css"):
        _, _, content = await ask(client, PAGE + name)
        text = re.sub(r"url\(\"?data:[^)]*\)", "", content.decode())
        assert [] == re.findall(r"url\([^)]*\)|@import|https?://|[\"']//", text), name


async def test_what_is_shown_is_the_description(client: Client, surface: str) -> None:
    _, _, content = await ask(client, f"{PAGE}/openapi.json")

    shown = json.loads(content)
    assert surface_description(surface) == shown
    assert [{"url": "/"}] == shown["servers"], "whoever serves the description also serves what it describes"
    title = shown["info"]["title"]
    assert f"<title>{title}</title>" in (await ask(client))[2].decode()


async def test_a_page_sends_nothing_that_could_change_anything(client: Client, surface: str) -> None:
    _, _, page = await ask(client)

    assert f'data-methods="{"get" if surface == "admin" else ""}"' in page.decode()


@pytest.mark.parametrize("name", ["", "/openapi.json", "/page.js", "/swagger-ui-bundle.js", "/swagger-ui.css"])
async def test_every_file_is_guarded_and_cached(client: Client, name: str) -> None:
    path = PAGE + name
    status, headers, content = await ask(client, path)

    assert (200, POLICY, "nosniff", "no-referrer") == (
        status,
        headers["Content-Security-Policy"],
        headers["X-Content-Type-Options"],
        headers["Referrer-Policy"],
    )
    assert ("max-age=300", "Accept-Encoding") == (headers["Cache-Control"], headers["Vary"])
    assert "Content-Encoding" not in headers

    known = headers["ETag"]
    for tag in (known, known.removeprefix("W/"), f'"other", {known}'):
        assert (304, b"") == (again := await ask(client, path, If_None_Match=tag))[::2]
        assert (known, POLICY) == (again[1]["ETag"], again[1]["Content-Security-Policy"])
    assert (200, content) == (await ask(client, path, If_None_Match='"other"'))[::2]

    client.session._auto_decompress = False
    status, compressed_headers, compressed = await ask(client, path, Accept_Encoding="br, gzip")
    assert (200, "gzip", known) == (status, compressed_headers["Content-Encoding"], compressed_headers["ETag"])
    assert content == gzip.decompress(compressed)

    status, head, nothing = await ask(client, path, "HEAD")
    assert (200, b"", str(len(content))) == (status, nothing, head["Content-Length"])
    assert headers["Content-Type"] == head["Content-Type"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", [PAGE, f"{PAGE}/openapi.json"])
async def test_it_is_only_read(client: Client, method: str, path: str) -> None:
    status, headers, content = await ask(client, path, method)

    assert (405, "GET,HEAD") == (status, headers["Allow"])
    assert "3000" == json.loads(content)["errorInformation"]["errorCode"]


@pytest.mark.parametrize("name", ["", "nothing", "page.html", "swagger-ui%2FLICENSE", "..%2Fpage.py", "%2e%2e/page.py"])
async def test_no_other_file_is_served(client: Client, name: str) -> None:
    status, _, content = await ask(client, f"{PAGE}/{name}")

    assert (404, "3002") == (status, json.loads(content)["errorInformation"]["errorCode"])


async def test_a_hub_with_too_much_to_do_shows_no_page() -> None:
    app = build_fspiop_app(
        Settings(),
        FakeRecorder(),
        FakeHealth(),
        admits=lambda _source: False,
        participants=FakeParticipants.of("payerfsp", "payeefsp"),
    )
    async with TestClient(HubServer(app)) as http:
        assert 503 == (await ask(http))[0]
        assert 503 == (await ask(http, f"{PAGE}/openapi.json"))[0]


def nodes(described: Any) -> Iterator[Mapping[str, Any]]:
    """All objects of a description."""
    if isinstance(described, dict):
        yield described
        for one in described.values():
            yield from nodes(one)
    elif isinstance(described, list):
        for one in described:
            yield from nodes(one)


def target(document: Mapping[str, Any], reference: str) -> Any:
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def test_every_reference_leads_somewhere_and_every_component_is_used(surface: str) -> None:
    document = surface_description(surface)
    used = {node["$ref"] for node in nodes(document) if "$ref" in node}

    assert all(isinstance(target(document, one), dict) for one in used)
    sections = document["components"].items()
    assert used == {f"#/components/{section}/{name}" for section, ones in sections for name in ones}


def test_operations_are_grouped_and_have_names_of_their_own(surface: str) -> None:
    operations = [
        (path, operation)
        for path, item in surface_description(surface)["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    ]

    assert all(operation["tags"] for _, operation in operations)
    named = {path: operation["tags"] for path, operation in operations}
    assert [["operations"]] * 2 == [named[path] for path in ("/health", PAGE)]
    assert ["participants"] == named["/participants"]
    names = [operation["operationId"] for _, operation in operations]
    assert sorted(set(names)) == sorted(names)


def test_every_file_belongs_to_a_surface() -> None:
    assert {path.stem.partition("-")[0] for path in FOLDER.iterdir()} == set(SURFACES)


def part(path: str, schemas: Mapping[str, Any], **info: str) -> dict[str, Any]:
    answer = {"schema": {"$ref": "#/components/schemas/Answer"}}
    return {
        "openapi": "3.0.3",
        "info": {"title": f"About {path}", "version": "1.1", "description": "text", **info},
        "paths": {path: {"get": answer}},
        "components": {"schemas": schemas},
    }


def refers_to(name: str) -> dict[str, Any]:
    return {"properties": {"inner": {"$ref": f"#/components/schemas/{name}"}}}


def test_parts_share_what_is_the_same_in_both() -> None:
    schemas = {"Answer": refers_to("Inner"), "Inner": {"type": "string"}}

    document = one_document("Both", {"first": part("/a", schemas), "second": part("/b", schemas)})

    assert schemas == document["components"]["schemas"]
    assert ["/a", "/b"] == list(document["paths"])
    assert ("Both", "1.1", "## About /a\n\ntext\n\n## About /b\n\ntext") == tuple(document["info"].values())


def test_what_differs_gets_the_parts_name_and_so_does_what_refers_to_it() -> None:
    first = part("/a", {"Answer": refers_to("Inner"), "Inner": {"type": "string"}, "Same": {"type": "array"}})
    second = part("/b", {"Answer": refers_to("Inner"), "Inner": {"type": "integer"}, "Same": {"type": "array"}})

    document = one_document("Both", {"first": first, "second": second})

    added = {"Answer-second": refers_to("Inner-second"), "Inner-second": {"type": "integer"}}
    assert first["components"]["schemas"] | added == document["components"]["schemas"]
    assert "#/components/schemas/Answer" == document["paths"]["/a"]["get"]["schema"]["$ref"]
    assert "#/components/schemas/Answer-second" == document["paths"]["/b"]["get"]["schema"]["$ref"]


def test_parts_that_contradict_each_other() -> None:
    one = part("/a", {"Answer": {}})

    with pytest.raises(ValueError, match="second describes again"):
        one_document("Both", {"first": one, "second": part("/a", {"Answer": {}})})
    with pytest.raises(ValueError, match="versions differ"):
        one_document("Both", {"first": one, "second": part("/b", {"Answer": {}}, version="2.0")})


def test_swagger_ui_is_as_it_was_released() -> None:
    sums = [line.split() for line in (SWAGGER_UI / "SHA256SUMS").read_text().splitlines()]

    assert {path.name for path in SWAGGER_UI.iterdir()} == {name for _, name in sums} | {"SHA256SUMS", "README.md"}
    assert {"LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"} < {name for _, name in sums}
    for digest, name in sums:
        assert digest == hashlib.sha256((SWAGGER_UI / name).read_bytes()).hexdigest(), name
