"""Read golden files with the code of this release, whichever release has written them.

`python -m tests.golden.reading FOLDER` prints what this release cannot read or does not keep. With `--newer` the folder
may be of a later release: kinds and fields that this release does not know are no fault, but must be kept.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clearinghub.messages import UnknownMessageError, decode
from tests.golden.catalogue import KINDS
from tests.golden.samples import differences, named


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def faults(folder: Path, *, newer: bool = False) -> list[str]:
    """Return, in sentences, what of a folder's rows and records this release does not read and write back."""
    return [*_faults_of_values(folder, newer=newer), *_faults_of_messages(folder, newer=newer)]


def _faults_of_values(folder: Path, *, newer: bool) -> Iterator[str]:
    stored = [one | {"kind": f"row {one['type']}"} for one in lines(folder / "rows.jsonl")]
    for one in (*lines(folder / "samples.jsonl"), *stored):
        kind = KINDS.get(one["kind"])
        if kind is None:
            if not newer:
                yield f"{one['kind']} is not known any more"
            continue
        try:
            read = kind.read(one["value"].encode())
            again = kind.read(kind.write(read))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the fault that is looked for
            yield f"{one['kind']}: {error!r}"
            continue
        for value in (read, again):
            expected, found = one["fields"], named(value)
            # A later release's fields are not known here; an earlier release's all are.
            wrong = differences(found, expected) if newer else differences(expected, found)
            yield from (f"{one['kind']}{place}" for place in wrong)
        if kind.group == "rows" and kind.write(read) != one["value"].encode() and newer:
            yield f"{one['kind']}: written back as {kind.write(read)!r}"


def _faults_of_messages(folder: Path, *, newer: bool) -> Iterator[str]:
    for one in lines(folder / "records.jsonl"):
        if "\n" not in one["value"] or '"kind"' not in one["value"].partition("\n")[0]:
            continue
        try:
            decode(one["value"].encode())
        except UnknownMessageError as error:
            if not newer:
                yield f"{one['topic']}: {error!r}"
        except Exception as error:  # noqa: BLE001 - as above
            yield f"{one['topic']}: {error!r}"


if __name__ == "__main__":
    found = faults(Path(sys.argv[1]), newer="--newer" in sys.argv)
    for sentence in found:
        print(sentence)
    sys.exit(bool(found))
