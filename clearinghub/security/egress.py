"""Where the hub may send requests to: to participants and oracles, but not to itself, its machine or its network.

The URLs of callbacks come from participants. Unchecked, they would let a participant reach through the hub whatever
only the hub can reach: its admin port, its broker, the metadata service of its cloud (docs/security.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias
from urllib.parse import SplitResult, urlsplit

from clearinghub.config import Settings
from clearinghub.security.profile import profile

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_KINDS: Final[tuple[tuple[str, tuple[Network, ...]], ...]] = tuple(
    (kind, tuple(map(ip_network, networks)))
    for kind, networks in (
        ("an unspecified address", ("0.0.0.0/8", "::/128")),
        ("a loopback address", ("127.0.0.0/8", "::1/128")),
        ("a link-local address", ("169.254.0.0/16", "fe80::/10")),
        ("a private address", ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10")),
        ("an address of a carrier's own network", ("100.64.0.0/10",)),
        ("a multicast address", ("224.0.0.0/4", "ff00::/8")),
        ("an address for documentation", ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")),
        ("an address for benchmarks", ("198.18.0.0/15",)),
        ("a reserved address", ("192.0.0.0/24", "192.88.99.0/24", "240.0.0.0/4", "2001::/23", "3fff::/20")),
    )
)
_GLOBAL_IPV6: Final = IPv6Network("2000::/3")  # all that is assigned for use in the whole internet lies in it
_NAT64: Final = IPv6Network("64:ff9b::/96")

HTTPS_ONLY: Final = "this hub sends over https only"
METADATA: Final[frozenset[Address]] = frozenset(
    map(
        ip_address,
        (
            "169.254.169.254",  # AWS, Azure, Google, OpenStack, Oracle and most others
            "169.254.170.2",  # AWS, credentials of a container
            "169.254.170.23",  # AWS, credentials of a pod
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",  # Google
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Azure
            "192.0.0.192",  # Oracle
        ),
    )
)
METADATA_NAMES: Final = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
)
_LOCAL_SUFFIXES: Final = (".local", ".internal", ".lan", ".localdomain", ".home.arpa")
_LOOPBACK: Final = IPv4Address("127.0.0.1")
_PORTS: Final = {"http": 80, "https": 443}

_NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F]+\Z|[0-9]+\Z")
_HEX: Final = ("0x", "0X")
_NAME: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\Z")
_IPV4_PARTS: Final = 4
_BYTE: Final = 256


def refusal(address: Address, allowed: Sequence[Network]) -> str | None:
    """Return why the hub may not connect to an address, as a sentence, or None.

    The services that hand out a machine's credentials are refused even if their network is allowed. An IPv6 address
    that another machine translates to an IPv4 address (NAT64, 6to4) leads to that one.
    """
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return refusal(address.ipv4_mapped, allowed)
    translated = _translated(address)
    if address in METADATA or translated in METADATA:
        return f"{address} is the metadata service of a cloud"
    if any(address in network for network in allowed):
        return None
    if translated is not None:
        kind = _kind(translated)
        return None if kind is None else f"{address} leads to {translated}, {kind}"
    kind = _kind(address)
    return None if kind is None else f"{address} is {kind}"


def literal_address(host: str) -> Address | None:
    """Return the address that a URL's host is, in any spelling that a resolver understands; None if it is a name.

    An IPv4 address may be written as one to four numbers, each decimal, octal or hexadecimal; the last one fills the
    bytes that are left.

    Raises:
        ValueError: it is neither, and no resolver can find anything.
    """
    host = host.rstrip(".")
    if "%" in host:  # the zone of a link-local address
        raise ValueError(host)
    if ":" in host:
        return IPv6Address(host)
    parts = host.split(".")
    if not _NUMBER.match(parts[-1]):
        return None
    *leading, last = [_number(part) for part in parts]
    is_too_long = len(parts) > _IPV4_PARTS or any(number >= _BYTE for number in leading)
    if is_too_long or last >= _BYTE ** (_IPV4_PARTS - len(leading)):
        raise ValueError(host)
    return IPv4Address(sum(number << 8 * (3 - place) for place, number in enumerate(leading)) + last)


@dataclass(frozen=True, slots=True)
class Egress:
    """The rules of one hub. Unguarded, they refuse the hub's own ports and metadata services only."""

    is_guarded: bool = False
    allowed: tuple[Network, ...] = ()
    https_only: bool = False
    own_ports: frozenset[int] = frozenset()  # on this machine
    own_addresses: frozenset[Address] = frozenset()  # besides loopback
    own_places: frozenset[tuple[str, int]] = frozenset()  # host and port of the broker and of other processes

    def url_refusal(self, url: str) -> str | None:
        """Return why participants and oracles may not be called at a URL, as far as it shows; None if it does not.

        No name is resolved: what a name leads to is checked at each connection.
        """
        parts = urlsplit(url)
        if self.https_only and parts.scheme != "https":
            return HTTPS_ONLY
        port = parts.port or _PORTS.get(parts.scheme, 0)
        host = (parts.hostname or "").rstrip(".")
        if self.is_own(host, port):
            return f"{host}:{port} is the hub's own"
        try:
            address = literal_address(host)
        except ValueError:
            return f"{host} is neither an address nor a name"
        return self._name_refusal(host, port) if address is None else self.address_refusal(address, port)

    def address_refusal(self, address: Address, port: int) -> str | None:
        """Return why the hub may not connect to this port of an address, or None."""
        if port in self.own_ports and self._is_this_machine(address):
            return f"port {port} of {address} is the hub's own"
        if self.is_guarded:
            return refusal(address, self.allowed)
        return f"{address} is the metadata service of a cloud" if address in METADATA else None

    def is_own(self, host: str, port: int) -> bool:
        """Return whether the hub itself is configured with this host and port, of its broker for instance."""
        return (host, port) in self.own_places

    def _name_refusal(self, name: str, port: int) -> str | None:
        if name == "localhost" or name.endswith(".localhost"):
            return self.address_refusal(_LOOPBACK, port)
        if name in METADATA_NAMES:
            return f"{name} is the metadata service of a cloud"
        if not self.is_guarded:
            return None
        if not _NAME.match(name):
            return f"{name} is neither an address nor a name"
        if not self.allowed and ("." not in name or name.endswith(_LOCAL_SUFFIXES)):
            return f"{name} is a name of the hub's own network"
        return None

    def _is_this_machine(self, address: Address) -> bool:
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        one = mapped or address
        return one.is_loopback or one.is_unspecified or one in self.own_addresses


def egress_of(settings: Settings) -> Egress:
    """Return the rules that the settings ask for.

    Raises:
        ProfileError: the settings contradict each other.
    """
    required = profile(settings)
    places = frozenset(_places(settings))
    ports = {
        settings.fspiop_port,
        settings.admin_port,
        settings.ledger_port,
        settings.callbacks_port,
        settings.archive_port,
        settings.ops_port,
        *(port for host, port in places if _is_loopback(host)),
    }
    return Egress(
        is_guarded=required.guards_egress or settings.egress_guard or bool(settings.egress_allow),
        allowed=settings.egress_allow,
        https_only=required.https_only,
        own_ports=frozenset(ports - {0}),
        own_addresses=frozenset(_bound(settings.bind_host)),
        own_places=places,
    )


def _is_loopback(host: str) -> bool:
    return host == "localhost" or any(address.is_loopback for address in _bound(host))


def _bound(host: str) -> Iterator[Address]:
    try:
        yield ip_address(host)
    except ValueError:
        return  # a name, of which only a resolver knows the addresses


def _places(settings: Settings) -> Iterator[tuple[str, int]]:
    """Yield where other parts of the hub are, as this process is configured."""
    for broker in filter(None, settings.kafka_bootstrap.split(",")):
        yield from _place(urlsplit(f"//{broker.strip()}"))
    for url in filter(None, (settings.ledger_url, settings.admin_url)):
        yield from _place(urlsplit(url))


def _place(parts: SplitResult) -> Iterator[tuple[str, int]]:
    try:
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return
    if parts.hostname and port:
        yield parts.hostname, port


def _kind(address: Address) -> str | None:
    for kind, networks in _KINDS:
        if any(address in network for network in networks):
            return kind
    if isinstance(address, IPv6Address) and address not in _GLOBAL_IPV6 and address not in _NAT64:
        return "a reserved address"
    return None


def _translated(address: Address) -> IPv4Address | None:
    """Return the IPv4 address to which another machine translates an IPv6 address, or None."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.sixtofour


def _number(text: str) -> int:
    if not _NUMBER.match(text):
        raise ValueError(text)
    if text.startswith(_HEX):
        return int(text, 16)
    return int(text, 8 if text.startswith("0") and text != "0" else 10)
