"""Where the hub sends nothing to: addresses in all their spellings, names, and its own ports."""

from __future__ import annotations

from ipaddress import IPv4Network, ip_address, ip_network
from typing import Any

import pytest

from clearinghub.config import Settings
from clearinghub.security.egress import egress_of, literal_address, refusal

LOOPBACK, LINK_LOCAL, PRIVATE = "a loopback address", "a link-local address", "a private address"
RESERVED, MULTICAST, DOCUMENTATION = "a reserved address", "a multicast address", "an address for documentation"
CARRIER, UNSPECIFIED = "an address of a carrier's own network", "an unspecified address"
METADATA = "the metadata service of a cloud"

ADDRESSES = [
    ("0.0.0.0", UNSPECIFIED),
    ("0.1.2.3", UNSPECIFIED),
    ("::", UNSPECIFIED),
    ("127.0.0.1", LOOPBACK),
    ("127.255.255.254", LOOPBACK),
    ("::1", LOOPBACK),
    ("169.254.0.1", LINK_LOCAL),
    ("fe80::1", LINK_LOCAL),
    ("febf::1", LINK_LOCAL),
    ("10.0.0.1", PRIVATE),
    ("10.255.255.255", PRIVATE),
    ("172.16.0.1", PRIVATE),
    ("172.31.255.255", PRIVATE),
    ("192.168.0.1", PRIVATE),
    ("fc00::1", PRIVATE),
    ("fd12:3456::1", PRIVATE),
    ("fec0::1", PRIVATE),
    ("100.64.0.1", CARRIER),
    ("100.127.255.255", CARRIER),
    ("224.0.0.1", MULTICAST),
    ("239.255.255.255", MULTICAST),
    ("ff02::1", MULTICAST),
    ("192.0.2.1", DOCUMENTATION),
    ("198.51.100.1", DOCUMENTATION),
    ("203.0.113.1", DOCUMENTATION),
    ("2001:db8::1", DOCUMENTATION),
    ("198.18.0.1", "an address for benchmarks"),
    ("192.0.0.1", RESERVED),
    ("192.88.99.1", RESERVED),
    ("240.0.0.1", RESERVED),
    ("255.255.255.255", RESERVED),
    ("100::1", RESERVED),  # discarded
    ("::127.0.0.1", RESERVED),  # IPv4-compatible
    ("::ffff:0:127.0.0.1", RESERVED),  # IPv4-translated
    ("64:ff9b:1::7f00:1", RESERVED),  # NAT64 by a prefix of a network's own
    ("2001::1", RESERVED),  # Teredo
    ("2001:20::1", RESERVED),
    ("3fff::1", RESERVED),
    ("4000::1", RESERVED),
    ("169.254.169.254", METADATA),
    ("169.254.170.2", METADATA),
    ("100.100.100.200", METADATA),
    ("168.63.129.16", METADATA),
    ("192.0.0.192", METADATA),
    ("fd00:ec2::254", METADATA),
]
TRANSLATED = [  # IPv6 addresses that lead to IPv4 addresses
    ("::ffff:127.0.0.1", f"127.0.0.1 is {LOOPBACK}"),
    ("::ffff:a00:1", f"10.0.0.1 is {PRIVATE}"),
    ("::ffff:169.254.169.254", f"169.254.169.254 is {METADATA}"),
    ("64:ff9b::127.0.0.1", f"64:ff9b::7f00:1 leads to 127.0.0.1, {LOOPBACK}"),
    ("64:ff9b::192.168.1.1", f"64:ff9b::c0a8:101 leads to 192.168.1.1, {PRIVATE}"),
    ("64:ff9b::169.254.169.254", f"64:ff9b::a9fe:a9fe is {METADATA}"),
    ("2002:7f00:1::", f"2002:7f00:1:: leads to 127.0.0.1, {LOOPBACK}"),
    ("2002:a00:1::1", f"2002:a00:1::1 leads to 10.0.0.1, {PRIVATE}"),
]
PUBLIC = [
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "193.0.0.1",
    "223.255.255.255",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::1",
]
SPELLINGS = [  # of addresses, in a URL
    ("127.0.0.1", "127.0.0.1"),
    ("2130706433", "127.0.0.1"),
    ("0x7f000001", "127.0.0.1"),
    ("0X7F.1", "127.0.0.1"),
    ("0177.0.0.1", "127.0.0.1"),
    ("017700000001", "127.0.0.1"),
    ("127.1", "127.0.0.1"),
    ("127.0.1", "127.0.0.1"),
    ("127.0.0.1.", "127.0.0.1"),
    ("127.0.0.1..", "127.0.0.1"),
    ("127.0x0.00.1", "127.0.0.1"),
    ("0", "0.0.0.0"),
    ("0xa9fea9fe", "169.254.169.254"),
    ("2852039166", "169.254.169.254"),
    ("0251.0376.0251.0376", "169.254.169.254"),
    ("10.65535", "10.0.255.255"),
    ("::1", "::1"),
    ("0:0:0:0:0:0:0:1", "::1"),
    ("::ffff:7f00:1", "::ffff:127.0.0.1"),
]
NO_ADDRESSES = ["256.0.0.1", "1.2.3.4.5", "08.1.1.1", "4294967296", "1.16777216", "a.1", "1..2", "fe80::1%eth0", ":::"]
GUARDED: dict[str, Any] = {"egress_guard": True}
GOOD = ["https://dfsp.example/transfers", "http://dfsp.example:8080", "https://1.1.1.1/x", "https://[2606:4700::1111]/"]


@pytest.mark.parametrize(("address", "kind"), ADDRESSES)
def test_what_is_not_public_is_refused(address: str, kind: str) -> None:
    assert f"{ip_address(address)} is {kind}" == refusal(ip_address(address), ())


@pytest.mark.parametrize(("address", "sentence"), TRANSLATED)
def test_an_address_that_leads_to_another_is_judged_by_that(address: str, sentence: str) -> None:
    assert sentence == refusal(ip_address(address), ())


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_not_refused(address: str) -> None:
    assert refusal(ip_address(address), ()) is None


def test_the_table_is_as_long_as_it_should_be() -> None:
    assert len(ADDRESSES) + len(TRANSLATED) + len(SPELLINGS) + len(NO_ADDRESSES) >= 60


def test_allowed_networks() -> None:
    allowed = (IPv4Network("10.1.0.0/16"), ip_network("fd12::/16"))
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd12::1"):
        assert refusal(ip_address(address), allowed) is None
    for address in ("10.2.0.1", "fd13::1", "127.0.0.1", "64:ff9b::10.1.2.3"):
        assert refusal(ip_address(address), allowed) is not None


def test_metadata_services_are_refused_even_in_an_allowed_network() -> None:
    allowed = (ip_network("169.254.0.0/16"), ip_network("64:ff9b::/96"))
    assert refusal(ip_address("169.254.1.1"), allowed) is None
    for address in ("169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::169.254.169.254"):
        assert "metadata" in (refusal(ip_address(address), allowed) or "")


@pytest.mark.parametrize(("host", "address"), SPELLINGS)
def test_addresses_are_recognised_in_every_spelling(host: str, address: str) -> None:
    assert ip_address(address) == literal_address(host)
    bracketed = f"[{host}]" if ":" in host else host
    assert egress_of(Settings(**GUARDED)).url_refusal(f"http://{bracketed}:99/x") is not None


@pytest.mark.parametrize("host", NO_ADDRESSES)
def test_what_looks_like_an_address_and_is_none(host: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - it has no text of its own
        literal_address(host)
    if host != ":::":  # which no URL can have
        bracketed = f"[{host}]" if ":" in host else host
        assert egress_of(Settings()).url_refusal(f"http://{bracketed}/x") is not None


@pytest.mark.parametrize("host", ["dfsp.example", "a", "x--y.example.", "1.example", "0x.example", ""])
def test_names_are_no_addresses(host: str) -> None:
    assert literal_address(host) is None


@pytest.mark.parametrize("url", GOOD)
def test_public_urls_are_accepted(url: str) -> None:
    assert egress_of(Settings(**GUARDED)).url_refusal(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/x",
        "http://LocalHost./x",
        "http://a.localhost/x",
        "http://kafka:9092/x",
        "http://payerbank/x",
        "http://x.internal/",
        "http://printer.local/",
        "http://metadata.google.internal/computeMetadata",
        "http://metadata.goog./",
        "http://%31%32%37.0.0.1/",
        "http://dfsp.example\\.evil/",
        "http://a..b/",
    ],
)
def test_names_of_the_hubs_own_network_are_refused(url: str) -> None:
    assert egress_of(Settings(**GUARDED)).url_refusal(url) is not None


def test_a_scheme_on_a_private_network_may_use_its_names() -> None:
    egress = egress_of(Settings(egress_allow=(IPv4Network("10.0.0.0/8"),)))
    assert egress.is_guarded
    assert egress.url_refusal("http://payerbank:3000/x") is None
    assert egress.url_refusal("http://10.1.1.1/x") is None
    assert "192.168.1.1 is a private address" == egress.url_refusal("http://192.168.1.1/x")
    assert egress.url_refusal("http://localhost/x") is not None


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:4001/participants",
        "http://2130706433:4002/",
        "http://localhost:4000/transfers",
        "http://[::1]:4003/",
        "http://[::ffff:127.0.0.1]:4004/",
        "http://0.0.0.0:4001/",
        "http://10.1.1.1:4001/",
        "http://127.0.0.1:9093/",
        "http://kafka.example:9092/",
        "http://kafka.example.:9092/",
        "http://ledger-0:4002/",
    ],
)
@pytest.mark.parametrize("guard", [False, True])
def test_the_hubs_own_ports_are_refused_whatever_is_allowed(url: str, guard: bool) -> None:
    own = Settings(
        bind_host="10.1.1.1",
        open_on_network=True,
        kafka_bootstrap="kafka.example:9092,localhost:9093",
        ledger_url="http://ledger-0:4002",
        egress_allow=(IPv4Network("0.0.0.0/0"),) if guard else (),
    )
    assert "is the hub's own" in (egress_of(own).url_refusal(url) or "")


def test_unguarded_everything_else_is_accepted_but_metadata_services() -> None:
    egress = egress_of(Settings())
    assert not egress.is_guarded
    for url in ("http://127.0.0.1:4100/x", "http://localhost:5000", "http://payerbank", "http://10.0.0.1:4001/", *GOOD):
        assert egress.url_refusal(url) is None
    for url in ("http://169.254.169.254/latest", "http://0xa9fea9fe/", "http://metadata.google.internal/"):
        assert "metadata" in (egress.url_refusal(url) or "")


def test_settings_are_networks() -> None:
    assert (IPv4Network("10.0.0.0/8"),) == Settings.model_validate({"egress_allow": ["10.0.0.0/8"]}).egress_allow
    with pytest.raises(ValueError, match="egress_allow"):
        Settings.model_validate({"egress_allow": ["10.0.0.1/8"]})
