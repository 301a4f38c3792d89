"""A hub on a broker that denies by default: each role does its work, and can write and read nothing else."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import GroupAuthorizationFailedError, TransactionalIdAuthorizationFailed

from clearinghub.config import Settings
from clearinghub.kafka.access import kafka_access
from clearinghub.kafka.broker.jars import resolve_jars
from clearinghub.kafka.topology import TopicAccessError, declared_topics, ensure_topics, load_topology
from clearinghub.kafka.topology.acls import PROCESSES, RESTORE, USERS
from sandbox.dfsp.behaviour import Behaviour
from tests.integration.authorized_broker import (
    DENIED,
    PASSWORD,
    AuthorizedBroker,
    Rule,
    allow,
    client_of,
    read_from,
    rules_in,
    written_to,
)
from tests.integration.hub_under_test import CURRENCY, REPOSITORY, HubUnderTest, eventually, scheme_of

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("java") is None, reason="no JVM on this machine"),
]
AMOUNT = 10_000
PARTITIONS = 4
PREFIX = "guarded-"
STRANGER = "stranger"
NOT_LEADER = 6  # of the broker's error codes
ALLOWED_USERS = [one for one in USERS if one != RESTORE]
# Whose rules are set by Kafka's own command, which takes seconds for each line; `make proofs` sets all so.
BY_COMMAND = os.environ.get("ACLS_BY_COMMAND", "analysts").split(",")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthorizedBroker]:
    with AuthorizedBroker(tmp_path_factory.mktemp("authorized"), [*ALLOWED_USERS, STRANGER]) as broker:
        yield broker


def settings_of(broker: AuthorizedBroker, user: str) -> Settings:
    return Settings(**broker.access(user), topic_prefix=PREFIX, application_id=f"{PREFIX}hub", partitions=PARTITIONS)


def environment_of(broker: AuthorizedBroker, user: str, folder: Path) -> dict[str, str]:
    settings = broker.access(user) | {
        "topic_prefix": PREFIX,
        "application_id": f"{PREFIX}hub",
        "partitions": PARTITIONS,
        "data_dir": folder / user,
    }
    return {**os.environ, **{f"CLEARINGHUB_{name.upper()}": str(value) for name, value in settings.items()}}


def printed(*options: str) -> str:
    environment = {
        **os.environ,
        "CLEARINGHUB_TOPIC_PREFIX": PREFIX,
        "CLEARINGHUB_APPLICATION_ID": f"{PREFIX}hub",
        "CLEARINGHUB_PARTITIONS": str(PARTITIONS),
    }
    command = [sys.executable, "-m", "clearinghub", "secure", "acls", "--user", "{role}", *options]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True).stdout


def run_by_kafka(script: str, bootstrap: str, folder: Path) -> None:
    """Run a printed script with Kafka's own command."""
    command = folder / "kafka-acls"
    command.write_text(f'#!/bin/sh\nexec java -cp "{resolve_jars()}/*" org.apache.kafka.tools.AclCommand "$@"\n')
    command.chmod(0o755)
    subprocess.run(
        ["sh", "-s", "--", "--bootstrap-server", bootstrap],
        input=script,
        env={**os.environ, "KAFKA_ACLS": str(command)},
        text=True,
        check=True,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def rules(broker: AuthorizedBroker, tmp_path_factory: pytest.TempPathFactory) -> list[Rule]:
    """Set what `clearinghub secure acls` prints."""
    script = printed()
    run_by_kafka(printed("--role", ",".join(BY_COMMAND)), broker.bootstrap, tmp_path_factory.mktemp("acls"))
    found = rules_in(script)
    others = [one for one in found if one.principal.removeprefix("User:") not in BY_COMMAND]
    asyncio.run(allow(broker.bootstrap, others))
    return found


@pytest.fixture
async def hub(broker: AuthorizedBroker, rules: list[Rule], tmp_path: Path) -> AsyncIterator[HubUnderTest]:
    """Start each role as its own user, after `setup` has created the topics."""
    del rules
    await ensure_topics(settings_of(broker, "setup"), load_topology())
    shared = {name: value for name, value in broker.access("").items() if name != "kafka_sasl_username"}
    hub = HubUnderTest(broker.users_bootstrap, PREFIX, tmp_path, **shared)
    try:
        for role in PROCESSES:
            hub.start(role, kafka_sasl_username=role)
        await hub.healthy()
        yield hub
    finally:
        hub.close()


async def test_a_role_says_who_must_create_topics(broker: AuthorizedBroker, rules: list[Rule]) -> None:
    del rules

    with pytest.raises(TopicAccessError, match=r"user ledger may not create topics: run `clearinghub topics` as .*`se"):
        await ensure_topics(settings_of(broker, "ledger"), load_topology(), role="ledger")
    with pytest.raises(TopicAccessError, match=r"does not show topic .* to user stranger: allow this user what"):
        await ensure_topics(settings_of(broker, STRANGER), load_topology(), role="ledger")


async def test_each_role_does_its_work(hub: HubUnderTest, broker: AuthorizedBroker, tmp_path: Path) -> None:
    async with scheme_of(hub, "payer1", "payee1") as (scheme, (payer, payee)):
        order = payer.order(payee, AMOUNT, CURRENCY, behaviour=Behaviour.COMMIT)
        assert 202 == (await payer.post_transfer(order)).status
        await eventually(scheme, {"payer1": AMOUNT, "payee1": -AMOUNT})

        tools = {
            "archive": ("archive", "--to", str(tmp_path / "archive")),
            "audit": ("audit", "--settle-s", "1"),
            "repairs": ("recover",),
            "backup": ("backup", str(tmp_path / "copy")),
        }
        results = await asyncio.gather(*(run(broker, user, tmp_path, *words) for user, words in tools.items()))
        assert dict.fromkeys(tools, 0) == {user: code for user, (code, _) in zip(tools, results, strict=True)}, results
    readable = [path for path in broker_and_hub(broker, hub) if path.is_file() and path.stat().st_mode & 0o077]
    assert [] == readable
    denied = [row for role in PROCESSES for row in hub.logs(role).splitlines() if "uthorization" in row]
    assert [] == denied
    assert PASSWORD not in "".join(hub.logs(role) for role in PROCESSES)


def broker_and_hub(broker: AuthorizedBroker, hub: HubUnderTest) -> Iterator[Path]:
    """Yield what the broker and the hub's roles have written: all payments are in there."""
    yield from (broker.config_file.parent / "topics").rglob("*.log")
    yield from (hub.folder / "data").rglob("*")


async def run(broker: AuthorizedBroker, user: str, folder: Path, *words: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "clearinghub",
        *words,
        cwd=REPOSITORY,
        env=environment_of(broker, user, folder),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode, out.decode()


async def test_no_user_writes_or_reads_anything_else(broker: AuthorizedBroker, rules: list[Rule]) -> None:
    """After the hub's roles have ended, for what is allowed is written."""
    topics = declared_topics(settings_of(broker, "setup"), load_topology())
    await ensure_topics(settings_of(broker, "setup"), load_topology())
    allowed = {(one.principal, one.operation, one.name) for one in rules if one.resource == "topic"}
    counts: Counter[str] = Counter()
    wrong = []
    for user in (*ALLOWED_USERS, STRANGER):
        settings = settings_of(broker, user)
        async with client_of(settings.kafka_bootstrap, **kafka_access(settings)) as client:
            for operation, attempt in (("Write", written_to), ("Read", read_from)):
                for topic, code in (await settled(partial(attempt, client, topics))).items():
                    may = (f"User:{user}", operation, topic) in allowed
                    counts[f"{operation} {'allowed' if may else 'denied'}"] += 1
                    if code != (0 if may else DENIED):
                        wrong.append((user, operation, topic, code))

    print(f"\n{len(topics)} topics, {len(ALLOWED_USERS) + 1} users: {dict(sorted(counts.items()))}")
    assert [] == wrong
    assert 2 * len(topics) * (len(ALLOWED_USERS) + 1) == counts.total()
    assert len(topics) <= counts["Write allowed"] < counts["Write denied"] / 4


async def settled(attempt: Callable[[], Awaitable[Mapping[str, int]]]) -> Mapping[str, int]:
    """Try until the broker leads all partitions: topics may have been created just now."""
    async with asyncio.timeout(20):
        while NOT_LEADER in (codes := await attempt()).values():
            await asyncio.sleep(0.1)
    return codes


async def test_only_setup_creates_topics_and_only_the_ledger_is_the_ledger(
    broker: AuthorizedBroker, rules: list[Rule]
) -> None:
    del rules
    await ensure_topics(settings_of(broker, "setup"), load_topology())
    codes = {user: await created(settings_of(broker, user), f"{PREFIX}prepare") for user in ALLOWED_USERS}

    assert codes == {user: 36 if user == "setup" else DENIED for user in ALLOWED_USERS}  # 36: it exists
    for user, topic in {"ingress": "participants", "callbacks": "notification", "repairs": "dead-letter"}.items():
        settings = settings_of(broker, user)
        producer = AIOKafkaProducer(
            bootstrap_servers=settings.kafka_bootstrap, transactional_id=f"{PREFIX}hub-0", **kafka_access(settings)
        )
        with pytest.raises(TransactionalIdAuthorizationFailed):
            await producer.start()
        await producer.stop()
        consumer = AIOKafkaConsumer(
            f"{PREFIX}{topic}",
            bootstrap_servers=settings.kafka_bootstrap,
            group_id=f"{PREFIX}hub",
            **kafka_access(settings),
        )
        with pytest.raises(GroupAuthorizationFailedError):
            await consumer.start()
        await consumer.stop()


async def created(settings: Settings, topic: str) -> int:
    """Try to create a topic; return the broker's error code."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap, **kafka_access(settings))
    await admin.start()
    try:
        answer = await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    finally:
        await admin.close()
    return int(answer.topic_errors[0][1])
