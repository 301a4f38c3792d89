"""A broker over TLS with user name and password: strangers are refused, and a hub works with it."""

from __future__ import annotations

import asyncio
import gc
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from clearinghub.config import Settings
from clearinghub.kafka.access import kafka_access
from clearinghub.kafka.broker.probe import broker_answers
from clearinghub.kafka.topology import ensure_topics, load_topology
from clearinghub.kafka.view import ParticipantsView
from clearinghub.roles.all import ROLES
from sandbox.dfsp.behaviour import Behaviour
from tests.integration.hub_under_test import CURRENCY, HubUnderTest, eventually, request, scheme_of
from tests.integration.secured_broker import PASSWORD, SecuredBroker

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("java") is None, reason="no JVM on this machine"),
]
AMOUNT = 10_000


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    with SecuredBroker(tmp_path_factory.mktemp("secured")) as broker:
        yield broker


def test_it_answers_clients_with_the_password(broker: SecuredBroker) -> None:
    settings = Settings(**broker.access)

    assert broker_answers(settings.kafka_bootstrap, kafka_access(settings))


# aiokafka does not wait for the end of a TLS connection on which it was refused. The collector closes it here and now,
# rather than in whichever test it would come by.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize(
    "change",
    [
        {"kafka_sasl_password": "another-word"},
        {"kafka_ca_file": None},
        {"kafka_security_protocol": "SSL", "kafka_sasl_username": "", "kafka_sasl_password": ""},
    ],
    ids=["wrong password", "unknown issuer", "no name"],
)
def test_it_refuses_all_other_clients(broker: SecuredBroker, change: dict[str, object]) -> None:
    settings = Settings(**broker.access | change)

    assert not broker_answers(settings.kafka_bootstrap, kafka_access(settings))
    gc.collect()


async def test_topics_are_created_and_read_on_it(broker: SecuredBroker) -> None:
    settings = Settings(**broker.access, partitions=1)

    await ensure_topics(settings, load_topology())
    view = ParticipantsView(settings)
    await view.start()
    await view.stop()

    assert view.is_caught_up


@pytest.fixture
async def hub(broker: SecuredBroker, topic_prefix: str, tmp_path: Path) -> AsyncIterator[HubUnderTest]:
    """Start all roles on the secured broker."""
    hub = HubUnderTest(broker.access["kafka_bootstrap"], topic_prefix, tmp_path, **broker.access)
    try:
        for role in ROLES:
            hub.start(role)
        await hub.healthy()
        yield hub
    finally:
        hub.close()


async def test_a_hub_works_on_it(hub: HubUnderTest, topic_prefix: str) -> None:
    async with scheme_of(hub, "payer1", "payee1") as (scheme, (payer, payee)):
        order = payer.order(payee, AMOUNT, CURRENCY, behaviour=Behaviour.COMMIT)
        assert 202 == (await payer.post_transfer(order)).status
        await eventually(scheme, {"payer1": AMOUNT, "payee1": -AMOUNT})

        hub.kill("ledger")
        hub.start("ledger")
        await hub.healthy()
        await eventually(scheme, {"payer1": AMOUNT, "payee1": -AMOUNT})

        _status, metrics = await request("GET", f"http://127.0.0.1:{hub.ports['ledger']}/metrics", None, {})
        assert f'clearinghub_ledger_backlog{{topic="{topic_prefix}prepare-0"}} 0.0' in metrics.decode()
        assert (0, True) == await audited(hub)
        assert PASSWORD not in "".join(hub.logs(role) for role in ROLES)


async def audited(hub: HubUnderTest) -> tuple[int, bool]:
    """Run `clearinghub audit`; return its exit code, and whether it found the books right."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "clearinghub", "audit", env=hub.environment, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    return process.returncode or 0, b"The books are right." in out
