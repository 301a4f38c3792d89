"""Where a URL's host leads to at this moment, if the hub may go there.

A name is resolved once for each connection, and the connection goes to an address that was checked: a name that leads
elsewhere a moment later gains nothing.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from typing import TypeAlias

from clearinghub.security.egress import Egress

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]


class ForbiddenDestinationError(OSError):
    """The hub may not connect to this host; the sentence says why."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host, each once, in the order in which the system prefers them.

    Raises:
        OSError: there are none.
        UnicodeError: the host is no valid name.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class Destinations:
    """Resolves hosts, and refuses those that lead to where the hub may not go."""

    def __init__(self, egress: Egress, resolve: Resolve = resolve) -> None:
        self._egress = egress
        self._resolve = resolve

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """Return a host's addresses to connect to.

        One forbidden address forbids the host: nobody who is honest needs a name that leads to such a one as well.

        Raises:
            ForbiddenDestinationError: the hub may not connect to the host.
            OSError: the host has no addresses.
            UnicodeError: the host is no valid name.
        """
        if self._egress.is_own(host.rstrip("."), port):
            raise ForbiddenDestinationError(f"{host}:{port} is the hub's own")
        addresses = await self._resolve(host, port)
        self.check(addresses, port)
        return addresses

    def check(self, addresses: Sequence[str], port: int) -> None:
        """Check addresses that need no resolver.

        Raises:
            ForbiddenDestinationError: the hub may not connect to one of them.
        """
        for address in addresses:
            fault = self._egress.address_refusal(ip_address(address), port)
            if fault is not None:
                raise ForbiddenDestinationError(fault)
