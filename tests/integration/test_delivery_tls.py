"""Callbacks over TLS to real servers: whom the hub believes to be a participant, and what it shows of itself."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
import uvloop

from clearinghub.callbacks.http_client import DestinationError, FailureKind, HttpTransport, TlsOf
from clearinghub.callbacks.oracles.http_client import NO_ANSWER, HttpOracleTransport
from clearinghub.config import Settings
from clearinghub.security.egress import egress_of
from clearinghub.security.profile import profile
from clearinghub.security.secret_folder import SecretFolder
from clearinghub.security.tls import outbound_tls
from tests.integration.tls_servers import HOST, Hub, Registered, TlsServer, authority, serving, write_certificate
from tests.unit.callbacks.oracles.samples import question

OURS, OTHERS = authority("payerbank CA"), authority("payeewallet CA")


@asynccontextmanager
async def sending(tls: TlsOf | None, **options: Any) -> AsyncIterator[HttpTransport]:
    made = HttpTransport(2_000, tls, **options)
    try:
        yield made
    finally:
        await made.close()


async def send(client: HttpTransport, server: TlsServer, peer: str = "payerbank") -> int | FailureKind:
    try:
        return await client.send("PUT", server.url, {}, b"", peer)
    except DestinationError as error:
        return error.kind


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path, Registered(payerbank=[OURS], payeewallet=[OTHERS]))


async def test_the_right_authority_is_believed_and_the_hub_shows_its_certificate(hub: Hub, tmp_path: Path) -> None:
    files = write_certificate(tmp_path, "server", OURS)
    async with serving(files, clients=hub.scheme) as server, sending(hub.contexts.of) as client:
        assert [200, 200] == [await send(client, server), await send(client, server)]
        assert (1, True) == (server.connections, server.clients[0] is not None)


async def test_who_is_not_believed(hub: Hub, tmp_path: Path) -> None:
    cases = {
        "an unknown authority": write_certificate(tmp_path, "unknown", authority("other CA")),
        "another participant's authority": write_certificate(tmp_path, "others", OTHERS),
        "another host": write_certificate(tmp_path, "host", OURS, ("dfsp.example", "127.0.0.2")),
        "expired": write_certificate(tmp_path, "expired", OURS, days=1, age_days=2),
        "not yet valid": write_certificate(tmp_path, "early", OURS, age_days=-2),
        "issued by the scheme": write_certificate(tmp_path, "scheme", hub.scheme),
    }
    seen = {}
    for case, files in cases.items():
        async with serving(files) as server, sending(hub.contexts.of) as client:
            seen[case] = await send(client, server), server.requests

    assert dict.fromkeys(cases, (FailureKind.UNTRUSTED, 0)) == seen


async def test_a_participant_without_an_authority_is_not_believed(hub: Hub, tmp_path: Path) -> None:
    files = write_certificate(tmp_path, "server", OURS)
    async with serving(files) as server, sending(hub.contexts.of) as client:
        with pytest.raises(DestinationError, match="pisp has registered no authority"):
            await client.send("PUT", server.url, {}, b"", "pisp")
        assert 0 == server.connections


async def test_what_the_machine_trusts_counts_by_default_and_the_hub_shows_nothing(tmp_path: Path) -> None:
    files = write_certificate(tmp_path, "server", OURS)
    async with serving(files) as server, sending(None) as client:
        assert FailureKind.UNTRUSTED is await send(client, server)
    trusting = ssl.create_default_context(cafile=str(files[0]))
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    async with serving(files) as server, sending(lambda _peer: trusting) as client:
        assert 200 == await send(client, server)
        assert [None] == server.clients


async def test_participants_share_no_connection_even_at_one_host(hub: Hub, tmp_path: Path) -> None:
    files = write_certificate(tmp_path, "server", OURS)
    async with serving(files) as server, sending(hub.contexts.of) as client:
        assert 200 == await send(client, server, "payerbank")
        assert FailureKind.UNTRUSTED is await send(client, server, "payeewallet")
        assert (1, 200) == (server.requests, await send(client, server, "payerbank"))


async def test_a_withdrawn_authority_ends_kept_connections(tmp_path: Path) -> None:
    registered = Registered(payerbank=[OURS])
    hub = Hub(tmp_path, registered)
    files = write_certificate(tmp_path, "server", OURS)
    async with serving(files) as server, sending(hub.contexts.of, keep_alive_s=0.4) as client:
        assert 200 == await send(client, server)
        registered.by_name = {"payerbank": [OTHERS]}
        assert FailureKind.UNTRUSTED is await send(client, server)
        registered.by_name = {"payerbank": [OTHERS, OURS]}  # while it changes to another one, both
        assert 200 == await send(client, server)
        assert 2 == server.connections


async def test_an_idle_connection_of_a_withdrawn_authority_is_closed(tmp_path: Path) -> None:
    registered = Registered(payerbank=[OURS])
    hub = Hub(tmp_path, registered)
    files = write_certificate(tmp_path, "server", OURS)
    async with serving(files) as server, sending(hub.contexts.of, keep_alive_s=1.2) as client:
        assert 200 == await send(client, server)
        registered.by_name = {}
        await asyncio.sleep(0.6)  # half as long as it would be kept
        assert 1 == server.ended


@pytest.mark.parametrize(("oldest", "outcome"), [("1.3", FailureKind.UNREACHABLE), ("1.2", 200)])
async def test_an_old_version_of_tls_must_be_allowed(tmp_path: Path, oldest: Any, outcome: object) -> None:
    hub = Hub(tmp_path, Registered(payerbank=[OURS]), oldest)
    files = write_certificate(tmp_path, "server", OURS)
    async with serving(files, newest=ssl.TLSVersion.TLSv1_2) as server, sending(hub.contexts.of) as client:
        assert outcome == await send(client, server)


async def test_the_hubs_certificate_is_replaced_under_sends_without_a_failure(hub: Hub, tmp_path: Path) -> None:
    files = write_certificate(tmp_path, "server", OURS)
    outcomes: set[int | FailureKind] = set()
    async with serving(files, clients=hub.scheme) as server, sending(hub.contexts.of) as client:

        async def keep_sending() -> None:
            while len(set(server.clients)) < 3:
                outcomes.add(await send(client, server))
                await asyncio.sleep(0.005)

        senders = [asyncio.create_task(keep_sending()) for _ in range(4)]
        async with asyncio.timeout(10):
            for number in (1, 2):
                await asyncio.sleep(0.2)
                hub.replace_certificate()
                while len(set(server.clients)) <= number:
                    await asyncio.sleep(0.02)
            await asyncio.gather(*senders)

    assert ({200}, 3) == (outcomes, len(set(server.clients)))


async def test_a_certificate_without_its_key_changes_nothing(hub: Hub, tmp_path: Path) -> None:
    files = write_certificate(tmp_path, "server", OURS)
    async with serving(files, clients=hub.scheme) as server, sending(hub.contexts.of) as client:
        assert 200 == await send(client, server)
        other, _ = write_certificate(tmp_path, "other", hub.scheme, ())
        other.replace(tmp_path / "client.pem")
        await asyncio.sleep(1.05)
        assert [200, 200] == [await send(client, server), await send(client, server)]
        assert 1 == server.connections


async def test_oracles_show_a_certificate_too(hub: Hub, tmp_path: Path) -> None:
    statuses = []
    for issuer in (OURS, OTHERS):
        files = write_certificate(tmp_path, "server", issuer)
        client = HttpOracleTransport(tls=lambda: hub.contexts.of("payerbank"))
        async with serving(files, clients=hub.scheme) as server:
            statuses.append(await client.send(question(method="GET", url=server.url, headers={})))
        await client.close()

    assert (200, NO_ANSWER) == (statuses[0].status, statuses[1])


def test_the_roles_event_loop_does_the_same(tmp_path: Path) -> None:
    async def outcomes() -> list[int | FailureKind]:
        hub = Hub(tmp_path, Registered(payerbank=[OURS], payeewallet=[OTHERS]))
        files = write_certificate(tmp_path, "server", OURS)
        async with serving(files, clients=hub.scheme) as server, sending(hub.contexts.of) as client:
            return [await send(client, server, peer) for peer in ("payerbank", "payeewallet", "payerbank")]

    assert [200, FailureKind.UNTRUSTED, 200] == uvloop.run(outcomes())


async def test_a_profile_has_contexts_for_participants_and_oracles(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    SecretFolder(folder).create("Hub", [HOST], ["alice"], datetime.now(UTC))
    required = profile(Settings(security="full", secure_dir=folder))
    tls = outbound_tls(required.client, Registered(payerbank=[OURS]), "1.3")
    assert tls.of_participant is not None
    client = HttpOracleTransport(egress_of(Settings(egress_allow=(IPv4Network("127.0.0.0/8"),))), tls.of_oracles)
    scheme = SecretFolder(folder).authority("scheme-ca")
    async with serving((folder / "hub/server.pem", folder / "hub/server.key"), clients=scheme) as server:
        assert 200 == (await client.send(question(method="GET", url=server.url, headers={}))).status
        async with sending(tls.of_participant) as callbacks:
            assert FailureKind.UNTRUSTED is await send(callbacks, server)
    await client.close()
    files = write_certificate(tmp_path, "server", OURS)
    async with serving(files, clients=scheme) as server, sending(tls.of_participant) as callbacks:
        assert 200 == await send(callbacks, server)


def test_an_open_hub_has_none() -> None:
    assert (None, None) == outbound_tls(profile(Settings()).client, Registered(), "1.3")
