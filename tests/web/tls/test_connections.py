"""Connections of the FSPIOP port: how long they last, how many there may be, and what replaces their certificates."""

from __future__ import annotations

import asyncio
import ssl
import time
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from clearinghub.domain.participants.credential import CredentialState
from clearinghub.roles.serving import HANDSHAKES_MAX, LOOK_INTERVAL_S
from clearinghub.security.certificates import FSP_URI, SERVER, Subject, issue
from clearinghub.security.listener_tls import HANDSHAKE_TIMEOUT_S
from tests.unit.security.samples import ec_key
from tests.web.tls.world import PAYEE, PAYER, REQUESTS, Scheme, SecureHub, register, request
from web.http.protocol import CONNECTIONS_OF_ONE_MAX, HEAD_TIMEOUT_S

GOOD = request(*REQUESTS["POST"])
NOT_REGISTERED = "401 3000 Generic client error - credential is not registered"
SOON_S = LOOK_INTERVAL_S + 1.0


async def test_a_revoked_key_ends_a_kept_connection_with_its_next_request(hub: SecureHub) -> None:
    kept, other = await hub.open("good"), await hub.open("good, RSA")
    assert ["202", "202"] == [await kept.ask(GOOD), await other.ask(GOOD)]

    hub.revoke("good")

    assert NOT_REGISTERED == await kept.ask(GOOD)
    assert "202" == await other.ask(GOOD)
    assert 3 == len(hub.recorder.records)


async def test_an_idle_connection_of_a_revoked_key_is_closed_within_a_second_or_so(hub: SecureHub) -> None:
    idle, other = await hub.open("good"), await hub.open("good, RSA")
    assert ["202", "202"] == [await idle.ask(GOOD), await other.ask(GOOD)]

    hub.revoke("good")

    assert await idle.is_closed_within(SOON_S)
    assert "202" == await other.ask(GOOD)


async def test_a_key_counts_as_soon_as_it_is_registered(hub: SecureHub, scheme: Scheme) -> None:
    early = await hub.open("unregistered")
    assert NOT_REGISTERED == await early.ask(GOOD)

    register(hub.participants, PAYER, scheme.clients["unregistered"].key_id, CredentialState.ACTIVE)

    assert "202" == await early.ask(GOOD)


async def test_a_participant_has_so_many_connections_and_leaves_others_theirs(hub: SecureHub) -> None:
    connections = [await hub.open("good") for _ in range(CONNECTIONS_OF_ONE_MAX)]
    assert "202" == await connections[-1].ask(GOOD)

    assert "closed" == await (await hub.open("good, RSA")).ask(GOOD)
    assert "202" == await (await hub.open("another's")).ask(request(*REQUESTS["GET"], source=PAYEE))

    connections[0].close()
    async with asyncio.timeout(5):
        while await (await hub.open("good, RSA")).ask(GOOD) != "202":
            await asyncio.sleep(0.1)  # until the hub has seen that the connection is closed


async def test_clients_that_say_nothing_do_not_keep_others_out(hub: SecureHub) -> None:
    silent = [await hub.connect(None) for _ in range(HANDSHAKES_MAX + 20)]
    began_at_s = time.monotonic()

    assert "202" == await (await hub.open()).ask(GOOD)

    assert time.monotonic() - began_at_s < HANDSHAKE_TIMEOUT_S
    closed = await asyncio.gather(*(one.is_closed_within(HANDSHAKE_TIMEOUT_S + 2) for one in silent))
    assert all(closed)


async def test_slow_heads_are_closed_and_slow_bodies_and_idle_connections_are_not(hub: SecureHub) -> None:
    silent, dripping, idle, slow_body = [await hub.open() for _ in range(4)]
    assert ["202", "202"] == [await dripping.ask(GOOD), await idle.ask(GOOD)]
    assert dripping.writer is not None
    assert slow_body.writer is not None

    slow_body.writer.write(GOOD[:-20])
    for byte in GOOD[: int(HEAD_TIMEOUT_S * 2)]:
        dripping.writer.write(bytes([byte]))
        await asyncio.sleep(0.5)

    await asyncio.sleep(SOON_S)
    assert await silent.is_closed_within(0.1)
    assert await dripping.is_closed_within(0.1)
    assert "202" == await idle.ask(GOOD)
    assert "202" == await slow_body.ask(GOOD[-20:])


async def test_a_new_certificate_serves_new_connections_and_kept_ones_go_on(hub: SecureHub, scheme: Scheme) -> None:
    kept = await hub.open()
    before = await served_certificate(hub, scheme)

    replace_certificate(hub.folder, scheme, with_key=False)  # the new certificate without its key: not yet usable
    await asyncio.sleep(SOON_S)
    assert before == await served_certificate(hub, scheme)

    replace_certificate(hub.folder, scheme, with_key=True)
    await asyncio.sleep(SOON_S)

    assert before != await served_certificate(hub, scheme)
    assert "202" == await kept.ask(GOOD)


async def test_an_authority_that_was_withdrawn_opens_no_connection(hub: SecureHub, scheme: Scheme) -> None:
    other = scheme.other_authority.certificate.public_bytes(Encoding.PEM)
    (hub.folder / "public/scheme-ca.pem").write_bytes(other)
    hub.follow()

    assert "closed" == await (await hub.open("good")).ask(GOOD)
    assert "202" == await (await hub.open("another authority's")).ask(GOOD)


@pytest.mark.parametrize("name", ["hub/server.pem", "hub/server.key", "public/scheme-ca.pem"])
async def test_a_file_that_goes_away_changes_nothing(hub: SecureHub, name: str) -> None:
    (hub.folder / name).unlink()
    hub.follow()

    assert "202" == await (await hub.open()).ask(GOOD)


async def served_certificate(hub: SecureHub, scheme: Scheme) -> bytes:
    connection = await hub.connect(scheme.context(scheme.clients["good"]))
    assert connection.writer is not None
    served: ssl.SSLObject = connection.writer.get_extra_info("ssl_object")
    certificate = served.getpeercert(binary_form=True)
    assert certificate is not None
    return certificate


def replace_certificate(folder: Path, scheme: Scheme, *, with_key: bool) -> None:
    key = ec_key(20)
    subject = Subject(FSP_URI + "Hub", ("localhost",))
    issued = issue(scheme.authority, key.public_key(), subject, [SERVER], 30, scheme.now + timedelta(minutes=1))
    (folder / "hub/server.pem").write_bytes(issued.public_bytes(Encoding.PEM))
    if with_key:
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "hub/server.key").write_bytes(private)
