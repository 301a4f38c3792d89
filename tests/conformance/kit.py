"""Copies the kit, Mojaloop's Testing Toolkit with its collections, into a cache and installs its packages there.

The kit's own folder is never written to. Tools that are missing are installed by apt-get, for root on Debian.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCE_DEFAULT: Final = "../shared/conformance"
SCRIPTS: Final = ("run_acceptance.sh", "run_ttk.sh", "acceptance.json", "package-lock.json", "sdk/package-lock.json")
# Each command that the kit needs, and the Debian package that has it.
TOOLS: Final = {
    "bash": "bash",
    "curl": "curl",
    "md5sum": "coreutils",
    "node": "nodejs",
    "npm": "npm",
    "redis-cli": "redis-tools",
    "redis-server": "redis-server",
    "setsid": "util-linux",
}
NOT_COPIED: Final = ("node_modules", "run", "out", ".git")
APT_TIMEOUT_S: Final = 300
NPM_TIMEOUT_S: Final = 600
OUTPUT_LINES_SHOWN_MAX: Final = 15


class KitError(Exception):
    """The kit cannot be run here; the text says why, and what to do."""


def kit_source() -> Path:
    """Return the kit's folder: CONFORMANCE_KIT, relative to the project's root.

    Raises:
        KitError: the kit is not there.
    """
    source = (ROOT / os.environ.get("CONFORMANCE_KIT", SOURCE_DEFAULT)).resolve()
    missing = [name for name in SCRIPTS if not (source / name).is_file()]
    if missing:
        raise KitError(
            f"No conformance kit in {source} (missing: {', '.join(missing)}). "
            "Set CONFORMANCE_KIT to the folder with Mojaloop's Testing Toolkit and its run_acceptance.sh."
        )
    return source


def require_tools(tools: dict[str, str] = TOOLS) -> None:
    """Check that every tool is there, or install its package if allowed to.

    Raises:
        KitError: a tool is missing and could not be installed.
    """
    missing = _missing(tools)
    if not missing:
        return
    packages = sorted({tools[name] for name in missing})
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise KitError(f"Missing: {', '.join(missing)}. Install them (Debian: apt-get install {' '.join(packages)}).")
    _run(["apt-get", "update", "--quiet"], Path("/"), APT_TIMEOUT_S)
    install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *packages]
    _run(install, Path("/"), APT_TIMEOUT_S, {"DEBIAN_FRONTEND": "noninteractive"})
    still = _missing(tools)
    if still:
        raise KitError(f"Missing although {' '.join(packages)} is installed: {', '.join(still)}.")


def prepare_kit(source: Path) -> Path:
    """Return the folder of a ready copy of the kit. Its name has the kit's digest, so versions never mix.

    Parallel runs each make a copy; the first that is ready is renamed and used by all.

    Raises:
        KitError: the kit's packages cannot be installed.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    target = home / "clearinghub" / f"conformance-{digest_of(source)}"
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        _copy(source, fresh)
        # As in the kit's README: the adapters' own scripts would build what is not needed here.
        _run(["npm", "ci", "--no-audit", "--no-fund"], fresh, NPM_TIMEOUT_S)
        _run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], fresh / "sdk", NPM_TIMEOUT_S)
        try:
            fresh.rename(target)
        except OSError:
            if not target.is_dir():
                raise
        return target
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def digest_of(source: Path) -> str:
    """Return twelve hex digits of a hash over the names and bytes of all the kit's files."""
    digest = hashlib.sha256()
    for path in _files(source):
        digest.update(f"{path.relative_to(source)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def require_free_ports(kit: Path) -> None:
    """Check that the ports of the toolkit, its adapters and their Redis are free.

    Raises:
        KitError: a port is in use, for example by another run.
    """
    used = [port for port in _ports(kit) if _is_used(port)]
    if used:
        shown = ", ".join(map(str, used))
        raise KitError(f"The kit needs these ports of 127.0.0.1, and another program has them: {shown}.")


def _ports(kit: Path) -> list[int]:
    """Return all ports of ports.env; a base is the first of the ports of six adapters (see the kit's README)."""
    lines = (line.partition("#")[0].strip() for line in (kit / "ports.env").read_text().splitlines())
    named = {name: int(value) for name, _, value in (line.partition("=") for line in lines if "=" in line)}
    adapters = range(6)
    spread = {
        "SIM_BACKEND_BASE": list(adapters),
        "REDIS_BASE": list(adapters),
        "SDK_BASE": [10 * one + offset for one in adapters for offset in (0, 1, 2, 4)],
    }
    return [port + offset for name, port in named.items() for offset in spread.get(name, [0])]


def _is_used(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _missing(tools: Iterable[str]) -> list[str]:
    return [name for name in tools if shutil.which(name) is None]


def _files(source: Path) -> list[Path]:
    inside = (path for path in source.rglob("*") if not set(path.relative_to(source).parts) & set(NOT_COPIED))
    return sorted(path for path in inside if path.is_file())


def _copy(source: Path, target: Path) -> None:
    for path in _files(source):
        copied = target / path.relative_to(source)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copied)
        copied.chmod(copied.stat().st_mode | 0o200)  # the kit may be read-only; npm writes beside its files


def _run(command: Sequence[str], folder: Path, timeout_s: int, environment: dict[str, str] | None = None) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | (environment or {}),
            timeout=timeout_s,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise KitError(f"`{' '.join(command)}` did not end within {timeout_s} s.") from error
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-OUTPUT_LINES_SHOWN_MAX:])
        raise KitError(f"`{' '.join(command)}` failed:\n{tail}")
