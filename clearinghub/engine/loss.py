"""What the broker may have lost, found by comparing it with what a partition has noted (ADR 28).

Each function returns why the partition must stop, or None. They only compare: opening.py reads what they compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple
from zlib import crc32

from clearinghub.engine.errors import PartitionStoppedError
from clearinghub.engine.record import OFFSETS, DecidedOffsets, LastRecord

# The offset after a transaction's last record is that of its marker.
TRANSACTION_MARKERS: Final = 1

INPUT_LOST: Final = "input-lost"
INPUT_CUT: Final = "input-cut"
INPUT_CHANGED: Final = "input-changed"
INPUT_HOLE: Final = "input-hole"
CHANGELOG_LOST: Final = "changelog-lost"
OFFSETS_LOST: Final = "offsets-lost"
COPY_AHEAD: Final = "copy-ahead"

_RECOVER: Final = (
    "See docs/operators.md, `A partition is stopped`. If what is missing cannot be brought back, decide to go on with "
    "`clearinghub recover {partition} --reason TEXT`; with --dry-run it says what that does."
)


class InputLog(NamedTuple):
    """What the broker has of an input: its offsets, and the first records from a place on."""

    beginning: int
    end: int
    records: tuple[LastRecord, ...] = ()


def checksum(key: bytes | None, value: bytes | None) -> int:
    """Return the CRC-32 of a record's key and value."""
    return crc32(value or b"", crc32(key or b""))


def input_loss(
    number: int, topic: str, decided: int, last: LastRecord | None, log: InputLog, *, has_no_holes: bool
) -> PartitionStoppedError | None:
    """Compare an input's log with how far the partition has decided it.

    Args:
        number: the partition.
        topic: the input, as named in topics.yaml.
        decided: the offset of the first record not decided yet.
        last: the last record decided, if it is known.
        log: what the broker has; its records begin at `last` where the log still has it, else at `decided`.
        has_no_holes: whether every offset of the topic is a record.
    """
    since = "" if last is None else f" The last record decided was written at {_time(last.timestamp_ms)}."
    if decided > log.end:
        return _stop(
            number,
            INPUT_CUT,
            f"{topic}/{number} ends at offset {log.end}, and the partition had decided it up to {decided}: the broker "
            f"has lost the offsets {log.end} to {decided - 1}.{since}",
        )
    if decided < log.beginning:
        return _stop(
            number,
            INPUT_LOST,
            f"{topic}/{number} begins at offset {log.beginning}, and the partition had decided it up to {decided}: the "
            f"offsets {decided} to {log.beginning - 1} are gone, undecided.{since}",
        )
    if last is not None and log.beginning <= last.offset and (not log.records or log.records[0] != last):
        found = f"offset {log.records[0].offset} of {_time(log.records[0].timestamp_ms)}" if log.records else "nothing"
        return _stop(
            number,
            INPUT_CHANGED,
            f"{topic}/{number} is another log than the one that was decided: at offset {last.offset}, where the last "
            f"record decided was, there is {found} with other contents.{since}",
        )
    undecided = next((record.offset for record in log.records if record.offset >= decided), None)
    if has_no_holes and undecided is not None and undecided > decided:
        return _stop(
            number,
            INPUT_HOLE,
            f"{topic}/{number} lacks the offsets {decided} to {undecided - 1}: only records are written to this topic, "
            f"so they were records.{since}",
        )
    return None


def noted_loss(number: int, noted: DecidedOffsets, ends: Mapping[str, int]) -> PartitionStoppedError | None:
    """Compare the ends of the changelogs, by table, with what a round has noted of them."""
    for table, offset in noted.changelog_offsets.items():
        end = ends.get(table)
        if end is not None and end < offset + 1 + TRANSACTION_MARKERS:
            return _stop(
                number,
                CHANGELOG_LOST,
                f"the changelog of table {table} ends at offset {end}, and a round of {_time(noted.committed_ms)} "
                f"wrote it up to {offset}: the broker has lost the rows from {end} on.",
            )
    return None


def changelog_loss(
    number: int, decided: DecidedOffsets | None, lasts: Mapping[str, int], ends: Mapping[str, int]
) -> PartitionStoppedError | None:
    """Compare recovered tables with the row of offsets that was recovered with them.

    Args:
        number: the partition.
        decided: its row of offsets, or None.
        lasts: by table, the offset of the last record read from its changelog, -1 if there is none.
        ends: by table, where the changelog ends.
    """
    if decided is None:
        found = sorted(table for table, offset in lasts.items() if offset >= 0)
        if not found:
            return None
        return _stop(
            number,
            OFFSETS_LOST,
            f"the changelogs of {', '.join(found)} have rows, and that of table {OFFSETS.name} has none: it is lost, "
            "or a release before 1.0 wrote the rows.",
        )
    if (lost := noted_loss(number, decided, ends)) is not None:
        return lost
    for table, last in lasts.items():
        offset = decided.changelog_offsets.get(table, -1 if decided.changelog_offsets else last)
        if last > offset:
            return _stop(
                number,
                OFFSETS_LOST,
                f"the changelog of table {table} has rows up to offset {last}, and the last row of table "
                f"{OFFSETS.name}, of {_time(decided.committed_ms)}, knows them up to {offset}: the end of table "
                f"{OFFSETS.name} is lost.",
            )
    return None


def copy_ahead(number: int, table: str, local: int, end: int) -> PartitionStoppedError:
    """Return why a partition stops whose local copy has rows that the changelog has not."""
    return _stop(
        number,
        COPY_AHEAD,
        f"the local copy of table {table} has the changelog up to offset {local}, and the changelog ends at {end}: the "
        f"broker has lost the rows from {end} on. The copy on this worker's disk is kept as it is.",
    )


def _stop(number: int, code: str, sentence: str) -> PartitionStoppedError:
    return PartitionStoppedError(code, f"partition {number}: {sentence}", _RECOVER.format(partition=number))


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
