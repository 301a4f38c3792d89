"""A hub for a test: its roles as processes on free ports, with topics and data of their own."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp

from clearinghub.roles.all import ROLES
from clearinghub.tools.client.admin import AdminClient
from clearinghub.tools.client.hub_urls import HubUrls
from sandbox.dfsp.simulated_dfsp import SimulatedDfsp
from sandbox.scheme import Scheme
from tests.analysts import check_written

REPOSITORY = Path(__file__).parents[2]
HEALTHY_WITHIN_S = 60.0
STOP_WITHIN_S = 10.0
CURRENCY = "XTS"
PARTITIONS = 4


def free_port() -> int:
    """Return a free port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class HubUnderTest:
    """The processes of the roles; a role can be killed and started again under its name."""

    def __init__(self, bootstrap: str, prefix: str, folder: Path, **settings: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.ports = {name: free_port() for name in ("fspiop", "admin", "ledger", "callbacks")}
        self.urls = HubUrls(f"http://127.0.0.1:{self.ports['fspiop']}", f"http://127.0.0.1:{self.ports['admin']}")
        self.environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP": bootstrap,
            "CLEARINGHUB_APPLICATION_ID": f"{prefix}hub",
            "CLEARINGHUB_TOPIC_PREFIX": prefix,
            "CLEARINGHUB_PARTITIONS": str(PARTITIONS),
            "CLEARINGHUB_DATA_DIR": str(folder / "data"),
            "CLEARINGHUB_RUN_DIR": str(folder / "run"),
            "CLEARINGHUB_SESSION_TIMEOUT_MS": "6000",
            **{f"CLEARINGHUB_{name.upper()}_PORT": str(port) for name, port in self.ports.items()},
            **{f"CLEARINGHUB_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.modules: dict[str, str] = {}  # of roles that a test replaces, in place of `clearinghub ROLE`

    def start(self, role: str, name: str | None = None, **settings: object) -> None:
        """Start a process of a role; `name` distinguishes several processes of one role."""
        name = name or role
        log = self.folder / f"{name}-{time.monotonic_ns()}.log"
        extra = {f"CLEARINGHUB_{key.upper()}": str(value) for key, value in settings.items()}
        with log.open("wb") as output:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *([self.modules[role]] if role in self.modules else ["clearinghub", role])],
                cwd=REPOSITORY,
                env=self.environment | extra,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def kill(self, name: str) -> None:
        """Kill a process with SIGKILL."""
        self.processes[name].kill()
        self.processes[name].wait()

    async def stop(self, name: str) -> float:
        """Stop a process with SIGTERM and return the seconds it took; it must exit with code 0."""
        process = self.processes.pop(name)
        started = time.monotonic()
        process.terminate()
        code = await asyncio.to_thread(process.wait, STOP_WITHIN_S)
        assert 0 == code, self.logs(name)
        return time.monotonic() - started

    async def healthy(self) -> None:
        """Wait until the hub is healthy."""
        await self.urls.wait_until_healthy(HEALTHY_WITHIN_S, lambda _what: None)

    def logs(self, name: str) -> str:
        """Return the end of a role's log."""
        return "\n".join(path.read_text()[-3_000:] for path in sorted(self.folder.glob(f"{name}-*.log")))

    def close(self) -> None:
        """Kill all processes that still run."""
        for process in self.processes.values():
            process.kill()
            process.wait()


@asynccontextmanager
async def running_hub(
    bootstrap: str, prefix: str, folder: Path, modules: Mapping[str, str] | None = None, /, **settings: object
) -> AsyncIterator[HubUnderTest]:
    """Yield a healthy hub of all roles; at the end, check all records for analysts.

    `modules` are run in place of `clearinghub ROLE`, by role.
    """
    hub = HubUnderTest(bootstrap, prefix, folder, **settings)
    hub.modules.update(modules or {})
    try:
        for role in ROLES:
            hub.start(role)
        try:
            await hub.healthy()
        except Exception as error:
            raise AssertionError("\n".join(hub.logs(role) for role in hub.processes)) from error
        yield hub
        await check_written(bootstrap, prefix, PARTITIONS)
    finally:
        hub.close()


@asynccontextmanager
async def scheme_of(
    hub: HubUnderTest,
    *names: str,
    cap_units: int = 100_000,
    funds_units: int = 1_000_000,
    make_dfsp: Callable[[str, str], SimulatedDfsp] = SimulatedDfsp,
) -> AsyncIterator[tuple[Scheme, list[SimulatedDfsp]]]:
    """Yield DFSPs with funds, limits and real HTTP servers, in one currency."""
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(AdminClient(hub.urls.admin))
        scheme = Scheme(admin, "Hub", CURRENCY)
        await scheme.ensure_currency()
        dfsps = []
        for name in names:
            dfsp = await stack.enter_async_context(make_dfsp(name, hub.urls.fspiop))
            await scheme.ensure_dfsp(name, cap_units, dfsp.endpoints)
            await scheme.ensure_funds(name, funds_units)
            dfsps.append(dfsp)
        yield scheme, dfsps


async def position_units(scheme: Scheme, name: str) -> int:
    """Return the value of a DFSP's POSITION account, in units of 1/10,000 of the currency."""
    account = await scheme.admin.account(name, CURRENCY, "POSITION")
    assert account is not None
    return account.value_units


async def eventually(scheme: Scheme, expected: dict[str, int], within_s: float = 10.0) -> None:
    """Wait until positions have the expected values; credits reach their partitions within milliseconds."""
    deadline = time.monotonic() + within_s
    while True:
        seen = {name: await position_units(scheme, name) for name in expected}
        if seen == expected or time.monotonic() > deadline:
            break
        await asyncio.sleep(0.05)
    assert expected == seen


async def request(method: str, url: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
    """Send a request; return its status and body."""
    async with (
        aiohttp.ClientSession(skip_auto_headers=("Accept", "Content-Type")) as session,
        session.request(method, url, data=None if body is None else io.BytesIO(body), headers=headers) as answer,
    ):
        return answer.status, await answer.read()
