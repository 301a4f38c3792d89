"""`clearinghub secure acls`: what each user of the broker may do, as commands of Kafka or as resources of Strimzi."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Annotated, Any, Final

import typer
import yaml

from clearinghub.config import Settings
from clearinghub.kafka.topology import load_topology
from clearinghub.kafka.topology.acls import RESTORE, USERS, Acl, acls_of
from clearinghub.tools.command_line import App
from clearinghub.tools.options import one_of

COMMANDS: Final = "kafka-acls"
RESOURCES: Final = "strimzi"
ROLE: Final = "{role}"
# What is allowed of a resource at a time: a command line has to be read by people.
NAMES_AT_ONCE: Final = 12

_HEAD: Final = """#!/bin/sh
# What the users of the hub may do at its broker; made by `clearinghub secure acls`. Run it with how it is reached:
#   sh acls.sh --bootstrap-server broker:9093 --command-config administrator.properties
# The broker must deny everything else: authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer,
# and allow.everyone.if.no.acl.found=false. KAFKA_ACLS says where Kafka's command is.
set -eu
"""


def _role(text: str) -> str:
    if text not in USERS:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(USERS)}")
    return text


def _user(text: str) -> str:
    if ROLE not in text:
        raise typer.BadParameter(f"{text!r} does not say where the role's name belongs: {ROLE}")
    return text


def add_acl_command(app: App) -> None:
    """Add `acls` to the commands of `clearinghub secure`."""
    app.add("acls", examples=["secure acls > acls.sh", "secure acls --format strimzi --cluster hub"])(_acls)


def _acls(
    *,
    form: Annotated[str, typer.Option("--format", help="For whom.", **one_of(COMMANDS, RESOURCES))] = COMMANDS,
    user: Annotated[
        str, typer.Option("--user", metavar="TEXT", parser=_user, help="What the broker calls the user of a role.")
    ] = f"clearinghub-{ROLE}",
    only: Annotated[
        str, typer.Option("--role", metavar="ROLE[,ROLE]", help="Only these; without it all but `restore`.")
    ] = "",
    cluster: Annotated[
        str, typer.Option("--cluster", metavar="NAME", help="With strimzi: the name of the Kafka resource.")
    ] = "kafka",
    authentication: Annotated[
        str, typer.Option("--authentication", help="With strimzi.", **one_of("scram-sha-512", "tls", "tls-external"))
    ] = "scram-sha-512",
) -> None:
    """Print what each user of the broker may do; whatever is not printed is to be denied. Needs no broker.

    It is made of topics.yaml and of CLEARINGHUB_APPLICATION_ID, _TOPIC_PREFIX and _PARTITIONS.
    """
    roles = [_role(one) for one in only.split(",")] if only else [one for one in USERS if one != RESTORE]
    settings, topology = Settings(), load_topology()
    rules = {role: acls_of(role, settings, topology) for role in USERS if role in roles}
    if form == COMMANDS:
        print(as_commands(rules, user), end="")  # noqa: T201 - the answer
    else:
        print(as_resources(rules, user, cluster, authentication), end="")  # noqa: T201 - the answer


def as_commands(rules: dict[str, list[Acl]], user: str) -> str:
    """Return a shell script of `kafka-acls.sh`, whose arguments say how the broker is reached."""
    lines = [_HEAD]
    for role, acls in rules.items():
        lines.append(f"\n# {role}: {USERS[role]}\n")
        principal = shlex.quote(f"User:{user.replace(ROLE, role)}")
        lines += [
            f'"${{KAFKA_ACLS:-kafka-acls.sh}}" "$@" --add --allow-principal {principal} {words}\n'
            for words in _commands_of(acls)
        ]
    return "".join(lines)


def _commands_of(acls: Sequence[Acl]) -> Iterator[str]:
    """Yield the arguments of a command for resources of one kind on which the same is allowed, some at a time."""

    def kind(acl: Acl) -> tuple[str, bool, tuple[str, ...]]:
        return acl.resource, acl.is_prefix, acl.operations

    for (resource, is_prefix, operations), equal in groupby(sorted(acls, key=kind), key=kind):
        names = [acl.name for acl in equal]
        for start in range(0, len(names), NAMES_AT_ONCE):
            words = [f"--operation {one}" for one in operations]
            if is_prefix:
                words.append("--resource-pattern-type prefixed")
            words += [f"--{resource} {shlex.quote(name)}" for name in names[start : start + NAMES_AT_ONCE]]
            yield " ".join(words)


def as_resources(rules: dict[str, list[Acl]], user: str, cluster: str, authentication: str) -> str:
    """Return a `KafkaUser` of Strimzi for each role."""
    documents = [
        {
            "apiVersion": "kafka.strimzi.io/v1beta2",
            "kind": "KafkaUser",
            "metadata": {"name": user.replace(ROLE, role), "labels": {"strimzi.io/cluster": cluster}},
            "spec": {
                "authentication": {"type": authentication},
                "authorization": {"type": "simple", "acls": [_resource_of(acl) for acl in acls]},
            },
        }
        for role, acls in rules.items()
    ]
    text: str = yaml.safe_dump_all(documents, sort_keys=False, explicit_start=True)
    return text


def _resource_of(acl: Acl) -> dict[str, Any]:
    kind = {"topic": "topic", "group": "group", "transactional-id": "transactionalId"}[acl.resource]
    pattern = "prefix" if acl.is_prefix else "literal"
    return {
        "resource": {"type": kind, "name": acl.name, "patternType": pattern},
        "operations": list(acl.operations),
    }
