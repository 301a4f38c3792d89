"""Which web pages may use the admin API: only those that it serves itself.

An operator's browser reaches the admin port, and so does every page that is open in it. A page of another site is
refused by the headers that the browser adds, `Origin` and `Sec-Fetch-Site`. A page whose own name its owner has let
resolve to the hub's address (DNS rebinding) is of the same site for the browser, and is refused by the name in `Host`.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import structlog
from aiohttp.hdrs import HOST, ORIGIN
from aiohttp.typedefs import Handler, Middleware
from aiohttp.web import Request, StreamResponse, middleware

from clearinghub.config import Settings
from clearinghub.domain.errors import ErrorCode, Rejection
from web.http.errors import ApiError

_HOST_REFUSED: Final = Rejection(ErrorCode.CLIENT_ERROR, "Host is not one of CLEARINGHUB_ADMIN_HOSTS", http_status=421)
_PAGE_REFUSED: Final = Rejection(ErrorCode.CLIENT_ERROR, "Sent by a web page of another site", http_status=403)
_OWN_SITE: Final = frozenset({"same-origin", "none"})
_LOCALHOST: Final = "localhost"
_SET_HOSTS: Final = "set CLEARINGHUB_ADMIN_HOSTS to the names by which operators and their tools reach the admin port"

_log = structlog.get_logger(__name__)


def make_origin_middleware(settings: Settings) -> Middleware:
    """Return the middleware that refuses requests to another host name (421), and those of other sites' pages (403).

    An address is right as `Host`: no page has the hub's address as its name but the hub's own. Without
    CLEARINGHUB_ADMIN_HOSTS a hub of profile `open` that listens to other machines is right by any name, since nobody
    has said which it has there; one that listens to its own machine only is not.
    """
    public = urlsplit(settings.admin_url).netloc.lower()
    own = {_LOCALHOST, settings.bind_host.lower(), _host_name(public), *map(str.lower, settings.admin_hosts)} - {""}
    any_name = settings.security == "open" and not settings.admin_hosts and not _is_loopback(settings.bind_host)
    if any_name:
        _log.warning("admin-serves-any-host-name", remedy=_SET_HOSTS)

    @middleware
    async def refuse_foreign(request: Request, handler: Handler) -> StreamResponse:
        host = request.headers.get(HOST, "")
        name = _host_name(host)
        if host and not (any_name or name in own or _is_address(name)):
            raise ApiError(_HOST_REFUSED)
        if _is_of_another_site(request) or _is_of_another_origin(request.headers.get(ORIGIN), {host.lower(), public}):
            raise ApiError(_PAGE_REFUSED)
        return await handler(request)

    return refuse_foreign


def _is_of_another_site(request: Request) -> bool:
    """Return whether the browser says so. A link may be followed from anywhere: its page cannot read the answer."""
    headers = request.headers
    if headers.get("Sec-Fetch-Site", "none") in _OWN_SITE:
        return False
    follows_link = headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
    return not (follows_link and request.method in ("GET", "HEAD"))


def _is_of_another_origin(origin: str | None, own: Collection[str]) -> bool:
    if origin is None:
        return False
    authority = origin.partition("://")[2].lower()
    return not authority or authority not in own  # nothing is the authority of `null`, of a page without an origin


def _host_name(authority: str) -> str:
    """Return the name or address without its port; nothing if it cannot be read."""
    try:
        return (urlsplit(f"//{authority}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    return name.lower() == _LOCALHOST or (_is_address(name) and ip_address(name).is_loopback)
