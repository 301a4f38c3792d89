"""Processes announce their release; one that does not know the scheme's feature level says so and ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from msgspec.structs import replace

from clearinghub import __version__
from clearinghub.domain.participants.participant import FeatureRaise, Participant
from clearinghub.features import HIGHEST_LEVEL
from clearinghub.kafka.view import ParticipantsView
from clearinghub.roles.all import ROLES
from clearinghub.rows import encode_row
from clearinghub.tools.client.admin import AdminClient
from clearinghub.tools.client.operations import Operations
from sandbox.scheme import Scheme
from tests.apart import settings_apart
from tests.integration.hub_under_test import CURRENCY, PARTITIONS, HubUnderTest, running_hub

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]
LATER = HIGHEST_LEVEL + 1
SENTENCE = f"the scheme is at feature level {LATER}, and release {__version__} knows levels up to {HIGHEST_LEVEL}"


async def test_a_level_of_a_later_release(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    async with running_hub(kafka_bootstrap, topic_prefix, tmp_path) as hub:
        async with AdminClient(hub.urls.admin) as admin:
            await Scheme(admin, "Hub", CURRENCY).ensure_currency()
            features = await Operations(admin).features()
        assert HIGHEST_LEVEL == features.level
        shown = [(one.role, one.release, one.highest_level) for one in features.processes]
        assert [(role, __version__, HIGHEST_LEVEL) for role in sorted(ROLES)] == shown

        await publish_hub_at_later_level(kafka_bootstrap, topic_prefix)

        for role in ROLES:
            await ended(hub, role)
        hub.start("ledger", "again")
        await ended(hub, "again")


async def publish_hub_at_later_level(bootstrap: str, prefix: str) -> None:
    """Publish the hub's row as a later release would, after its operator has raised the level."""
    view = ParticipantsView(settings_apart(bootstrap, prefix, partitions=PARTITIONS))
    await view.start()
    stored = view.get("Hub")
    await view.stop()
    assert isinstance(stored, Participant)
    raised = replace(stored, version=stored.version + 1, feature_raises=(FeatureRaise(LATER, 0, "test"),))
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    await producer.send_and_wait(f"{prefix}participants", encode_row(raised), key=b"Hub")
    await producer.stop()


async def ended(hub: HubUnderTest, name: str) -> None:
    """Check that a process has ended by itself, with a sentence."""
    code = await asyncio.to_thread(hub.processes[name].wait, 30)
    assert 1 == code, hub.logs(name)
    assert SENTENCE in hub.logs(name)
    assert "Traceback" not in hub.logs(name)
