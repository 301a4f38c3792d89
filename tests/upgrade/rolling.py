"""A hub whose processes run from two checkouts, and the roll: each process to the other release, one by one."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from clearinghub.tools.client.admin import AdminClient, AdminError, RefusedError
from clearinghub.tools.client.operations import Operations
from tests.chaos.hub import ChaosHub, fixed_ports
from tests.chaos.injector import Injected
from tests.chaos.plan import process_names
from tests.upgrade.releases import Checkout

BETWEEN_S: Final = 2.0  # both releases at work together
ROLLED_WITHIN_S: Final = 60.0
LATER_LEVEL: Final = 2
# Release 1.0.0 has no such role: in its place runs an ingress, which served operators as well.
ADMIN_API: Final = "admin-api"
ADMIN_API_MODULE: Final = "clearinghub/roles/admin_api.py"


class RollingHub(ChaosHub):
    """A hub in which each process runs from the checkout that its file `NAME.code` names when it starts."""

    def __init__(self, folder: Path, checkout: Checkout) -> None:
        super().__init__(folder)
        self._spare_ports = iter(fixed_ports(10 * len(process_names())))
        for name in process_names():
            self.set_checkout(name, checkout)

    def set_checkout(self, name: str, checkout: Checkout) -> None:
        """Let the process run from that checkout when it starts again."""
        (self.folder / f"{name}.code").write_text(str(checkout.folder))

    def _settings_of(self, name: str, port: int) -> dict[str, str]:
        # An ingress of release 1.0.0 listens on the operators' port too, and has one of its own here.
        others = {f"CLEARINGHUB_{setting}": str(self._spare_port()) for setting in ("FSPIOP_PORT", "ADMIN_PORT")}
        return others | super()._settings_of(name, port)

    def _spare_port(self) -> int:
        return next(port for port in self._spare_ports if port not in self._ports.values())

    def _command(self, name: str, role: str) -> list[str]:
        command = shlex.join([sys.executable, "-m", "clearinghub"])
        code, log = (shlex.quote(str(self.folder / f"{name}.{kind}")) for kind in ("code", "log"))
        choice = f"role={role}; [ {role} != {ADMIN_API} ] || [ -e {ADMIN_API_MODULE} ] || role=ingress"
        return ["/bin/sh", "-c", f'cd "$(cat {code})" && {{ {choice}; exec {command} $role >>{log} 2>&1; }}']


class Roller:
    """Rolls every process from one release to the other and back. Has the place of the chaos run's injector."""

    def __init__(self, hub: RollingHub, older: Checkout, newer: Checkout, tell: Callable[[str], None]) -> None:
        self._hub = hub
        self._older = older
        self._newer = newer
        self._tell = tell
        self.injected: list[Injected] = []
        self.rolls: list[float] = []  # the seconds that each took, until the hub was healthy again
        self.problems: list[str] = []
        self.is_done = False

    async def run(self, _faults: object, began_at_s: float) -> None:
        """Roll there, and back; then nothing of the newer release runs."""
        try:
            await asyncio.sleep(max(0.0, began_at_s - time.monotonic()))
            order = process_names()
            for name in order:
                await self._roll(name, self._newer)
                if name == order[0]:
                    await self._check_that_a_raise_is_refused()
            for name in order:
                await self._roll(name, self._older)
            await self._check_that_a_raise_is_refused()
        finally:
            self.is_done = True

    async def _roll(self, name: str, checkout: Checkout) -> None:
        began_s = time.monotonic()
        self._hub.set_checkout(name, checkout)
        pid = self._hub.pid(name)
        assert pid is not None, f"{name} does not run"
        os.kill(pid, signal.SIGTERM)
        while self._hub.pid(name) in (None, pid):
            await asyncio.sleep(0.1)
        if not await self._is_announced(name, checkout):
            self.problems.append(f"{name} does not run as {checkout.release}: {self._hub.logs(name)[-500:]}")
        await self._hub.healthy()
        self.rolls.append(time.monotonic() - began_s)
        self._tell(f"{name} runs as {checkout.release}, after {self.rolls[-1]:.1f} s")
        await asyncio.sleep(BETWEEN_S)

    async def _is_announced(self, name: str, checkout: Checkout) -> bool:
        role, _, instance = name.rpartition("-")
        if role == ADMIN_API and not (checkout.folder / ADMIN_API_MODULE).exists():
            role = "ingress"
        deadline_s = time.monotonic() + ROLLED_WITHIN_S
        while time.monotonic() < deadline_s:
            for urls in self._hub.urls:
                try:
                    async with AdminClient(urls.admin) as admin:
                        features = await Operations(admin).features()
                except AdminError:
                    continue
                if (role, instance, checkout.release) in {
                    (one.role, one.instance, one.release) for one in features.processes
                }:
                    return True
            await asyncio.sleep(0.5)
        return False

    async def _check_that_a_raise_is_refused(self) -> None:
        """Check that nobody can raise the level while a process of the older release runs."""
        async with AdminClient(self._hub.urls[0].admin) as admin:
            try:
                raised = await Operations(admin).raise_features(LATER_LEVEL, "too early")
            except RefusedError:
                return
            except AdminError as error:
                self.problems.append(f"the raise was not answered: {error}")
                return
        self.problems.append(f"the level was raised to {raised.level} while an older release ran")
