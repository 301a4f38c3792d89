"""Rows and records of every release are read by this one, and what it writes is the same as its own golden files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clearinghub import __version__
from clearinghub.features import FEATURE_LEVELS, HIGHEST_LEVEL
from clearinghub.messages import Message, decode, encode
from clearinghub.rows import Row, encode_row, make_row_decoder
from tests.analysts import check_record
from tests.golden.catalogue import BODY, KINDS
from tests.golden.make import FOLDER, files, names
from tests.golden.reading import faults, lines
from tests.golden.samples import differences, enumerations, full, named

RELEASES = sorted(path for path in FOLDER.iterdir() if path.is_dir() and path.name[0].isdigit())
AGAIN = "the format differs from tests/golden: before the release is tagged, run `make golden`; after it, see ADR 26"
ROWS = [kind for kind in KINDS.values() if kind.group == "rows"]
MESSAGES = [kind for kind in KINDS.values() if kind.group == "messages"]


@pytest.mark.parametrize("folder", RELEASES, ids=lambda folder: folder.name)
def test_what_a_release_wrote_is_read_with_the_same_values(folder: Path) -> None:
    assert [] == faults(folder)


@pytest.mark.parametrize("folder", RELEASES, ids=lambda folder: folder.name)
def test_no_value_of_an_enumeration_is_gone(folder: Path) -> None:
    now = enumerations([kind.struct for kind in KINDS.values()])

    for name, values in json.loads((folder / "enumerations.json").read_text()).items():
        assert set(values) <= set(now[name]), name


@pytest.mark.parametrize("folder", RELEASES, ids=lambda folder: folder.name)
def test_two_releases_find_each_other(folder: Path) -> None:
    assert [] == differences(json.loads((folder / "names.json").read_text()), names())


def needs_a_level(folder: Path) -> list[str]:
    """Return what this release may write that a release cannot read or keep, so that it needs a feature level."""
    samples = lines(folder / "samples.jsonl")
    known = {one["kind"] for one in samples}
    found = [f"{kind.name} is new" for kind in MESSAGES if kind.name not in known]
    for one in samples:
        if one["kind"] in KINDS and one["form"] == "full":
            now = named(full(KINDS[one["kind"]].struct))
            # A field of a row or message itself may be new: it is kept or ignored. One of a part of it may not.
            added = (differences(now[name], value) for name, value in one["fields"].items() if name in now)
            found += [f"{one['kind']}: {difference}" for part in added for difference in part]
    values = json.loads((folder / "enumerations.json").read_text())
    now = enumerations([kind.struct for kind in KINDS.values()])
    return [*found, *(f"{name} has more values" for name in values if set(now[name]) - set(values[name]))]


def level_of(release: str) -> int:
    """Return the highest feature level that a release knows."""
    number = [int(part) for part in release.split(".")]
    return max(one.level for one in FEATURE_LEVELS if [int(part) for part in one.release.split(".")] <= number)


@pytest.mark.parametrize("folder", RELEASES, ids=lambda folder: folder.name)
def test_what_an_earlier_release_cannot_read_has_a_level(folder: Path) -> None:
    assert HIGHEST_LEVEL > level_of(folder.name) or [] == needs_a_level(folder), "add a level, and the gate (ADR 26)"


@pytest.mark.parametrize("folder", RELEASES, ids=lambda folder: folder.name)
def test_what_was_published_is_of_the_schema_that_analysts_have(folder: Path) -> None:
    topics = {one["topic"] for one in lines(folder / "records.jsonl")}
    assert {"transfers", "positions", "settlement-windows", "settlements"} <= topics

    for one in lines(folder / "records.jsonl"):
        check_record(one["topic"], one["value"].encode())


@pytest.mark.parametrize("name", ["samples.jsonl", "rows.jsonl", "records.jsonl", "enumerations.json", "names.json"])
def test_this_release_writes_what_its_golden_files_have(name: str) -> None:
    folder = FOLDER / __version__
    assert folder.is_dir(), AGAIN

    assert files()[name] == (folder / name).read_text(), AGAIN


def test_every_kind_has_a_golden_record() -> None:
    recorded = {one["kind"] for one in lines(FOLDER / __version__ / "samples.jsonl")}

    assert set(KINDS) == recorded, AGAIN


def next_release_of(struct: type[Any], **options: Any) -> type[Any]:
    """Return a struct as the next release declares it: with one more field at the end."""
    return msgspec.defstruct(
        f"Next{struct.__name__}", [("added", str, "not written yet")], bases=(struct,), frozen=True, **options
    )


@pytest.mark.parametrize("kind", ROWS, ids=lambda kind: kind.name)
def test_a_row_of_the_next_release_goes_there_and_back(kind: Any) -> None:
    newer = next_release_of(kind.struct, array_like=True)
    read_newer, read = make_row_decoder(newer), make_row_decoder(kind.struct)
    old, sample = full(kind.struct), full(newer)

    # Forward: the newer release reads what is stored.
    assert {**named(old), "added": "not written yet"} == named(read_newer(encode_row(old)))
    # Back: this release reads it, changes nothing that it does not know, and the newer one has it again.
    back: Row = read(encode_row(sample))
    assert named(old) == named(back)
    assert named(sample) == named(read_newer(encode_row(back)))


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.name)
def test_a_message_of_the_next_release_is_read_by_this_one_and_the_reverse(kind: Any) -> None:
    newer = next_release_of(kind.struct, kw_only=True, tag=kind.struct.__struct_config__.tag, tag_field="kind")

    old: Message = full(kind.struct)
    assert (old, BODY) == decode(encode(full(newer), BODY))
    read = msgspec.json.decode(encode(old), type=newer)
    assert {**named(old), "added": "not written yet"} == named(read)
