"""Starts the hub that the kit runs against: processes on clean data, on KAFKA_BOOTSTRAP or a broker of their own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Final

from clearinghub.domain.parties.party import PARTY_TYPES
from clearinghub.kafka.broker import LocalBroker
from tests.conformance.kit import ROOT
from tests.integration.hub_under_test import PARTITIONS, HubUnderTest, free_port

SHARED_WITHIN_S: Final = 60.0
POLL_INTERVAL_S: Final = 0.5
ANSWER_WITHIN_S: Final = 5.0
KEYS_TIMEOUT_S: Final = 60
ORACLE_TYPES: Final = json.dumps([one for one in PARTY_TYPES if one != "ACCOUNT_ID"])
AUDIT_TIMEOUT_S: Final = 120


class HubStartError(Exception):
    """The hub is not healthy in time; the text has the end of its logs."""


@contextmanager
def running_broker(folder: Path) -> Iterator[str]:
    """Yield `host:port` of KAFKA_BOOTSTRAP, or of a broker on this machine that runs within the block."""
    configured = os.environ.get("KAFKA_BOOTSTRAP")
    if configured:
        yield configured
        return
    with LocalBroker(folder / "kafka", pid_file=folder / "kafka.pid") as broker:
        yield broker.bootstrap


@contextmanager
def running_hub(bootstrap: str, folder: Path, ledgers: int) -> Iterator[HubUnderTest]:
    """Yield a healthy hub on topics of its own, with `ledgers` processes of the ledger, each with partitions.

    The hub signs its own callbacks, as a scheme's hub does: the collections look for the signature. They also expect
    the reference's answers of /participants, no oracle for ACCOUNT_ID, and the receiver's name in the FSPIOP-URI of a
    bulk's PUTs, as Mojaloop's adapter has it (protocol 1.7).

    Raises:
        HubStartError: the hub is not healthy in time.
    """
    prefix = f"conformance-{uuid.uuid4().hex[:8]}-"
    key_file = _make_key(folder)
    hub = HubUnderTest(
        bootstrap,
        prefix,
        folder,
        jws_sign=True,
        jws_private_key_file=key_file,
        fsp_in_bulk_paths=True,
        participants_reference_shapes=True,
        built_in_oracle_types=ORACLE_TYPES,
    )
    ports = [hub.ports["ledger"]]
    try:
        hub.start("ledger")
        for number in range(1, ledgers):
            ports.append(free_port())
            hub.start("ledger", f"ledger-{number}", instance=number, ledger_port=ports[-1])
        hub.start("callbacks")
        hub.start("admin-api")
        hub.start("ingress")
        try:
            asyncio.run(hub.healthy())
            _wait_until_shared(ports)
        except Exception as error:
            logs = "\n".join(f"--- {name}\n{hub.logs(name)}" for name in hub.processes)
            raise HubStartError(f"{error}\n{logs}") from error
        yield hub
    finally:
        hub.close()


def audit_books(hub: HubUnderTest, report: Path) -> list[str]:
    """Audit the ledger from the topics alone, as an operator would; return the problems, and write `report` in full."""
    command = [sys.executable, "-m", "clearinghub", "audit"]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=hub.environment, timeout=AUDIT_TIMEOUT_S, check=False, capture_output=True, text=True
        )
    except subprocess.TimeoutExpired:
        return [f"the audit of the books did not end within {AUDIT_TIMEOUT_S} s"]
    report.write_text(done.stdout + done.stderr)
    return [f"the audit of the books ended with code {done.returncode}: see {report}"] if done.returncode else []


def _make_key(folder: Path) -> Path:
    command = [sys.executable, "-m", "clearinghub", "keys", "generate", "Hub", "--dir", str(folder / "keys")]
    subprocess.run(command, cwd=ROOT, timeout=KEYS_TIMEOUT_S, check=True, stdout=subprocess.DEVNULL)
    return folder / "keys" / "Hub.key"


def _wait_until_shared(ledger_ports: list[int]) -> None:
    """Wait until every partition has one worker, and every worker has a partition."""
    deadline = time.monotonic() + SHARED_WITHIN_S
    while True:
        owned = [[one for one in range(PARTITIONS) if _answers_for(port, one)] for port in ledger_ports]
        if all(owned) and sorted(chain.from_iterable(owned)) == list(range(PARTITIONS)):
            return
        if time.monotonic() > deadline:
            raise HubStartError(f"the ledger's processes have these partitions after {SHARED_WITHIN_S:.0f} s: {owned}")
        time.sleep(POLL_INTERVAL_S)


def _answers_for(port: int, partition: int) -> bool:
    """Whether the ledger worker at the port has the partition."""
    url = f"http://127.0.0.1:{port}/partitions/{partition}/positions/nobody"
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_WITHIN_S) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
