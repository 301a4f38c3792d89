"""What each user of the broker may do with the hub's topics: made of the writers and readers in topics.yaml.

A broker that denies by default needs these rules and no others. Every process is a user of its own, so that one in
wrong hands can write only what it writes anyway: the ingress no command, the archive nothing but its progress.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from clearinghub.config import Settings
from clearinghub.engine.record import OFFSETS
from clearinghub.kafka.topology.declared import Topology, changelog_name
from clearinghub.kafka.topology.ensure import declared_topics

# Roles, which compare the topics with topics.yaml when they start.
PROCESSES: Final = ("ingress", "admin-api", "ledger", "callbacks")
# Whom topics.yaml may name as a writer or a reader, and what they do.
WRITERS_AND_READERS: Final = {
    "ingress": "serves FSPIOP",
    "admin-api": "serves operators; the only one that writes commands",
    "ledger": "decides; the only one with tables and transactions",
    "callbacks": "sends to DFSPs and oracles",
    "archive": "`clearinghub archive`",
    "operators": "`clearinghub parties`",
    "repairs": "`clearinghub recover`, `requeue` and `replay`: may write what moves money, keep it locked away",
    "audit": "`clearinghub audit`",
    "analysts": "readers of the published topics",
}
SETUP: Final = "setup"
BACKUP: Final = "backup"
RESTORE: Final = "restore"
USERS: Final = WRITERS_AND_READERS | {
    SETUP: "`clearinghub topics`: the only one that may create topics or change their settings",
    BACKUP: "`clearinghub backup`: reads everything",
    RESTORE: "`clearinghub restore`, to an empty hub: may do everything, remove it afterwards",
}
_SETS_UP: Final = ("Alter", "AlterConfigs", "Create", "Describe", "DescribeConfigs")


class Acl(NamedTuple):
    """A resource of the broker and the operations on it that are allowed, by Kafka's names, in order."""

    resource: Literal["topic", "group", "transactional-id"]
    name: str
    operations: tuple[str, ...]
    is_prefix: bool = False


def acls_of(user: str, settings: Settings, topology: Topology) -> list[Acl]:
    """Return what a user of USERS may do, in order; everything else is to be denied."""
    return sorted((*_topics_of(user, settings, topology), *_others_of(user, settings)))


def _topics_of(user: str, settings: Settings, topology: Topology) -> Iterator[Acl]:
    stored_format = changelog_name(settings.application_id, OFFSETS.name)
    for name, topic in declared_topics(settings, topology).items():
        operations: set[str] = set()
        if user in topic.writers:
            operations.add("Write")
        if user in topic.readers or user == BACKUP:
            operations.add("Read")
        if user in PROCESSES and operations:
            operations.add("DescribeConfigs")
        if user in (SETUP, RESTORE):
            operations.update(_SETS_UP)
        if user == SETUP and name == stored_format:
            operations.add("Read")  # `clearinghub topics` looks which release has written the rows
        if user == RESTORE:
            operations.update(("Delete", "Read", "Write"))
        if operations:
            yield Acl("topic", name, tuple(sorted(operations)))


def _others_of(user: str, settings: Settings) -> Iterator[Acl]:
    own = settings.application_id
    if user == "ledger":
        yield Acl("group", own, ("Read",))
        for number in range(settings.partitions):
            yield Acl("transactional-id", f"{own}-{number}", ("Write",))
    if user == "callbacks":
        yield Acl("group", f"{own}-callbacks", ("Read",))
    if user == "analysts":
        yield Acl("group", f"{own}-analysts", ("Read",), is_prefix=True)
    if user == RESTORE:
        yield Acl("transactional-id", f"{own}-restore", ("Write",))
