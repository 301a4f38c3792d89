"""What each user of the broker may do, made of topics.yaml; tests/integration/test_acls.py shows it at a broker."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from clearinghub.config import Settings
from clearinghub.kafka.topology import declared_topics, load_topology
from clearinghub.kafka.topology.acls import RESTORE, SETUP, USERS, WRITERS_AND_READERS, Acl, acls_of
from clearinghub.tools.acls import as_commands, as_resources
from clearinghub.tools.cli import main
from clearinghub.tools.command_line import EXIT_OK, EXIT_WRONG_USAGE
from tests.integration.authorized_broker import Rule, rules_in

SETTINGS = Settings(application_id="hub", topic_prefix="p-", partitions=2)
TOPOLOGY = load_topology()
PUBLISHED = {"p-transfers", "p-positions", "p-settlement-windows", "p-settlements"}


def rules_of(user: str) -> list[Acl]:
    return acls_of(user, SETTINGS, TOPOLOGY)


def topics_of(user: str, operation: str) -> set[str]:
    return {one.name for one in rules_of(user) if one.resource == "topic" and operation in one.operations}


def who_may(operation: str, topic: str) -> set[str]:
    return {user for user in USERS if user != RESTORE and topic in topics_of(user, operation)}


def test_topics_are_written_and_read_by_users_that_are_known() -> None:
    named = {user for topic in TOPOLOGY.topics.values() for user in (*topic.writers, *topic.readers)}

    assert set(WRITERS_AND_READERS) == named


def test_the_process_that_dfsps_reach_writes_requests_alone() -> None:
    requests = {"prepare", "fulfil", "lookup", "bulk-prepare", "bulk-fulfil", "agreement", "party"}

    assert {f"p-{name}" for name in (*requests, "processes")} == topics_of("ingress", "Write")
    assert {"p-participants", "p-workers", "p-load"} == topics_of("ingress", "Read")


def test_whoever_moves_money_is_known() -> None:
    assert {"admin-api", "repairs"} == who_may("Write", "p-command")
    assert {"ledger", "repairs"} == who_may("Write", "p-credit")
    assert {"ledger"} == who_may("Write", "hub-positions-changelog")
    assert {"ledger"} == who_may("Write", "p-workers")
    assert {"repairs"} == who_may("Write", "p-recoveries")


def test_only_setup_creates_and_changes_topics_and_it_writes_none() -> None:
    everything = set(declared_topics(SETTINGS, TOPOLOGY))

    for operation in ("Create", "Alter", "AlterConfigs"):
        assert everything == topics_of(SETUP, operation)
        assert {SETUP, RESTORE} == {user for user in USERS if topics_of(user, operation)}
    assert set() == topics_of(SETUP, "Write")
    assert {"hub-offsets-changelog"} == topics_of(SETUP, "Read")


def test_nobody_deletes_records_but_who_restores_an_empty_hub() -> None:
    assert {RESTORE} == {user for user in USERS if topics_of(user, "Delete")}


def test_the_ledger_alone_has_transactions_and_each_group_has_one_role() -> None:
    others = {user: [one for one in rules_of(user) if one.resource != "topic"] for user in USERS}

    assert {user: found for user, found in others.items() if found} == {
        "ledger": [
            Acl("group", "hub", ("Read",)),
            Acl("transactional-id", "hub-0", ("Write",)),
            Acl("transactional-id", "hub-1", ("Write",)),
        ],
        "callbacks": [Acl("group", "hub-callbacks", ("Read",))],
        "analysts": [Acl("group", "hub-analysts", ("Read",), is_prefix=True)],
        RESTORE: [Acl("transactional-id", "hub-restore", ("Write",))],
    }


def test_analysts_read_what_is_published_alone() -> None:
    assert PUBLISHED == topics_of("analysts", "Read") == topics_of("archive", "Read")
    assert set() == topics_of("analysts", "Write")
    assert {"p-archived"} == topics_of("archive", "Write")


@pytest.mark.parametrize("user", USERS)
def test_both_forms_say_the_same(user: str) -> None:
    rules = {user: rules_of(user)}
    expected = [
        Rule(f"User:h-{user}", one.resource, one.name, one.is_prefix, operation)
        for one in rules[user]
        for operation in one.operations
    ]

    script = as_commands(rules, "h-{role}")
    (resource,) = yaml.safe_load_all(as_resources(rules, "h-{role}", "kafka", "tls"))

    assert sorted(expected) == sorted(rules_in(script))
    assert (f"h-{user}", "tls") == (resource["metadata"]["name"], resource["spec"]["authentication"]["type"])
    assert sorted(expected) == sorted(in_resource(resource))
    assert script == as_commands(rules, "h-{role}")


def in_resource(resource: Any) -> list[Rule]:
    kinds = {"topic": "topic", "group": "group", "transactionalId": "transactional-id"}
    return [
        Rule(
            f"User:{resource['metadata']['name']}",
            kinds[one["resource"]["type"]],
            one["resource"]["name"],
            one["resource"]["patternType"] == "prefix",
            operation,
        )
        for one in resource["spec"]["authorization"]["acls"]
        for operation in one["operations"]
    ]


def test_names_cannot_steer_the_shell() -> None:
    rules = {"callbacks": [Acl("topic", "a; rm -rf '~'", ("Read",))]}

    (rule,) = rules_in(as_commands(rules, "CN={role},OU=$(id)"))

    assert Rule("User:CN=callbacks,OU=$(id)", "topic", "a; rm -rf '~'", is_prefix=False, operation="Read") == rule


def test_the_command_prints_all_but_restore(capsys: pytest.CaptureFixture[str]) -> None:
    assert EXIT_OK == main(["secure", "acls"])
    printed = capsys.readouterr().out
    assert {f"User:clearinghub-{user}" for user in USERS if user != RESTORE} == {
        one.principal for one in rules_in(printed)
    }

    assert EXIT_OK == main(["secure", "acls", "--role", "restore,ledger", "--format", "strimzi"])
    names = [one["metadata"]["name"] for one in yaml.safe_load_all(capsys.readouterr().out)]
    assert ["clearinghub-ledger", "clearinghub-restore"] == names


@pytest.mark.parametrize("wrong", [["--role", "nobody"], ["--user", "hub"], ["--format", "text"]])
def test_wrong_options_are_refused(wrong: list[str]) -> None:
    assert EXIT_WRONG_USAGE == main(["secure", "acls", *wrong])
