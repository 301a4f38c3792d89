"""Make the golden files of this release: `make golden`.

For each release there is a folder, tests/golden/RELEASE, of rows and records as that release writes them. It stays for
good: every later release must read it. Until a release is tagged, its folder is made anew whenever a format changes.
"""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import structlog

from agents.context import LedgerContext
from clearinghub import __version__
from clearinghub.config import Settings
from clearinghub.engine.hops import Hop, chain_after
from clearinghub.kafka.topology import load_topology
from clearinghub.roles.callbacks import callbacks_config
from clearinghub.roles.ledger import ledger_config
from tests.fakes import FakeParticipants
from tests.golden.catalogue import KINDS, dead_letter_of_the_ledger
from tests.golden.samples import bare, enumerations, full, named
from tests.golden.walk import Walk
from tests.in_memory_hub import PARTITIONS

FOLDER: Final = Path(__file__).resolve().parent
OF_A_KIND_MAX: Final = 2


def _line(**fields: Any) -> str:
    return json.dumps(fields, ensure_ascii=False) + "\n"


def _samples() -> Iterator[str]:
    for kind in KINDS.values():
        values = {form: make(kind.struct) for form, make in (("full", full), ("bare", bare))}
        written = {form: kind.write(value).decode() for form, value in values.items()}
        if written["full"] == written["bare"]:
            del values["bare"]
        for form, value in values.items():
            yield _line(kind=kind.name, form=form, value=written[form], fields=named(value))


def _rows(walk: Walk) -> Iterator[str]:
    counts: Counter[tuple[str, str]] = Counter()
    for (table, row_type, key), data in sorted(walk.rows.items()):
        counts[table, row_type] += 1
        if counts[table, row_type] <= OF_A_KIND_MAX:
            row = KINDS[f"row {row_type}"].read(data)
            yield _line(table=table, type=row_type, key=key, value=data.decode(), fields=named(row))


def _records(walk: Walk) -> Iterator[str]:
    counts: Counter[tuple[str, bytes]] = Counter()
    for one in walk.records:
        kind = one.value[:24]  # up to the kind, if it is a message
        counts[one.topic, kind] += 1
        if counts[one.topic, kind] <= OF_A_KIND_MAX:
            yield _line(topic=one.topic, key=one.key, value=one.value.decode())
    yield _line(topic="dead-letter", key="alpha", value=dead_letter_of_the_ledger().decode())


def names() -> dict[str, Any]:
    """Return the names by which two releases find each other: they are a part of the format."""
    settings = Settings(partitions=PARTITIONS)
    context = LedgerContext.of(settings, FakeParticipants())
    config, topology = ledger_config(settings, context), load_topology()
    return {
        "hop": Hop(1, 2, chain_after("00c0ffee00c0ffee", b"a key", b"a value")).encode().decode(),
        "groups": [config.application_id, callbacks_config(settings).application_id],
        "transactional ids": [config.transactional_id(number) for number in range(PARTITIONS)],
        "inputs": {one.topic: config.topic_prefix + one.topic for one in config.inputs},
        "topics": {name: topic.partition_count(PARTITIONS) for name, topic in topology.topics.items()},
        "changelogs": {table: config.changelog(table) for table in topology.tables},
    }


def files() -> dict[str, str]:
    """Return the golden files as this code makes them, by name."""
    walk = Walk()
    enums = enumerations([kind.struct for kind in KINDS.values()])
    return {
        "samples.jsonl": "".join(_samples()),
        "rows.jsonl": "".join(_rows(walk)),
        "records.jsonl": "".join(_records(walk)),
        "names.json": json.dumps(names(), indent=1) + "\n",
        "enumerations.json": json.dumps(enums, indent=1) + "\n",
    }


def is_released(release: str) -> bool:
    """Return whether the repository has the tag of a release."""
    listed = subprocess.run(
        ["git", "tag", "--list", f"v{release}"], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    return bool(listed.stdout.strip())


def main() -> int:
    """Write the folder of this release; refused once the release is tagged."""
    if is_released(__version__):
        print(f"v{__version__} is tagged: its golden files stay. A later release has another version.", file=sys.stderr)
        return 1
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    folder = FOLDER / __version__
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in files().items():
        (folder / name).write_text(content)
    print(f"{folder}: {sum(path.stat().st_size for path in folder.iterdir()):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
