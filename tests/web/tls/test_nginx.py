"""deploy/gateway/nginx.conf, run by a real nginx before the hub: clients cannot choose who they are."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.web.tls.world import PAYEE, REQUESTS, Connection, Scheme, SecureHub, free_port, request

CONFIG = Path(__file__).resolve().parents[3] / "deploy/gateway/nginx.conf"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin")
OTHERS_SOURCE = "400 3100 Generic validation error - Invalid fspiop-source header"
NOT_REGISTERED = "401 3000 Generic client error - credential is not registered"

pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx on this machine")


@pytest.fixture
async def hub(make_hub: Callable[..., Any]) -> SecureHub:
    started: SecureHub = await make_hub("gateway", gateway_identity="x-client-cert")
    return started


@pytest.fixture
async def port(hub: SecureHub, scheme: Scheme, tmp_path: Path) -> AsyncIterator[int]:
    """Yield the port of an nginx before the hub, with the project's configuration."""
    assert NGINX is not None
    number = free_port()
    text = CONFIG.read_text().replace("listen 443", f"listen 127.0.0.1:{number}")
    text = text.replace("127.0.0.1:4000", f"127.0.0.1:{hub.port}").replace("hub.example", "localhost")
    (tmp_path / "nginx.conf").write_text(text)
    shutil.copy(scheme.gateway.certificate, tmp_path / "gateway.pem")
    shutil.copy(scheme.gateway.key, tmp_path / "gateway.key")
    arguments = ["-p", str(tmp_path), "-c", "nginx.conf", "-e", "stderr", "-g", "daemon off;"]
    process = await asyncio.create_subprocess_exec(NGINX, *arguments)
    for _ in range(100):
        connection = await Connection.open(number, None)
        if connection.writer is not None:
            connection.close()
            break
        await asyncio.sleep(0.1)
    yield number
    process.terminate()
    await process.wait()


async def ask(port: int, scheme: Scheme, kind: str, content: bytes) -> str:
    connection = await Connection.open(port, scheme.context(scheme.clients[kind]))
    answer = await connection.ask(content)
    connection.close()
    return answer


async def test_a_request_is_of_the_client_whose_certificate_nginx_has_seen(
    hub: SecureHub, scheme: Scheme, port: int
) -> None:
    assert "202" == await ask(port, scheme, "good", request(*REQUESTS["POST"]))
    assert "202" == await ask(port, scheme, "good, RSA", request(*REQUESTS["POST"]))
    assert 2 == len(hub.recorder.records)
    assert OTHERS_SOURCE == await ask(port, scheme, "another's", request(*REQUESTS["POST"]))
    for kind in ("unregistered", "revoked", "same name, another key"):
        assert NOT_REGISTERED == await ask(port, scheme, kind, request(*REQUESTS["POST"]))
    for kind in ("expired", "another authority's", "a server's"):
        assert (await ask(port, scheme, kind, request(*REQUESTS["POST"]))).startswith("400")  # nginx's own answer
    assert 2 == len(hub.recorder.records)


async def test_forged_headers_change_nothing(hub: SecureHub, scheme: Scheme, port: int) -> None:
    victim = scheme.clients["another's"].escaped
    forged = [
        ("X-Client-Cert", victim),
        ("x-client-cert", victim),
        ("X-Forwarded-Client-Cert", f'Cert="{victim}"'),
        ("x-client-id", PAYEE),
        ("X_Client_Cert", victim),
    ]
    for headers in (*([one] for one in forged), forged):
        as_victim = request(*REQUESTS["PUT"], headers=headers, source=PAYEE)
        as_itself = request(*REQUESTS["POST"], headers=headers)

        assert OTHERS_SOURCE == await ask(port, scheme, "good", as_victim)
        assert NOT_REGISTERED == await ask(port, scheme, "unregistered", as_victim)
        assert "202" == await ask(port, scheme, "good", as_itself)
    assert len(forged) + 1 == len(hub.recorder.records)


async def test_the_gateway_may_be_withdrawn(hub: SecureHub, scheme: Scheme, port: int) -> None:
    assert "202" == await ask(port, scheme, "good", request(*REQUESTS["POST"]))

    hub.pins.write_bytes(scheme.clients["good"].certificate.read_bytes())
    hub.follow()

    answer = await ask(port, scheme, "good", request(*REQUESTS["POST"]))
    # By a connection that nginx has kept, or by a new one, which the hub does not take.
    assert answer in ("401 3000 Generic client error - credential is not the gateway's", "502")
    assert 1 == len(hub.recorder.records)
