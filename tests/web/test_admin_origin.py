"""Web pages of other sites at the admin port: refused by the host, the origin and the site that browsers name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from clearinghub.config import Settings
from tests.web.admin_world import Answer, Operator, an_operator

FOREIGN_HOST = (421, "3000", "Generic client error - Host is not one of CLEARINGHUB_ADMIN_HOSTS")
FOREIGN_PAGE = (403, "3000", "Generic client error - Sent by a web page of another site")
PUBLIC: Mapping[str, Any] = {
    "bind_host": "0.0.0.0",
    "open_on_network": True,
    "admin_hosts": ("hub.example", "Admin"),
    "admin_url": "https://console.example",
}
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.fixture
async def local() -> AsyncIterator[Operator]:
    """A hub with the default settings: on this machine alone."""
    async with an_operator() as one:
        yield one


@pytest.fixture
async def public() -> AsyncIterator[Operator]:
    async with an_operator(**PUBLIC) as one:
        yield one


async def get(operator: Operator, headers: Mapping[str, str]) -> Answer:
    return await operator.send("GET", "/participants", headers=headers)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:4001",
        "LOCALHOST:4001",
        "localhost.",
        "127.0.0.1",
        "127.0.0.1:4001",
        "[::1]:4001",
        "10.0.0.7",
    ],
)
async def test_the_machine_s_own_names_and_any_address_are_right(local: Operator, host: str) -> None:
    assert 200 == (await get(local, {"Host": host})).status


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:4001",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "2130706433",
        "127.1",
        "0x7f.1",
        "[::1",
        ":4001",
        "@",
        "hub.example",
    ],
)
@pytest.mark.parametrize("path", ["/participants", "/metrics", "/health", "/documentation", "/nothing"])
async def test_a_foreign_host_is_refused_whatever_it_is_for(local: Operator, host: str, path: str) -> None:
    assert FOREIGN_HOST == (await local.send("GET", path, headers={"Host": host})).error


async def test_a_request_without_a_host_is_no_browser_s(local: Operator) -> None:
    reader, writer = await asyncio.open_connection(local.client.server.host, local.client.server.port)
    writer.write(b"GET /health HTTP/1.0\r\n\r\n")
    assert b"200" in await reader.readline()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("host", ["hub.example", "HUB.example:4001", "admin:4001", "console.example", "localhost:4001"])
async def test_named_hosts_are_right(public: Operator, host: str) -> None:
    assert 200 == (await get(public, {"Host": host})).status


async def test_with_named_hosts_all_others_are_refused(public: Operator) -> None:
    assert FOREIGN_HOST == (await get(public, {"Host": "evil.example"})).error


async def test_a_hub_on_the_network_without_named_hosts_is_right_by_any_name_and_says_so() -> None:
    with capture_logs() as logs:
        async with an_operator(bind_host="0.0.0.0", open_on_network=True) as operator:
            assert 200 == (await get(operator, {"Host": "whatever.example"})).status

    (warning,) = [one for one in logs if one["event"] == "admin-serves-any-host-name"]
    assert "CLEARINGHUB_ADMIN_HOSTS" in warning["remedy"]


@pytest.mark.parametrize(
    "settings",
    [
        {"security": "gateway", "gateway_identity": "x-client-id", "gateway_credentials": "gateway.pem"},
        {"security": "full"},
    ],
)
async def test_a_secure_hub_is_right_by_no_name_that_nobody_has_named(
    settings: Mapping[str, Any], tmp_path: Path
) -> None:
    async with an_operator(bind_host="0.0.0.0", secure_dir=tmp_path, **settings) as operator:
        assert FOREIGN_HOST == (await operator.send("GET", "/participants", headers={"Host": "hub.example"})).error


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://localhost:4001.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example"},
        {**LINK, "Sec-Fetch-Dest": "iframe"},
        {**LINK, "Sec-Fetch-Mode": "no-cors"},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_a_page_of_another_site_is_refused(local: Operator, method: str, headers: Mapping[str, str]) -> None:
    before = len(local.hub.written["participants"])
    body: Any = {"name": "dfsp", "currency": "USD"} if method == "POST" else None

    answer = await local.send(method, "/participants", body, headers={"Host": "localhost:4001", **headers})

    assert FOREIGN_PAGE == answer.error
    assert before == len(local.hub.written["participants"])


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost:4001", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
        LINK,
    ],
    ids=str,
)
async def test_its_own_page_an_address_that_is_typed_and_a_link_are_right(
    local: Operator, headers: Mapping[str, str]
) -> None:
    assert 200 == (await get(local, {"Host": "localhost:4001", **headers})).status


async def test_a_link_changes_nothing(local: Operator) -> None:
    answer = await local.send("POST", "/participants", {"name": "dfsp", "currency": "USD"}, headers=LINK)

    assert FOREIGN_PAGE == answer.error


async def test_through_a_proxy_the_page_s_origin_is_that_of_admin_url(public: Operator) -> None:
    headers = {"Host": "admin:4001", "Sec-Fetch-Site": "same-origin"}

    assert 200 == (await get(public, {**headers, "Origin": "https://console.example"})).status
    assert FOREIGN_PAGE == (await get(public, {**headers, "Origin": "https://hub.example"})).error


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", None])
async def test_a_body_that_a_form_could_send_is_refused(local: Operator, content_type: str | None) -> None:
    body = b'{"name": "dfsp", "currency": "USD"}'
    headers = {} if content_type is None else {"Content-Type": content_type}

    answer = await local.send("POST", "/participants", data=body, headers=headers, skip_auto_headers=("Content-Type",))

    assert (400, "3101", "Malformed syntax - Unsupported Media Type") == answer.error


@pytest.mark.parametrize("name", ["http://hub.example", "hub.example:4001", "hub.example/", "", "*.example"])
def test_what_is_no_name_of_a_host_is_no_setting(name: str) -> None:
    with pytest.raises(ValueError, match="must be names of hosts"):
        Settings(admin_hosts=(name,))
