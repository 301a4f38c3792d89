"""The URLs of the hub that the settings describe, and the wait until it is up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final, Self

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from clearinghub.config import Settings
from clearinghub.tools.client.tls import ClientFiles

PROBE_TIMEOUT_S: Final = 5
PROBE_INTERVAL_S: Final = 0.5
EVERYWHERE: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - recognised, not bound to


class HubDownError(Exception):
    """The hub did not become healthy in time; the text says what was missing."""


@dataclass(frozen=True, slots=True)
class HubUrls:
    """The base URLs of the hub's listeners, without a slash at the end."""

    fspiop: str
    admin: str
    operations: str = ""  # of the ingress's health, if the FSPIOP port requires a certificate
    authority: Path | None = None  # who has issued the certificate of the admin API

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the URLs on this machine."""
        host = "127.0.0.1" if settings.bind_host in EVERYWHERE else settings.bind_host
        if settings.security == "open":
            return cls(f"http://{host}:{settings.fspiop_port}", f"http://{host}:{settings.admin_port}")
        return cls(
            f"https://{host}:{settings.fspiop_port}",
            f"https://{host}:{settings.admin_port}",
            f"http://{host}:{settings.ops_port}",
            ClientFiles.of(settings).authority,
        )

    async def wait_until_healthy(self, timeout_s: float, tell: Callable[[str], None]) -> None:
        """Wait until /health is OK on both listeners; `tell` is called with what is missing.

        Raises:
            HubDownError: it is not OK after `timeout_s`.
        """
        missing = "the hub"
        try:
            async with (
                asyncio.timeout(timeout_s),
                ClientSession(timeout=ClientTimeout(total=PROBE_TIMEOUT_S), connector=self._connector()) as session,
            ):
                for url in (self.operations or self.fspiop, self.admin):
                    while True:
                        problem = await _problem(session, f"{url}/health")
                        if problem is None:
                            break
                        missing = f"{url}/health: {problem}"
                        tell(missing)
                        await asyncio.sleep(PROBE_INTERVAL_S)
        except TimeoutError:
            raise HubDownError(f"the hub is not healthy after {timeout_s:.0f} s - {missing}") from None

    def _connector(self) -> TCPConnector | None:
        return TCPConnector(ssl=ClientFiles(authority=self.authority).context()) if self.authority else None


def admin_url(settings: Settings) -> str:
    """Return the URL of the admin API for operators' commands."""
    return settings.admin_url or HubUrls.of(settings).admin


async def _problem(session: ClientSession, url: str) -> str | None:
    """Return why the health check at `url` is not OK, or None if it is."""
    try:
        async with session.get(url) as response:
            text = await response.text()
    except TimeoutError:
        return "no answer"
    except ClientError:
        return "nobody listens yet"
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        return f"HTTP {response.status}, not a health report"
    if response.status == HTTPStatus.OK and content.get("status") == "OK":
        return None
    services = [service for service in content.get("services") or [] if isinstance(service, dict)]
    down = [str(service.get("name")) for service in services if service.get("status") != "OK"]
    return f"{', '.join(down)} not up" if down else f"HTTP {response.status}, status {content.get('status')}"
