"""A broker over TLS that asks for a name and a password: found, refused to strangers, and worked with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from clearinghub.broker.access import kafka_access
from clearinghub.broker.probe import broker_answers
from clearinghub.config import Settings
from clearinghub.kafka.view import ParticipantsView
from clearinghub.topology import ensure_topics, load_topology
from tests.integration.secured_broker import SecuredBroker

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("java") is None, reason="no JVM on this machine"),
]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    with SecuredBroker(tmp_path_factory.mktemp("secured")) as broker:
        yield broker


def test_it_answers_who_is_known(broker: SecuredBroker) -> None:
    settings = Settings(**broker.access)

    assert broker_answers(settings.kafka_bootstrap, kafka_access(settings))


@pytest.mark.parametrize(
    "change",
    [
        {"kafka_sasl_password": "another-word"},
        {"kafka_ca_file": None},
        {"kafka_security_protocol": "SSL", "kafka_sasl_username": "", "kafka_sasl_password": ""},
    ],
    ids=["wrong password", "unknown issuer", "no name"],
)
def test_it_answers_nobody_else(broker: SecuredBroker, change: dict[str, object]) -> None:
    settings = Settings(**broker.access | change)

    assert not broker_answers(settings.kafka_bootstrap, kafka_access(settings))


async def test_topics_are_made_and_read_there(broker: SecuredBroker) -> None:
    settings = Settings(**broker.access, partitions=1)

    await ensure_topics(settings, load_topology())
    view = ParticipantsView(settings)
    await view.start()
    await view.stop()

    assert view.is_caught_up
