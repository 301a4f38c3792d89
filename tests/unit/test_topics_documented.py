"""docs/topics/: what is published of the analysts' topics is so; every record is judged by it where it is written."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema_rs import ValidationError

from clearinghub.domain.settlement.settlement import SettlementState
from clearinghub.domain.settlement.window import WindowState
from clearinghub.domain.transfers.transfer import State
from clearinghub.kafka.topology import load_topology
from clearinghub.kafka.topology.render import shown_duration
from clearinghub.messages import VERSION
from tests.analysts import FOLDER, TOPICS, check_record, schema_of, validator_of
from tests.fakes import MemoryView

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("topic", TOPICS)
def test_the_examples_are_valid_and_a_record_beside_the_schema_is_not(topic: str) -> None:
    examples = schema_of(topic)["examples"]

    for example in examples:
        check_record(topic, orjson.dumps(example))
    for broken in ({**examples[0], "v": VERSION + 1}, {**examples[0], "beside": 1}, without_one(examples[0])):
        with pytest.raises(ValidationError):
            check_record(topic, orjson.dumps(broken))


def test_fields_within_a_record_are_judged_too() -> None:
    for topic, where in (("settlement-windows", "contents"), ("settlements", "contents")):
        row = copy.deepcopy(schema_of(topic)["examples"][0])
        row[where][0]["beside"] = 1

        assert not validator_of(topic).is_valid(row), topic


@pytest.mark.parametrize("topic", TOPICS)
def test_the_schemas_version_is_the_records(topic: str) -> None:
    schema = schema_of(topic)

    assert VERSION == schema["properties"]["v"]["const"]
    assert f"urn:clearinghub:topic:{topic}:v{VERSION}" == schema["$id"]
    assert (FOLDER / f"{topic}.v{VERSION}.schema.json").exists()
    assert f"docs/topics/{topic}.v{VERSION}.schema.json" == load_topology().topics[topic].schema


def test_the_states_are_those_of_the_domain() -> None:
    finals = {state.value for state in State if state.is_final}
    windows = schema_of("settlement-windows")["$defs"]["state"]["enum"]
    settlements = schema_of("settlements")["$defs"]["settlement"]["properties"]["state"]["enum"]

    assert finals == set(schema_of("transfers")["properties"]["state"]["enum"])
    assert {state.value for state in WindowState} == set(windows)
    assert {state.value for state in SettlementState} == set(settlements)


@pytest.mark.parametrize("topic", TOPICS)
def test_the_page_says_what_the_map_says(topic: str) -> None:
    declared = load_topology().topics[topic]
    assert declared.retention_ms is not None
    (line,) = (line for line in (FOLDER / "README.md").read_text().splitlines() if line.startswith(f"| `{topic}`"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]

    assert [declared.key, shown_duration(declared.retention_ms)] == [cells[1], cells[3]]
    assert f"({topic}.v{VERSION}.schema.json)" in cells[-1]


def test_a_record_that_the_hub_writes_is_judged_where_it_is_written() -> None:
    for write in (MemoryView().emit, lambda *record: MemoryView().emit_to_partition(record[0], 0, *record[1:])):
        with pytest.raises(ValidationError):
            write("transfers", "t", b'{"v": 1}')


def without_one(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for number, (key, value) in enumerate(row.items()) if number != 2}
