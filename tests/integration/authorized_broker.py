"""A broker that denies by default, with a user for each role, allowed what `clearinghub secure acls` prints."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import CreateAclsRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from clearinghub.kafka.broker.local import HOST, LocalBroker
from tests.integration.hub_under_test import free_port

PASSWORD: Final = "hidden-word"
DENIED: Final = 29  # TOPIC_AUTHORIZATION_FAILED
_RESOURCES: Final = {"topic": 2, "group": 3, "transactional-id": 5}
_OPERATIONS: Final = {
    "Read": 3,
    "Write": 4,
    "Create": 5,
    "Delete": 6,
    "Alter": 7,
    "Describe": 8,
    "DescribeConfigs": 10,
    "AlterConfigs": 11,
}
_LITERAL, _PREFIXED, _ALLOW = 3, 4, 3


class Rule(NamedTuple):
    """A printed permission, of one operation on one resource."""

    principal: str
    resource: str
    name: str
    is_prefix: bool
    operation: str


class AuthorizedBroker(LocalBroker):
    """`users` reach it by name and password; its own listener in plaintext is the administrator's, who may all."""

    def __init__(self, folder: Path, users: Iterable[str]) -> None:
        super().__init__(folder / "data", pid_file=folder / "kafka.pid")
        self._users = tuple(users)
        self._port_of_users = free_port()

    @property
    def users_bootstrap(self) -> str:
        return f"{HOST}:{self._port_of_users}"

    def access(self, user: str) -> dict[str, Any]:
        """Return the settings of a hub's process that is this user."""
        return {
            "kafka_bootstrap": self.users_bootstrap,
            "kafka_security_protocol": "SASL_PLAINTEXT",
            "kafka_sasl_username": user,
            "kafka_sasl_password": PASSWORD,
        }

    def _write_config(self) -> None:
        super()._write_config()
        listener = f"SASL_PLAINTEXT://{self.users_bootstrap},"
        text = self.config_file.read_text()
        for option, more in (
            ("\nlisteners=", listener),
            ("\nadvertised.listeners=", listener),
            ("\nlistener.security.protocol.map=", "SASL_PLAINTEXT:SASL_PLAINTEXT,"),
        ):
            text = text.replace(option, option + more)
        users = " ".join(f'user_{name}="{PASSWORD}"' for name in self._users)
        self.config_file.write_text(
            f"{text}\nsasl.enabled.mechanisms=PLAIN\n"
            "listener.name.sasl_plaintext.plain.sasl.jaas.config="
            f"org.apache.kafka.common.security.plain.PlainLoginModule required {users};\n"
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"
            "allow.everyone.if.no.acl.found=false\nsuper.users=User:ANONYMOUS\n"
        )


def rules_in(script: str) -> list[Rule]:
    """Return what a script of `kafka-acls.sh` allows."""
    found = []
    for words in (shlex.split(row) for row in script.splitlines() if "--add" in row):
        options = list(pairwise(words))
        (principal,) = [value for option, value in options if option == "--allow-principal"]
        operations = [value for option, value in options if option == "--operation"]
        is_prefix = ("--resource-pattern-type", "prefixed") in options
        found += [
            Rule(principal, option.removeprefix("--"), name, is_prefix, operation)
            for option, name in options
            if option.removeprefix("--") in _RESOURCES
            for operation in operations
        ]
    return found


class _CreateAcls(CreateAclsRequest):  # type: ignore[misc]  # aiokafka's creates one at a time
    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = list(rules)

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class(
            [
                (
                    _RESOURCES[one.resource],
                    one.name,
                    _PREFIXED if one.is_prefix else _LITERAL,
                    one.principal,
                    "*",
                    _OPERATIONS[one.operation],
                    _ALLOW,
                )
                for one in self._rules
            ]
        )


@asynccontextmanager
async def client_of(bootstrap: str, **access: Any) -> Any:
    client = AIOKafkaClient(bootstrap_servers=bootstrap, **access)
    await client.bootstrap()
    try:
        yield client
    finally:
        await client.close()


async def allow(bootstrap: str, rules: Iterable[Rule]) -> None:
    """Allow what the rules say, as the administrator."""
    async with client_of(bootstrap) as client:
        answer = await client.send(client.get_random_node(), _CreateAcls(rules))
    assert {0} == {code for code, _message in answer.creation_responses}


async def written_to(client: AIOKafkaClient, topics: Iterable[str]) -> Mapping[str, int]:
    """Write a record to partition 0 of each topic; return the broker's error codes."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1_000)
    assert builder.append(0, 0, b"key", b"value", []) is not None
    batch = bytes(builder.build())
    request = ProduceRequest(None, -1, 5_000, [(name, [(0, batch)]) for name in topics])
    answer = await client.send(client.get_random_node(), request)
    return {topic: places[0][1] for topic, places in answer.topics}


async def read_from(client: AIOKafkaClient, topics: Iterable[str]) -> Mapping[str, int]:
    """Read of partition 0 of each topic; return the broker's error codes."""
    request = FetchRequest(0, 0, 1_000_000, 0, [(name, [(0, 0, 1_000)]) for name in topics])
    answer = await client.send(client.get_random_node(), request)
    return {topic: places[0][1] for topic, places in answer.topics}
